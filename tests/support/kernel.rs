//! The real Neo4j 4.4: builds and drives the programs of `fixtures/neo4j`.
//!
//! A test begins with `let Some(kernel) = Kernel::find() else { return };`. Without a JDK and Maven that says so and
//! skips the test; with `CI` set it fails instead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Deserialize;
use serde_json::json;

pub use super::program::Program;
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
