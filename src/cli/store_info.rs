//! `store-info`: what a store is, without changing anything. Specification: command line 6.4.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use clap::Command;

use super::definition::{command, flag, help_flag, parameter};
use super::environment::Environment;
use super::exit::Exit;
use super::grammar::Call;
use super::streams::Streams;
use super::usage::UsageError;
use super::{failure, java_path};
use crate::config::ConfigError;
use crate::io::disk::DiskError;
use crate::io::lock::{FileLock, LockError};
use crate::store::format::{Release, release};
use crate::store::id::StoreVersion;
use crate::store::layout::DatabaseLayout;
use crate::store::neostore::{Field, Neostore, NeostoreError};
use crate::txlog::files::LogFiles;
use crate::txlog::tail::{Tail, last_detached, recovery_reason};
use crate::txlog::{EntryError, LogError};

/// The command and its options.
pub(super) fn definition() -> Command {
    command("store-info")
        .about("Print information about a Neo4j database store.")
        .long_about(
            "Print information about a Neo4j database store, such as what version of Neo4j created it.\n\
             \n\
             Transaction logs are looked for beside the store files, as in a backup, and else in the directory of the \
             configuration.",
        )
        .arg(
            parameter("path", "path")
                .required(true)
                .help("Path to database store files, or databases directory if --all option is used"),
        )
        .arg(flag("structured").help("Return result structured as json"))
        .arg(flag("all").help("Return store info for all databases at provided path"))
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct StoreInfoArguments {
    /// The directory of a database, or with `all` that of several.
    pub path: PathBuf,
    /// JSON instead of lines.
    pub structured: bool,
    /// Every database in the directory.
    pub all: bool,
    /// Chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

impl StoreInfoArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            path: call.value("path")?,
            structured: call.value("structured")?,
            all: call.value("all")?,
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}

/// Why nothing is told. The texts are those of Neo4j's tool.
#[derive(Debug, thiserror::Error)]
enum StoreInfoError {
    #[error("Failed to execute command: 'Provided path {} must point to a directory.'.", .0.display())]
    NoDirectory(PathBuf),
    #[error(
        "Failed to execute command: 'You used the --all option but directory {} contains the store files of a single \
         database, rather than several database directories.'.",
        .0.display()
    )]
    OneDatabase(PathBuf),
    #[error(
        "Failed to execute command: 'Directory {} does not contain the store files of a database, but you did not use \
         the --all option.'.",
        .0.display()
    )]
    NoDatabase(PathBuf),
    #[error("Failed to execute command as the database '{0}' is in use. Please stop it and try again.")]
    InUse(String),
    #[error("Could not find version metadata in store '{}'", .0.display())]
    NoVersion(PathBuf),
    #[error("Failed to execute command: 'Uninitialized version field in {}'.", .0.display())]
    Uninitialized(PathBuf),
    #[error("Failed to execute command: 'Unknown store version '{0}''.")]
    UnknownVersion(StoreVersion),
    #[error("Failed to execute command when checking for recovery state: '{}'.", in_words_of_neo4j(source, *checkpoint))]
    Recovery {
        source: LogError,
        /// The log file that the last checkpoint names.
        checkpoint: Option<u64>,
    },
    #[error("Failed to execute command: '{0}'.")]
    Neostore(#[source] NeostoreError),
    #[error("Failed to execute command: '{0}'.")]
    Disk(#[from] DiskError),
    /// The word for it is that of the configuration alone.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
}

/// Runs the command.
pub(super) fn run(arguments: &StoreInfoArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    if arguments.verbose {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    let told = directories
        .configuration(None, arguments.expand_commands)
        .map_err(StoreInfoError::from)
        .and_then(|configuration| tell(arguments, &configuration.transaction_logs_root));
    match told {
        Ok(text) => {
            streams.out.line(text);
            Exit::Success
        }
        Err(error) if arguments.verbose => {
            failure::report(&streams.err, "", &error, true);
            Exit::Failed
        }
        Err(error) => {
            streams.err.line(&error);
            if let StoreInfoError::Configuration(_) = error {
                streams.err.line(failure::ASK_FOR_MORE);
            }
            Exit::Failed
        }
    }
}

/// The text of the answer. `logs`: the directory that has one of logs for each database.
fn tell(arguments: &StoreInfoArguments, logs: &Path) -> Result<String, StoreInfoError> {
    let path = java_path::absolute(&arguments.path);
    if !path.is_dir() {
        return Err(StoreInfoError::NoDirectory(path));
    }
    match (arguments.all, is_store(&path)) {
        (true, true) => Err(StoreInfoError::OneDatabase(path)),
        (false, false) => Err(StoreInfoError::NoDatabase(path)),
        (false, true) => {
            let info = StoreInfo::of(&path, logs)?;
            if info.in_use {
                return Err(StoreInfoError::InUse(info.database));
            }
            Ok(if arguments.structured { info.structured() } else { info.lines() })
        }
        (true, false) => {
            let infos: Result<Vec<_>, _> =
                databases(&path)?.iter().map(|directory| StoreInfo::of(directory, logs)).collect();
            let infos = infos?.into_iter();
            Ok(if arguments.structured {
                format!("[{}]", infos.map(|info| info.structured()).collect::<Vec<_>>().join(","))
            } else {
                infos.map(|info| info.lines()).collect::<Vec<_>>().join("\n\n")
            })
        }
    }
}

fn is_store(directory: &Path) -> bool {
    DatabaseLayout::flat(directory).neostore().exists()
}

/// The directories of databases below another one, by name.
fn databases(parent: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let failed = |source| DiskError::new("list", parent, source);
    let entries: io::Result<Vec<_>> =
        std::fs::read_dir(parent).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut found = entries.map_err(failed)?;
    found.retain(|path| path.is_dir() && is_store(path));
    found.sort();
    Ok(found)
}

/// What there is to say of a store.
#[derive(Debug)]
struct StoreInfo {
    database: String,
    in_use: bool,
    format: Option<(StoreVersion, Release)>,
    last_transaction: i64,
    needs_recovery: bool,
}

impl StoreInfo {
    fn of(directory: &Path, logs: &Path) -> Result<Self, StoreInfoError> {
        let database =
            directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
        let mut layout = DatabaseLayout::flat(directory);
        match FileLock::check(&layout.lock()) {
            Ok(()) => {}
            Err(LockError::Held { .. }) => {
                return Ok(Self {
                    database,
                    in_use: true,
                    format: None,
                    last_transaction: -1,
                    needs_recovery: true,
                });
            }
            Err(LockError::Disk(error)) => return Err(error.into()),
        }
        let path = layout.neostore();
        if !path.is_file() {
            return Err(StoreInfoError::NoVersion(directory.to_owned()));
        }
        let neostore = Neostore::read(&path).map_err(StoreInfoError::Neostore)?;
        let version = neostore.get(Field::StoreVersion).ok_or(StoreInfoError::Uninitialized(path))?;
        let version = StoreVersion(version.cast_unsigned());
        let release = release(version).ok_or(StoreInfoError::UnknownVersion(version))?;
        let unlisted = |source| StoreInfoError::Recovery { source, checkpoint: None };
        let mut files = LogFiles::list(&layout.logs).map_err(unlisted)?;
        if files.lowest().is_none() && files.checkpoints().next().is_none() {
            layout.logs = logs.join(&database);
            files = LogFiles::list(&layout.logs).map_err(unlisted)?;
        }
        let tail = Tail::find(&files).map_err(|source| {
            let last = last_detached(&files).ok().flatten();
            let checkpoint = last.map(|(_, checkpoint)| checkpoint.position.log_version);
            StoreInfoError::Recovery { source, checkpoint }
        })?;
        Ok(Self {
            database,
            in_use: false,
            format: Some((version, release)),
            last_transaction: neostore.get(Field::LastTransactionId).unwrap_or(-1),
            needs_recovery: recovery_reason(&layout, &files, &tail).is_some(),
        })
    }

    /// Label, key of the JSON object and value, in their order.
    fn entries(&self) -> [(&'static str, &'static str, Option<String>); 7] {
        let format = self.format.as_ref();
        [
            ("Database name:", "databaseName", Some(self.database.clone())),
            ("Database in use:", "inUse", Some(self.in_use.to_string())),
            ("Store format version:", "storeFormat", format.map(|(version, _)| version.to_string())),
            (
                "Store format introduced in:",
                "storeFormatIntroduced",
                format.map(|(_, release)| release.introduced.to_owned()),
            ),
            (
                "Store format superseded in:",
                "storeFormatSuperseded",
                format.and_then(|(_, release)| release.superseded).map(str::to_owned),
            ),
            (
                "Last committed transaction id:",
                "lastCommittedTransaction",
                Some(self.last_transaction.to_string()),
            ),
            ("Store needs recovery:", "recoveryRequired", Some(self.needs_recovery.to_string())),
        ]
    }

    fn lines(&self) -> String {
        let lines = self.entries().into_iter().filter_map(|(label, _, value)| {
            // Columns of the labels: the longest one touches its value.
            value.map(|value| format!("{label:30}{value}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// All values are strings, and nothing in them is escaped: no name of a database needs it.
    fn structured(&self) -> String {
        let members = self.entries().into_iter().map(|(_, key, value)| match value {
            Some(value) => format!("\"{key}\":\"{value}\""),
            None => format!("\"{key}\":null"),
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

/// What Neo4j says of damaged logs, where it says something of its own; scripts may look for it.
fn in_words_of_neo4j(error: &LogError, checkpoint: Option<u64>) -> String {
    match error {
        LogError::Damaged { file, offset, source: EntryError::Checksum { stored, calculated, .. } } => {
            let number = file.extension().map_or_else(String::new, |number| number.to_string_lossy().into_owned());
            let version = first_byte(file, *offset).map_or_else(|_| "?".to_owned(), |byte| byte.to_string());
            format!(
                "java.io.IOException: org.neo4j.io.fs.ChecksumMismatchException: The checksum {calculated} did not \
                 match the stored checksum of {stored}. At position LogPosition{{logVersion={number}, \
                 byteOffset={offset}}} and entry version {version}"
            )
        }
        LogError::Damaged { offset: 0, source: EntryError::Invalid { found, .. }, file }
            if number(file).is_some_and(|number| Some(number) == checkpoint) =>
        {
            format!("java.io.IOException: Unrecognized transaction log format version: {found}")
        }
        // Of a later one it only says that the checkpoint can't be right.
        LogError::CheckpointPosition { .. } | LogError::Damaged { offset: 0, source: EntryError::Invalid { .. }, .. } => {
            "java.lang.RuntimeException: Error reading transaction logs, recovery not possible. To force the database \
             to start anyway, you can specify 'unsupported.dbms.tx_log.fail_on_corrupted_log_files=false'. This will \
             try to recover as much as possible and then truncate the corrupt part of the transaction log. Doing this \
             means your database integrity might be compromised, please consider restoring from a consistent backup \
             instead."
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// The number in the name of a log file.
fn number(file: &Path) -> Option<u64> {
    file.extension()?.to_str()?.parse().ok()
}

/// The version of the entry that starts at `offset`.
fn first_byte(file: &Path, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    File::open(file)?.read_exact_at(&mut byte, offset)?;
    let [byte] = byte;
    Ok(byte)
}
