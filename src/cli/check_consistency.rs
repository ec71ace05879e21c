//! `check-consistency`: whether a database or a backup is what it should be. Specification: command line 6.1,
//! consistency check 1 and 4.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{ArgGroup, Command};
use serde::Serialize;

use super::check_console::{CheckConsole, SOURCE};
use super::database_name::{self, DatabaseName};
use super::definition::{command, help_flag, path};
use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::grammar::Call;
use super::log::{self, Level, Log};
use super::output_format::{self, OutputFormat};
use super::streams::Streams;
use super::usage::UsageError;
use super::{check_options, failure, java_path};
use crate::config::ConfigError;
use crate::consistency::{self, Check, CheckError, CheckOptions, RecordType, Verdict};
use crate::io::disk::OsDisk;
use crate::store::layout::DatabaseLayout;

/// Bytes for pages that are not read in their order, unless the configuration says something else. More makes hardly a
/// check faster, for the stores are read as they lie.
const PAGE_CACHE: u64 = 64 << 20;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("check-consistency")
        .about("Check the consistency of a database.")
        .long_about(
            "This command allows for checking the consistency of a database or a backup thereof. It cannot be used \
             with a database which is currently in use, nor before the database was recovered.\n\
             \n\
             Everything is read, nothing is changed. What is wrong goes to standard output and into a report, the file \
             inconsistencies-<time>.report. An index whose files can't be read is named, with the reason.\n\
             \n\
             The exit code is 0 if the database is consistent, and 1 if it is not or could not be checked.",
        )
        .arg(database_name::option("database").help("Name of the database to check."))
        .arg(path("backup").help(
            "Path to backup to check consistency of. Cannot be used together with --database.",
        ))
        .group(ArgGroup::new("target").args(["database", "backup"]).required(true))
        .arg(path("additional-config").help("Configuration file to supply additional configuration in."))
        .args(check_options::options())
        .arg(
            output_format::option()
                .help("How the result is shown: as log lines, or as one JSON object on standard output."),
        )
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug)]
pub struct CheckConsistencyArguments {
    /// What to check.
    pub target: CheckTarget,
    /// What of it, and where the report goes.
    pub options: CheckOptions,
    /// Options on the command line that have no effect any more, with their dashes.
    pub deprecated: Vec<&'static str>,
    /// More settings, which win over `neo4j.conf`.
    pub additional_config: Option<PathBuf>,
    /// How the result is shown.
    pub format: OutputFormat,
    /// Chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckTarget {
    /// In the installation, by its name.
    Database(DatabaseName),
    /// The directory of a backup, which has the transaction logs, too.
    Backup(PathBuf),
}

impl CheckConsistencyArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        let target = match call.optional("database") {
            Some(database) => CheckTarget::Database(database),
            None => CheckTarget::Backup(call.value("backup")?),
        };
        Ok(Self {
            target,
            options: check_options::of(call)?,
            deprecated: check_options::deprecated(call),
            additional_config: call.optional("additional-config"),
            format: call.value("format")?,
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// The text is Neo4j's, which speaks of the wrong directory.
    #[error("Report directory path doesn't exist or not a directory: {}", .0.display())]
    NoBackup(PathBuf),
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl CommandError {
    /// What Neo4j's tool says first if a check was begun and not ended. Specification: consistency check 1.4.
    fn prefix(&self) -> &'static str {
        match self {
            Self::NoBackup(_)
            | Self::Configuration(_)
            | Self::Check(
                CheckError::NoDatabase { .. }
                | CheckError::InUse { .. }
                | CheckError::NoPermission { .. }
                | CheckError::RecoveryRequired { .. }
                | CheckError::RecoveryUnknown { .. },
            ) => "",
            Self::Check(_) => "Consistency checking failed.",
        }
    }

    /// The text for one who does not want to know the causes.
    fn text(&self) -> String {
        match self {
            // Those are whole sentences, known to scripts.
            _ if self.prefix().is_empty() => self.to_string(),
            other => format!("{}{}", self.prefix(), failure::root_cause(other)),
        }
    }
}

/// Runs the command.
pub(super) fn run(
    arguments: &CheckConsistencyArguments,
    environment: &Environment,
    streams: &Streams,
) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    let as_lines = arguments.format == OutputFormat::Text;
    if arguments.verbose && as_lines {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    for option in &arguments.deprecated {
        // In JSON nothing may stand before the object.
        let stream = if as_lines { &streams.out } else { &streams.err };
        stream.line(check_options::deprecation(option));
    }
    let checked = check(arguments, &directories, streams);
    if !as_lines {
        streams.out.line(json(&checked));
    }
    match &checked.result {
        Ok(verdict) if verdict.is_consistent() => Exit::Success,
        Ok(verdict) => {
            let report = shown(verdict);
            streams.err.line(format_args!("Inconsistencies found. See '{report}' for details."));
            Exit::Failed
        }
        Err(error) => {
            if arguments.verbose {
                failure::report(&streams.err, error.prefix(), error, true);
            } else {
                streams.err.line(error.text());
            }
            if let (CommandError::Configuration(_), false) = (error, arguments.verbose) {
                streams.err.line(failure::ASK_FOR_MORE);
            }
            Exit::Failed
        }
    }
}

/// A check and how it ended.
struct Checked {
    /// The directory of the database, as far as it is known.
    directory: PathBuf,
    result: Result<Verdict, CommandError>,
}

fn check(arguments: &CheckConsistencyArguments, directories: &Directories, streams: &Streams) -> Checked {
    let mut directory = match &arguments.target {
        CheckTarget::Backup(backup) => java_path::absolute(backup),
        CheckTarget::Database(name) => PathBuf::from(name.as_str()),
    };
    if matches!(arguments.target, CheckTarget::Backup(_)) && !directory.is_dir() {
        return Checked { result: Err(CommandError::NoBackup(directory.clone())), directory };
    }
    let configuration =
        directories.configuration(arguments.additional_config.as_deref(), arguments.expand_commands);
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(error) => return Checked { directory, result: Err(error.into()) },
    };
    let layout = match &arguments.target {
        CheckTarget::Backup(_) => DatabaseLayout::flat(&directory),
        CheckTarget::Database(name) => {
            directory = configuration.data_directory.join("databases").join(name.as_str());
            DatabaseLayout {
                database: directory.clone(),
                logs: configuration.transaction_logs_root.join(name.as_str()),
            }
        }
    };
    let log = match arguments.format {
        OutputFormat::Text => Some(log::of_run(&configuration, arguments.verbose, streams)),
        OutputFormat::Json => None,
    };
    let page_cache = match configuration.page_cache {
        Ok(size) => size.unwrap_or(PAGE_CACHE),
        Err(error) => return Checked { directory, result: Err(error.into()) },
    };
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let options = CheckOptions { fail_fast: configuration.fail_fast, ..arguments.options.clone() };
    let check = Check { layout, disk: OsDisk::shared(), options, page_cache, threads };
    let result = match &log {
        Some(log) => log.observe(|| check_alone(&check, Some(log))),
        None => check_alone(&check, None),
    };
    Checked { directory, result: result.map_err(CommandError::from) }
}

/// Checks a database that nobody else may use meanwhile.
fn check_alone(check: &Check, log: Option<&Log>) -> Result<Verdict, CheckError> {
    let _lock = consistency::lock(&*check.disk, &check.layout)?;
    let verdict = check.run(&CheckConsole::new(log.cloned()))?;
    if let Some(log) = log {
        for index in &verdict.unchecked {
            let text = format_args!("The contents of this index were not compared with the store: {index}");
            log.line(Level::Warn, SOURCE, text);
        }
        if !verdict.is_consistent() {
            let report = shown(&verdict);
            log.line(Level::Warn, SOURCE, format_args!("See '{report}' for a detailed consistency report."));
        }
    }
    Ok(verdict)
}

/// The path of the report as it was asked for, relative or not.
fn shown(verdict: &Verdict) -> String {
    verdict.report.as_deref().map(Path::display).map(|path| path.to_string()).unwrap_or_default()
}

/// The result for programs.
fn json(checked: &Checked) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Output<'a> {
        directory: String,
        /// `consistent`, `inconsistent`, `failed`.
        outcome: &'static str,
        /// Why the check failed.
        message: Option<String>,
        /// Neo4j's count: errors of records, trees and whole stores.
        errors: u64,
        warnings: u64,
        /// Findings that Neo4j's checker does not have.
        extras: u64,
        /// Errors by what they are about.
        inconsistent: BTreeMap<&'static str, u64>,
        /// Stores that could not be checked at all.
        generic_errors: Vec<&'static str>,
        report: Option<String>,
        /// Indexes whose contents were not compared with the store.
        not_compared: &'a [String],
    }
    let mut output = Output {
        directory: checked.directory.display().to_string(),
        outcome: "failed",
        message: None,
        errors: 0,
        warnings: 0,
        extras: 0,
        inconsistent: BTreeMap::new(),
        generic_errors: Vec::new(),
        report: None,
        not_compared: &[],
    };
    match &checked.result {
        Err(error) => output.message = Some(error.text()),
        Ok(verdict) => {
            let summary = &verdict.summary;
            output.outcome = if verdict.is_consistent() { "consistent" } else { "inconsistent" };
            output.errors = summary.errors();
            output.warnings = summary.warnings();
            output.extras = summary.extras();
            let counts = RecordType::ALL.into_iter().map(|about| (about.name(), summary.errors_of(about)));
            output.inconsistent = counts.filter(|(_, count)| *count > 0).collect();
            output.generic_errors = summary.generic_errors().collect();
            output.report = verdict.report.is_some().then(|| shown(verdict));
            output.not_compared = &verdict.unchecked;
        }
    }
    // Nothing in these types has no form in JSON.
    serde_json::to_string_pretty(&output).unwrap_or_default()
}
