//! `ArgumentOracle` answers in microseconds for a launcher that starts two processes: that it says the same is shown
//! here, once for each kind of words.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::kernel::Kernel;

#[derive(Debug, Deserialize, PartialEq)]
struct Outcome {
    exit: i32,
    stderr: String,
    values: Option<Value>,
}

#[test]
fn the_argument_oracle_says_what_the_real_launcher_says() {
    let Some(kernel) = Kernel::find() else { return };
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("conf")).expect("its configuration directory");
    let mut oracle = kernel.oracle();
    let lines: [&[&str]; 8] = [
        &["backup", "--backup-dir=/b", "--verbose", "--check-consistency"],
        &["backup", "--backup-dir", "--verbose"],
        &["--expand-commands=maybe", "backup"],
        &["backup", "--", "--backup-dir=/b", "--expand-commands"],
        &["backup", "--backup-dir=/b", "--pagecach=4G"],
        &["bakcup"],
        &["help", "backup"],
        &["--expand-commands"],
    ];
    for words in lines {
        let quick: Outcome = oracle.ask(&json!({"job": "arguments", "words": words}));
        let mut real: Outcome = oracle.ask(&json!({"job": "launcher", "words": words, "home": home.path()}));
        // What the launcher says of the Java that it found (command line 1.3).
        real.stderr = real
            .stderr
            .split_inclusive('\n')
            .filter(|line| !(line.starts_with("Selecting JVM") || line.starts_with("WARNING! You are using")))
            .filter(|line| !line.starts_with("* Please "))
            .collect();
        assert_eq!(quick, real, "{words:?}");
    }
}
