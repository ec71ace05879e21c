//! A program that answers a line of JSON to each line of JSON.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A running program that answers one JSON line to each; it ends with this value.
pub struct Program {
    name: String,
    process: Child,
    /// The end of its input ends the program.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { name: name.to_owned(), process, requests, answers }
    }

    /// Sends a request and waits for the answer to it.
    ///
    /// # Panics
    /// When the job failed; its stack trace is on standard error.
    pub fn ask<A: DeserializeOwned>(&mut self, request: &Value) -> A {
        let sent = writeln!(self.requests.as_mut().expect("open until the end"), "{request}");
        sent.unwrap_or_else(|error| panic!("{self} is gone: {error}"));
        self.receive(&request.to_string())
    }

    /// As [`Self::ask`], but the program may end instead of answering: then its exit code.
    pub fn attempt<A: DeserializeOwned>(&mut self, request: &Value) -> Result<A, i32> {
        let sent = writeln!(self.requests.as_mut().expect("open until the end"), "{request}");
        sent.unwrap_or_else(|error| panic!("{self} is gone: {error}"));
        if self.answers.fill_buf().is_ok_and(<[u8]>::is_empty) {
            let status = self.process.wait().expect("a process of ours");
            return Err(status.code().unwrap_or(-1));
        }
        Ok(self.receive(&request.to_string()))
    }

    /// Ends the process as the system does when it has no memory left: at once, whatever it is about.
    pub fn kill(mut self) {
        self.process.kill().expect("a process of ours");
    }

    /// Waits for an answer.
    ///
    /// # Panics
    /// When the job failed; its stack trace is on standard error.
    pub fn receive<A: DeserializeOwned>(&mut self, request: &str) -> A {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap_or_else(|error| panic!("{self} is gone: {error}"));
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{self}, {request}: {line:?}: {error}"));
        if let Some(error) = answer.get("error") {
            panic!("{self}, {request}: {error}");
        }
        serde_json::from_value(answer).unwrap_or_else(|error| panic!("{self}, {request}: {line:?}: {error}"))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.process.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.requests.take());
        // A program deletes its files before it ends. Its exit code comes too late to matter.
        self.process.wait().ok();
    }
}
