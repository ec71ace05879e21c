//! What a user sees: help texts and messages, as committed below `tests/golden`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::golden;

/// The program with no environment but what the test gives, and no configuration by default.
fn neo4j_admin(directory: &Path, line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(env!("CARGO_BIN_EXE_neo4j-admin"));
    command.env_clear().env("NEO4J_CONF", directory).current_dir(directory);
    for word in words.by_ref() {
        match word.split_once('=') {
            Some((variable, value)) => command.env(variable, value),
            // The name of the program.
            None => break,
        };
    }
    command.args(words);
    command
}

#[test]
fn help_texts_are_the_committed_ones() {
    let commands = [
        "help",
        "check-consistency",
        "store-info",
        "backup",
        "restore",
        "prepare-restore",
        "inspect",
        "verify",
        "serve-backup",
        "demo",
    ];
    let commands = commands.map(|name| (name, 80));
    for (name, width) in [("program", 120)].into_iter().chain(commands) {
        let text = help(name);
        golden::compare(&golden::directory().join("help").join(name), &text);
        for line in text.lines() {
            assert!(line.chars().count() < width, "{name}: {line}");
        }
    }
}

/// Runs that end before anything is sent.
const RUNS: &[&str] = &[
    "neo4j-admin",
    "neo4j-admin --version",
    "neo4j-admin bakcup --backup-dir=backups",
    "neo4j-admin backup",
    "neo4j-admin backup --backup-dir=backups --pagecach=4G",
    "neo4j-admin backup --backup-dir=backups --check-consistency true",
    "neo4j-admin backup --backup-dir=backups @backups",
    "neo4j-admin backup --backup-dir=missing",
    "neo4j-admin backup --backup-dir=missing --check-consistency --fallback-to-full --parallel-recovery",
    "neo4j-admin backup --backup-dir=file",
    "neo4j-admin backup --backup-dir=file/below",
    "neo4j-admin backup --backup-dir=backups --report-dir=missing",
    "neo4j-admin backup --backup-dir=backups --report-dir=file --check-consistency=false",
    "neo4j-admin backup --backup-dir=backups --from=a:b",
    "neo4j-admin backup --backup-dir=backups --from=[::1]",
    "neo4j-admin backup --backup-dir=backups --from=bolt://db1:7687",
    "neo4j-admin backup --backup-dir=backups --pagecache=1T",
    "neo4j-admin backup --backup-dir=backups --pagecache=-1",
    "neo4j-admin backup --backup-dir=backups --check-property-owners=true --check-label-scan-store true --from=a:b",
    "neo4j-admin backup --backup-dir=backups --from=a:b --verbose",
    "neo4j-admin backup --backup-dir=missing --from=a:b --pagecache=x",
    "neo4j-admin backup --backup-dir=backups --report-dir=missing --pagecache=x",
    "neo4j-admin backup --backup-dir=backups --additional-config=broken.conf",
    "neo4j-admin backup --backup-dir=backups --additional-config=broken.conf --verbose",
    "NEO4J_CONF=conf neo4j-admin backup --backup-dir=backups",
    "NEO4J_HOME=missing neo4j-admin backup --backup-dir=backups",
    "NEO4J_CONF=file neo4j-admin backup --backup-dir=backups",
    "NEO4J_HOME=missing neo4j-admin help nosuch",
    "HEAP_SIZE=x JAVA_OPTS=-Dx neo4j-admin backup --backup-dir=missing",
    "neo4j-admin check-consistency",
    "neo4j-admin check-consistency --database=neo4j --backup=backups",
    "neo4j-admin check-consistency --backup=backups --format=xml",
    "neo4j-admin check-consistency --backup=missing",
    "neo4j-admin check-consistency --backup=backups --check-property-owners=true",
    "neo4j-admin check-consistency --database=neo4j --additional-config=broken.conf",
    "neo4j-admin serve-backup --listen=0.0.0.0:6362",
];

#[test]
fn runs_that_can_not_begin_say_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = fs::canonicalize(directory.path()).expect("its name");
    fs::create_dir(here.join("backups")).expect("a directory");
    fs::create_dir(here.join("conf")).expect("a directory");
    fs::write(here.join("file"), "").expect("a file");
    fs::write(here.join("broken.conf"), "\ndbms.db.timezone=Mars\n").expect("a file");
    fs::write(here.join("conf/neo4j.conf"), "dbms.ssl.policy.backup.enabled=perhaps\n").expect("a file");

    // Those have files of their own.
    let helps = ["program", "backup", "check-consistency", "serve-backup"]
        .map(|name| (help(name), format!("<help of {name}>\n")));
    let mut transcript = String::new();
    for line in RUNS {
        let output = neo4j_admin(&here, line).output().expect("the program");
        transcript.extend(["$ ", line, "\n"]);
        for (stream, bytes) in [("", output.stdout), ("stderr: ", output.stderr)] {
            let text =
                String::from_utf8(bytes).expect("UTF-8").replace(&here.display().to_string(), "<here>");
            let text = helps.iter().fold(text, |text, (help, name)| text.replace(help, name));
            transcript.extend(text.lines().map(|line| format!("{stream}{line}\n")));
        }
        let code = output.status.code().expect("no signal").to_string();
        transcript.extend(["exit code ", &code, "\n\n"]);
    }
    golden::compare(&golden::directory().join("messages"), &transcript);
    assert_eq!(fs::read_dir(here.join("backups")).expect("a directory").count(), 0, "nothing was written");
}

/// The help of a command, or of the program.
fn help(name: &str) -> String {
    let line = if name == "program" { "neo4j-admin help" } else { &format!("neo4j-admin help {name}") };
    let output = neo4j_admin(Path::new("."), line).output().expect("the program");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
