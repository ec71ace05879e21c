//! The real checker, in a process that stays warm.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

/// A process that checks one database after the other.
pub struct Checker {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Verdict {
    consistent: bool,
    warnings: u64,
}

impl Checker {
    /// Starts it.
    pub fn start() -> Self {
        let mut process = oracle().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle");
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, requests, answers }
    }

    /// Seconds of a check, which must find nothing.
    pub fn check(&mut self, directory: &Path, page_cache: u64) -> f64 {
        let reports = tempfile::tempdir().expect("a directory");
        let request = json!({
            "job": "check", "directory": directory, "report": reports.path(), "pagecache": page_cache.to_string(),
        });
        let began = Instant::now();
        let requests = self.requests.as_mut().expect("not ended");
        writeln!(requests, "{request}").and_then(|()| requests.flush()).expect("a request");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        let time = began.elapsed().as_secs_f64();
        let verdict: Verdict =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert!(verdict.consistent && verdict.warnings == 0, "{answer}");
        time
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.process.wait();
    }
}

/// Has one job done in a process of its own.
pub fn ask(request: &Value) {
    let status = oracle().arg(request.to_string()).stdout(Stdio::null()).status().expect("the oracle");
    assert!(status.success(), "{request}: {status}");
}

fn oracle() -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/neo4j/run"));
    command.arg("fixture.Oracle").env("HEAP_SIZE", "3g").stderr(Stdio::inherit());
    command
}
