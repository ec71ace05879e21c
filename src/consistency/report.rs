//! The report: a file that is made when there is something to say, and the numbers for the summary.
//!
//! ```text
//! 2024-05-01 10:00:00.123+0000 ERROR <message>
//! <TAB><record>
//! <TAB>Inconsistent with: <argument> <argument> …
//! ```
//!
//! Lines are in UTC, the name of the file is in local time. Specification: consistency check 4.1, 4.2, 4.4.

use std::fmt::{self, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::error::CheckError;
use super::options::CheckOptions;
use super::summary::{RecordType, Summary};
use crate::io::disk::{DiskError, DiskFile, SharedDisk};

/// How bad an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The store is inconsistent.
    Error,
    /// Something to know of; the store counts as consistent.
    Warn,
    /// Something that Neo4j's checker does not look at.
    Extra,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Extra => "EXTRA",
        })
    }
}

/// Something that can be wrong: what it is about, how bad it is, and the words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub about: RecordType,
    pub level: Level,
    pub message: &'static str,
}

impl Finding {
    pub const fn error(about: RecordType, message: &'static str) -> Self {
        Self { about, level: Level::Error, message }
    }

    pub const fn extra(about: RecordType, message: &'static str) -> Self {
        Self { about, level: Level::Extra, message }
    }

    pub const fn warning(about: RecordType, message: &'static str) -> Self {
        Self { about, level: Level::Warn, message }
    }
}

/// Gets each entry as it goes into the report: first line, then lines that begin with a tab.
pub trait EntryListener: Sync {
    /// An entry without its time.
    fn entry(&self, level: Level, text: &str);
}

const LINE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]+0000");
const FILE_NAME: &[BorrowedFormatItem<'_>] =
    format_description!("inconsistencies-[year]-[month]-[day].[hour].[minute].[second].report");

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 * 1024;

/// Takes the reports of all threads.
pub(super) struct Reporter<'a> {
    disk: SharedDisk,
    path: PathBuf,
    extras: bool,
    /// Reports of records, errors and warnings, after which no more are wanted.
    most: Option<NonZeroU32>,
    is_full: AtomicBool,
    listener: &'a dyn EntryListener,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    summary: Summary,
    /// Errors and warnings about records.
    records: u32,
    file: Option<Box<dyn DiskFile>>,
    written: u64,
    buffer: String,
    /// The first failure; nothing is written after it.
    failure: Option<DiskError>,
}

impl<'a> Reporter<'a> {
    /// A report that was begun now.
    pub fn new(disk: SharedDisk, options: &CheckOptions, listener: &'a dyn EntryListener) -> Self {
        let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
        // A format of numbers only can't fail.
        let name = now.format(FILE_NAME).unwrap_or_default();
        let directory = &options.report_directory;
        // `.` is left out, so that the path is printed as Neo4j prints it.
        let path =
            directory.components().filter(|part| *part != std::path::Component::CurDir).collect::<PathBuf>();
        Self {
            disk,
            path: path.join(name),
            extras: options.extra,
            most: options.fail_fast,
            is_full: AtomicBool::new(false),
            listener,
            state: Mutex::default(),
        }
    }

    /// Reports something about a record.
    pub fn record(&self, finding: Finding, record: &dyn fmt::Display, arguments: &[&dyn fmt::Display]) {
        if finding.level == Level::Extra && !self.extras {
            return;
        }
        let mut text = String::with_capacity(256);
        // Writing into a string can't fail.
        let _ = write!(text, "{}\n\t{record}", finding.message);
        if !arguments.is_empty() {
            text.push_str("\n\tInconsistent with:");
            for argument in arguments {
                let _ = write!(text, " {argument}");
            }
        }
        let mut state = self.state.lock();
        if let Some(most) = self.most {
            if state.records >= most.get() {
                return;
            }
            if finding.level != Level::Extra {
                state.records += 1;
                self.is_full.store(state.records >= most.get(), Ordering::Relaxed);
            }
        }
        self.entry(&mut state, finding.level, finding.about, &text);
    }

    /// An error if no more records may be reported.
    pub fn goes_on(&self) -> Result<(), CheckError> {
        if self.is_full.load(Ordering::Relaxed) { Err(CheckError::Enough) } else { Ok(()) }
    }

    /// Reports something that has no record. Lines after the first get a tab, all lose their margins.
    pub fn lines(&self, level: Level, about: RecordType, message: &str) {
        if level == Level::Extra && !self.extras {
            return;
        }
        let lines: Vec<_> = message.lines().map(str::trim).collect();
        self.entry(&mut self.state.lock(), level, about, &lines.join("\n\t"));
    }

    fn entry(&self, state: &mut State, level: Level, about: RecordType, text: &str) {
        match level {
            Level::Error => state.summary.error(about),
            Level::Warn => state.summary.warning(),
            Level::Extra => state.summary.extra(about),
        }
        self.write(state, level, text);
    }

    /// Reports that a whole store can't be checked: an error that does not make the database inconsistent.
    pub fn generic(&self, what: &'static str) {
        let mut state = self.state.lock();
        state.summary.generic(what);
        self.write(&mut state, Level::Error, &format!("{what} and will not be consistency checked"));
    }

    fn write(&self, state: &mut State, level: Level, text: &str) {
        self.listener.entry(level, text);
        let now = OffsetDateTime::now_utc().format(LINE_TIME).unwrap_or_default();
        // Writing into a string can't fail.
        let _ = writeln!(state.buffer, "{now} {level:<5} {text}");
        if state.buffer.len() >= BUFFER {
            self.flush(state);
        }
    }

    fn flush(&self, state: &mut State) {
        if state.failure.is_some() || state.buffer.is_empty() {
            state.buffer.clear();
            return;
        }
        let written = self.append(state);
        state.buffer.clear();
        state.failure = written.err();
    }

    fn append(&self, state: &mut State) -> Result<(), DiskError> {
        let file = match &mut state.file {
            Some(file) => file,
            none => {
                if let Some(directory) = self.path.parent() {
                    create_directories(&*self.disk, directory)?;
                }
                none.insert(self.disk.create(&self.path, 0o666)?)
            }
        };
        file.write_at(state.written, state.buffer.as_bytes())?;
        state.written += state.buffer.len() as u64;
        Ok(())
    }

    /// Writes the summary if the check is `complete` and the store inconsistent; where the report is, if there is one.
    pub fn finish(self, complete: bool) -> Result<(Summary, Option<PathBuf>), DiskError> {
        let mut state = self.state.lock();
        if complete && !state.summary.is_consistent() {
            let text = format!("Inconsistencies found: {}", state.summary);
            self.write(&mut state, Level::Warn, &text);
        }
        if complete && state.summary.extras() > 0 {
            let text = extras_block(&state.summary);
            self.write(&mut state, Level::Extra, &text);
        }
        self.flush(&mut state);
        let State { summary, file, failure, .. } = std::mem::take(&mut *state);
        drop(state);
        match failure {
            Some(failure) => Err(failure),
            None => Ok((summary, file.map(|_| self.path))),
        }
    }
}

impl fmt::Debug for Reporter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The findings that Neo4j does not have, in a block of their own.
fn extras_block(summary: &Summary) -> String {
    let mut text = String::from("Found beyond what Neo4j checks: ExtraFindings{\n");
    for about in RecordType::ALL {
        let count = summary.extras_of(about);
        if count > 0 {
            // Writing into a string can't fail.
            let _ = writeln!(text, "\tNumber of {} findings: {count}", about.name());
        }
    }
    text.push('}');
    text
}

/// Makes a directory and those above it that are missing.
fn create_directories(disk: &dyn crate::io::disk::Disk, directory: &Path) -> Result<(), DiskError> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        create_directories(disk, above)?;
    }
    disk.create_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;

    struct Silent;

    impl EntryListener for Silent {
        fn entry(&self, _level: Level, _text: &str) {}
    }

    const NOT_IN_USE: Finding =
        Finding::error(RecordType::Node, "The referenced relationship record is not in use.");
    const DEGREE: Finding =
        Finding { about: RecordType::Relationship, level: Level::Extra, message: "The degree is wrong." };

    fn options(directory: &Path, extra: bool) -> CheckOptions {
        CheckOptions { report_directory: directory.to_owned(), extra, ..CheckOptions::default() }
    }

    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_report_is_written_as_in_the_specification() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        let report = Reporter::new(OsDisk::shared(), &options(&below, true), &Silent);
        report.record(NOT_IN_USE, &"Node[7]", &[&"Relationship[50]", &5]);
        report.lines(Level::Warn, RecordType::Index, "Index was dirty.\n Index file: x.\n");
        report.record(DEGREE, &"Relationship[1]", &[]);
        let (summary, path) = report.finish(true).unwrap();
        assert_eq!((summary.errors(), summary.warnings(), summary.extras()), (1, 1, 1));
        let path = path.unwrap();
        assert!(path.starts_with(&below));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name.len(), "inconsistencies-2024-05-01.10.00.00.report".len());
        let lines = lines(&path);
        assert_eq!(&lines[0][10..11], " ");
        assert_eq!(&lines[0][19..20], ".");
        assert_eq!(&lines[0][23..], "+0000 ERROR The referenced relationship record is not in use.");
        assert_eq!(lines[1..3], ["\tNode[7]", "\tInconsistent with: Relationship[50] 5"]);
        assert!(lines[3].ends_with("+0000 WARN  Index was dirty."));
        assert_eq!(lines[4], "\tIndex file: x.");
        assert!(lines[5].ends_with("EXTRA The degree is wrong."));
        assert!(lines[7].ends_with("WARN  Inconsistencies found: ConsistencySummaryStatistics{"));
        assert!(lines.contains(&"\tNumber of RELATIONSHIP findings: 1".to_owned()));
    }

    #[test]
    fn nothing_to_report_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let report = Reporter::new(OsDisk::shared(), &options(directory.path(), false), &Silent);
        report.record(DEGREE, &"Relationship[1]", &[]);
        let (summary, path) = report.finish(true).unwrap();
        assert_eq!((summary.extras(), path), (0, None));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_report_that_cannot_be_written_is_an_error_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let report = Reporter::new(OsDisk::shared(), &options(&file.join("below"), false), &Silent);
        report.record(NOT_IN_USE, &"Node[7]", &[]);
        assert!(report.finish(true).is_err());
    }

    #[test]
    fn no_more_records_are_reported_than_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let options = CheckOptions { fail_fast: NonZeroU32::new(2), ..options(directory.path(), true) };
        let report = Reporter::new(OsDisk::shared(), &options, &Silent);
        report.lines(Level::Error, RecordType::Index, "Index inconsistency.");
        report.record(DEGREE, &"Relationship[1]", &[]);
        report.record(NOT_IN_USE, &"Node[7]", &[]);
        report.goes_on().unwrap();
        let warning = Finding::warning(RecordType::Property, "The block is empty.");
        for _ in 0..3 {
            report.record(warning, &"Property[7]", &[]);
            assert!(matches!(report.goes_on(), Err(CheckError::Enough)));
        }
        report.record(DEGREE, &"Relationship[2]", &[]);
        let (summary, _) = report.finish(true).unwrap();
        assert_eq!((summary.errors(), summary.warnings(), summary.extras()), (2, 1, 1));
    }
}
