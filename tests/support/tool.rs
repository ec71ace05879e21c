//! Runs of the built `neo4j-admin` as an operator starts it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A home with a configuration, and a directory for backups.
pub struct Tool {
    home: TempDir,
}

/// What a run left behind; shown with the end of what it printed.
pub struct Outcome {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.stdout.lines().collect();
        let end = lines[lines.len().saturating_sub(10)..].join("\n");
        write!(f, "exit code {:?}\n{end}\nstandard error: {}", self.code, self.stderr)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Tool {
    /// A new home; `configuration` is the content of its `neo4j.conf`.
    pub fn new(configuration: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for directory in ["conf", "backups"] {
            std::fs::create_dir(home.path().join(directory)).expect("a directory");
        }
        std::fs::write(home.path().join("conf/neo4j.conf"), configuration).expect("a configuration");
        Self { home }
    }

    /// `neo4j-admin backup` into [`Self::backups`], with further words.
    pub fn backup(&self, words: &[&str]) -> Outcome {
        self.run(["backup", "--backup-dir=backups"].iter().chain(words))
    }

    /// `neo4j-admin` with any words.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.command(words).output().expect("the tool").into()
    }

    /// A run that has not begun. Its outputs are read by whoever starts it.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neo4j-admin"));
        command.env("NEO4J_HOME", self.home.path()).env_remove("NEO4J_CONF").current_dir(self.home.path());
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The home directory: `conf`, and `data` if a test makes one.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory with a directory for each database.
    pub fn backups(&self) -> PathBuf {
        self.home.path().join("backups")
    }

    /// What is in [`Self::backups`], sorted, without the hidden lock files.
    pub fn backed_up(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.backups()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

/// What the check that ends a backup writes to standard error where that is no terminal.
pub fn check_progress() -> String {
    let percents = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
    let tenths = percents.map(|percent| format!("{} {percent:>3}%", ".".repeat(20))).join("\n");
    format!("Index structure consistency check\n{tenths}\nConsistency check\n{tenths}\n")
}
