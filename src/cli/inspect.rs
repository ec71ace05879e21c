//! `inspect`: what is in a database directory, as text or JSON.

use std::fmt::Write;
use std::path::PathBuf;
use std::thread;

use clap::Command;
use serde::Serialize;

use super::definition::{OPTIONS, command, help_flag, parameter};
use super::environment::Environment;
use super::exit::Exit;
use super::grammar::Call;
use super::output_format::{self, OutputFormat};
use super::streams::Streams;
use super::usage::UsageError;
use super::{failure, java_path};
use crate::config::ConfigError;
use crate::inspect::{IndexState, Inspection, find, inspect};
use crate::io::disk::DiskError;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("inspect")
        .about("Show what is in a database directory.")
        .long_about(
            "Show the record format, ids, last transaction, checkpoint, logs, records and indexes of a database, and \
             whether Neo4j would have to recover it. Nothing is changed. The directory is that of a backup, of a \
             database of a server, or one that holds several of these.\n\
             \n\
             What can't be read is named, and the rest is shown. The exit code is 0 if everything could be read, else \
             1.",
        )
        .arg(parameter("dir", "dir").required(true).help("Directory of a database, or of several."))
        .arg(output_format::option().help_heading(OPTIONS).help("How it is shown."))
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectArguments {
    /// Where to look.
    pub directory: PathBuf,
    /// How to show it; JSON is `{"databases": [...]}`.
    pub format: OutputFormat,
    /// Chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

impl InspectArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            directory: call.value("dir")?,
            format: call.value("format")?,
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("there is no database at '{}'", .0.display())]
    NoDatabase(PathBuf),
}

/// Runs the command.
pub(super) fn run(arguments: &InspectArguments, environment: &Environment, streams: &Streams) -> Exit {
    match look(arguments, environment) {
        Ok(inspections) => {
            match arguments.format {
                OutputFormat::Json => streams.out.line(json(&inspections)),
                OutputFormat::Text => {
                    let texts: Vec<_> = inspections.iter().map(text).collect();
                    streams.out.text(texts.join("\n"));
                }
            }
            let complete = inspections.iter().all(|inspection| inspection.problems.is_empty());
            if complete { Exit::Success } else { Exit::Failed }
        }
        Err(error) => {
            failure::report(&streams.err, "", &error, arguments.verbose);
            Exit::Failed
        }
    }
}

fn look(arguments: &InspectArguments, environment: &Environment) -> Result<Vec<Inspection>, InspectError> {
    // Only where logs may lie comes from there: without an installation there is none.
    let logs = match environment.directories() {
        Ok(directories) => {
            let configuration = directories.configuration(None, arguments.expand_commands)?;
            configuration.transaction_logs_root
        }
        Err(_) => PathBuf::new(),
    };
    let directory = java_path::absolute(&arguments.directory);
    let found = find(&directory, &logs)?;
    if found.is_empty() {
        return Err(InspectError::NoDatabase(directory));
    }
    let threads = thread::available_parallelism().map_or(1, Into::into);
    Ok(found.iter().map(|found| inspect(found, threads)).collect())
}

fn json(databases: &[Inspection]) -> String {
    #[derive(Serialize)]
    struct Output<'a> {
        databases: &'a [Inspection],
    }
    // Nothing in these types has no form in JSON.
    serde_json::to_string_pretty(&Output { databases }).unwrap_or_default()
}

/// Columns of the names of facts.
const NAMES: usize = 18;

/// An inspection as lines; parts that could not be read are missing, and told at the end.
fn text(inspection: &Inspection) -> String {
    let mut lines = Lines(String::new());
    lines.fact("Database", Some(&inspection.database));
    lines.fact("Directory", Some(&inspection.directory));
    if inspection.logs_directory != inspection.directory {
        lines.fact("Log directory", Some(&inspection.logs_directory));
    }
    if inspection.in_use {
        lines.fact("In use", Some(&"yes: the parts below may be from different moments".to_owned()));
    }
    lines.fact(
        "Record format",
        inspection.format.as_ref().map(|format| match (format.family, format.introduced) {
            (Some(family), Some(introduced)) => {
                format!("{} ({family}, since Neo4j {introduced})", format.version)
            }
            (None, Some(introduced)) => {
                format!("{} (since Neo4j {introduced}, not readable)", format.version)
            }
            _ => format.version.clone(),
        }),
    );
    lines.fact("Store id", inspection.store_id.as_ref());
    lines.fact("Database id", inspection.database_id.as_ref());
    lines.fact(
        "Last transaction",
        inspection.last_transaction.as_ref().map(|last| match &last.time {
            Some(time) => format!("{}, committed {time}", last.id),
            None => last.id.to_string(),
        }),
    );
    lines.fact(
        "Checkpoint",
        inspection.checkpoint.as_ref().map(|checkpoint| {
            let mut text = format!("log {} offset {}", checkpoint.log, checkpoint.offset);
            for more in [&checkpoint.time, &checkpoint.reason].into_iter().flatten() {
                text.extend([", ", more]);
            }
            text
        }),
    );
    lines.fact(
        "Transaction logs",
        inspection.logs.as_ref().map(|logs| {
            let transactions = match (logs.first_transaction, logs.last_transaction) {
                (Some(first), Some(last)) => format!("transactions {first} to {last}"),
                _ => "no transactions".to_owned(),
            };
            format!("{} to {}, {transactions}, {} bytes", logs.lowest, logs.highest, logs.bytes)
        }),
    );
    lines.fact(
        "Recovery",
        inspection.recovery.as_ref().map(|recovery| match &recovery.reason {
            Some(reason) => format!("needed: {reason}"),
            None => "not needed".to_owned(),
        }),
    );
    lines.fact(
        "Backup",
        inspection.backup.as_ref().map(|backup| {
            format!(
                "{} of {}, finished {}, {}, {}, {}",
                word(&backup.kind),
                backup.server,
                backup.finished,
                word(&backup.state),
                if backup.recovered { "recovered" } else { "not recovered" },
                match word(&backup.checked).as_str() {
                    "no" => "not checked".to_owned(),
                    checked => checked.to_owned(),
                }
            )
        }),
    );
    let records = inspection.records.iter().map(|count| {
        [count.store.to_owned(), count.in_use.to_string(), count.high_id.to_string(), count.bytes.to_string()]
    });
    lines.table(["Store", "In use", "High id", "Bytes"], &[false, true, true, true], records.collect());
    let indexes = inspection.indexes.iter().map(|index| {
        let state = match &index.state {
            IndexState::Online => "online".to_owned(),
            IndexState::Populating => "populating".to_owned(),
            IndexState::Missing => "missing".to_owned(),
            IndexState::Failed(message) => format!("failed: {message}"),
            IndexState::Unreadable(reason) => format!("unreadable: {reason}"),
        };
        let unique = if index.unique { " unique" } else { "" };
        let kind = format!("{}{unique}", index.index_type);
        [
            index.id.to_string(),
            kind,
            index.provider.to_owned(),
            index.schema.clone(),
            index.name.clone(),
            state,
        ]
    });
    lines.table(
        ["Index", "Type", "Provider", "Schema", "Name", "State"],
        &[true, false, false, false, false, false],
        indexes.collect(),
    );
    if !inspection.problems.is_empty() {
        lines.0.push_str("\nNot readable:\n");
        for problem in &inspection.problems {
            lines.line(format_args!("{}: {}", problem.part, problem.reason));
        }
    }
    lines.0
}

/// The word of an enumeration in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A text that grows by lines.
struct Lines(String);

impl Lines {
    fn line(&mut self, text: impl std::fmt::Display) {
        let appended = writeln!(self.0, "{text}");
        debug_assert!(appended.is_ok(), "a string takes all that is written to it");
    }

    /// A fact that is known.
    fn fact(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.line(format_args!("{:NAMES$}{value}", format!("{name}:")));
        }
    }

    /// Rows in columns, each as wide as its widest cell; numbers stand to the right.
    fn table<const N: usize>(&mut self, head: [&str; N], right: &[bool; N], rows: Vec<[String; N]>) {
        if rows.is_empty() {
            return;
        }
        self.0.push('\n');
        let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
        let mut widths = [0; N];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let cells = row.iter().zip(widths).zip(right).map(|((cell, width), right)| {
                if *right { format!("{cell:>width$}") } else { format!("{cell:width$}") }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            self.line(line.trim_end());
        }
    }
}
