//! The real Neo4j 4.4: builds and drives the programs of `fixtures/neo4j`.
//!
//! A test begins with `let Some(kernel) = Kernel::find() else { return };`. Without a JDK and Maven that says so and
//! skips the test; with `CI` set it fails instead.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::stores::GraphDigest;

/// A JDK and the built programs.
pub struct Kernel {
    directory: PathBuf,
    oracle: OnceLock<Mutex<Program>>,
}

impl Kernel {
    /// The kernel, built on first use; `None` if there is no JDK, which skips the test.
    ///
    /// # Panics
    /// When the programs can't be built, or when there is no JDK and `CI` is set.
    pub fn find() -> Option<&'static Self> {
        static KERNEL: OnceLock<Option<Kernel>> = OnceLock::new();
        let kernel = KERNEL.get_or_init(Self::build).as_ref();
        if kernel.is_none() {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            assert!(std::env::var_os("CI").is_none(), "{test} needs a JDK 17 and Maven");
            // Past the capture of the test harness: a skipped test must not look like one that ran.
            writeln!(std::io::stderr(), "{test} skipped: no JDK (javac and mvn)").expect("standard error");
        }
        kernel
    }

    fn build() -> Option<Self> {
        let there =
            |tool| Command::new(tool).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there("javac").is_err() || there("mvn").is_err() {
            return None;
        }
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/neo4j");
        let status = Command::new(directory.join("build")).status().expect("fixtures/neo4j/build");
        assert!(status.success(), "fixtures/neo4j/build ended with {status}");
        Some(Self { directory, oracle: OnceLock::new() })
    }

    /// The process that all tests share for jobs that need no running database.
    pub fn oracle(&self) -> MutexGuard<'_, Program> {
        self.oracle
            .get_or_init(|| Mutex::new(self.start("fixture.Oracle", &[])))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one of the programs.
    pub fn start(&self, class: &str, arguments: &[&str]) -> Program {
        Program::start(class, self.java().arg(class).args(arguments))
    }

    /// Restores the backup of one database, opens it with the real kernel, and checks it with the real checker.
    pub fn open_backup(&self, backup: &Path) -> Opened {
        let scratch = tempfile::tempdir().expect("a directory");
        let request = json!({"job": "open", "backup": backup, "scratch": scratch.path(), "check": true});
        self.oracle().ask(&request)
    }

    /// Opens a database of a home where it lies, and checks it with the real checker.
    pub fn open_in_home(&self, home: &Path, name: &str) -> Opened {
        self.oracle().ask(&json!({"job": "open", "home": home, "name": name, "check": true}))
    }

    /// Recovers a database in place: all of its logs, or the transactions below `until`.
    pub fn recover(&self, directory: &Path, until: Option<u64>) {
        let mut request = json!({"job": "recover", "directory": directory});
        if let Some(until) = until {
            request["until"] = json!(until);
        }
        let Recovered { required } = self.oracle().ask(&request);
        assert!(required, "{} needs no recovery", directory.display());
    }

    /// As [`Self::open_backup`]; then the kernel writes `transactions` more of all kinds, and the files that it leaves when
    /// it has closed the database go to `closed`, if that is given.
    pub fn open_and_write(
        &self,
        backup: &Path,
        transactions: usize,
        seed: u64,
        closed: Option<&Path>,
    ) -> Opened {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut request = json!({"job": "open", "backup": backup, "scratch": scratch.path(), "check": true});
        if transactions > 0 {
            request["write"] = json!(transactions);
            request["seed"] = json!(seed);
        }
        if let Some(closed) = closed {
            request["closed"] = json!(closed);
        }
        self.oracle().ask(&request)
    }

    /// Checks a database with the real checker.
    pub fn check(&self, directory: &Path) -> Checked {
        let reports = tempfile::tempdir().expect("a directory");
        self.oracle().ask(&json!({"job": "check", "directory": directory, "report": reports.path()}))
    }

    fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx1g", "-XX:+UseParallelGC", "-XX:TieredStopAtLevel=1"]);
        for package in ["java.nio", "sun.nio.ch", "java.lang", "java.io"] {
            java.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        let classes = self.directory.join("target/classes");
        let jars = self.directory.join("target/lib/*");
        java.arg("-cp").arg(format!("{}:{}", classes.display(), jars.display()));
        java
    }
}

/// What `OpenBackup` says of a backup.
#[derive(Debug, Deserialize)]
pub struct Opened {
    /// Whether the kernel had to recover it.
    pub recovered: bool,
    /// Lines of the kernel's log that tell of recovery, damage, or something built anew.
    pub remarks: Vec<String>,
    /// What is in it.
    pub digest: GraphDigest,
    /// What the real checker says after the kernel has closed it.
    pub check: Checked,
}

#[derive(Deserialize)]
struct Recovered {
    required: bool,
}

/// What `CheckStore` says of a database.
#[derive(Debug, Deserialize)]
pub struct Checked {
    /// Whether there is no error.
    pub consistent: bool,
    /// Warnings.
    pub warnings: u64,
    /// Errors and warnings by kind.
    pub summary: String,
}

/// A running program that answers one JSON line to each; it ends with this value.
pub struct Program {
    name: String,
    process: Child,
    /// The end of its input ends the program.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &str, command: &mut Command) -> Self {
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
