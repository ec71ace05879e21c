//! `restore`: backups become databases of this installation. Specification: command line 6.3.

use std::path::{Path, PathBuf};

use clap::Command;

use super::database_name::{self, DatabaseName};
use super::definition::{command, flag, help_flag, path};
use super::each_backup::{self, EachError, ForEach};
use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::failure::root_cause;
use super::grammar::Call;
use super::java_path;
use super::path_list::{self, BackupPath};
use super::signals;
use super::streams::Streams;
use super::usage::UsageError;
use crate::backup::stop::{Signal, Stop};
use crate::io::disk::OsDisk;
use crate::restore::{Restore, RestoreError};
use crate::store::layout::DatabaseLayout;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("restore")
        .about("Restore a backed up database.")
        .long_about(
            "Restore a backed up database. The database must be stopped. A database that did not exist before must be \
             created afterwards: CREATE DATABASE <name>.\n\
             \n\
             The transactions of a backup that was made with --prepare-restore=false should be applied before: see \
             neo4j-admin help prepare-restore.",
        )
        .arg(path_list::option("from").help(
            "Path or paths from which to restore. Every path can contain asterisks or question marks in the last \
             subpath. Multiple paths may be separated by a comma, but paths themselves must not contain commas.",
        ))
        .arg(database_name::option("database").help(
            "Name of the database after restore. Usage of this option is only allowed if --from parameter point to \
             exact one directory",
        ))
        .arg(flag("force").help("If an existing database should be replaced."))
        .arg(flag("move").help("Moves the backup files to the destination, rather than copying."))
        .arg(path("to-data-directory").help(
            "Base directory for databases. Usage of this option is only allowed if --from parameter point to exact one \
             directory",
        ))
        .arg(path("to-data-tx-directory").help(
            "Base directory for transaction logs. Usage of this option is only allowed if --from parameter point to \
             exact one directory",
        ))
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct RestoreArguments {
    /// Where the backups are.
    pub from: Vec<Vec<BackupPath>>,
    /// Name of the database; by default that of the directory.
    pub database: Option<DatabaseName>,
    /// Replace what is there.
    pub force: bool,
    /// The backup is to be gone afterwards.
    pub moving: bool,
    /// Directory with one for each store.
    pub to_data: Option<PathBuf>,
    /// Directory with one for each database's logs.
    pub to_logs: Option<PathBuf>,
    /// Chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

impl RestoreArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            from: call.all("from"),
            database: call.optional("database"),
            force: call.value("force")?,
            moving: call.value("move")?,
            to_data: call.optional("to-data-directory"),
            to_logs: call.optional("to-data-tx-directory"),
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}

/// Runs the command.
pub(super) fn run(arguments: &RestoreArguments, environment: &Environment, streams: &Streams) -> Exit {
    each_backup::run(arguments.verbose, environment, streams, |directories| {
        restore_all(arguments, directories, streams)
    })
}

fn restore_all(
    arguments: &RestoreArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<(), EachError> {
    let file = directories.conf.join("neo4j.conf");
    if !file.exists() {
        return Err(EachError::NoConfiguration(file));
    }
    let configuration = directories.configuration(None, arguments.expand_commands)?;
    let sources = path_list::resolve(&arguments.from)?;
    if sources.len() > 1 {
        for (given, option) in [
            (arguments.database.is_some(), "--database"),
            (arguments.to_data.is_some(), "--to-data-directory"),
            (arguments.to_logs.is_some(), "--to-data-tx-directory"),
        ] {
            if given {
                return Err(EachError::OnlyForOne(option));
            }
        }
    }
    let given = |directory: &Option<PathBuf>| directory.as_deref().map(java_path::absolute);
    let stop = Stop::default();
    let _signals = signals::runtime(&stop).map_err(EachError::Signals)?;
    let restoring = Restoring {
        arguments,
        databases: given(&arguments.to_data)
            .unwrap_or_else(|| configuration.data_directory.join("databases")),
        logs: given(&arguments.to_logs).unwrap_or_else(|| configuration.transaction_logs_root.clone()),
        cluster_state: configuration.cluster_state_directory,
        stop,
        streams,
    };
    each_backup::each(&restoring, &sources, arguments.verbose, streams)
}

struct Restoring<'a> {
    arguments: &'a RestoreArguments,
    databases: PathBuf,
    logs: PathBuf,
    cluster_state: PathBuf,
    stop: Stop,
    streams: &'a Streams,
}

impl ForEach for Restoring<'_> {
    type Error = RestoreError;

    const NAMES: [&'static str; 2] = ["restorePath", "restoreStatus"];
    const FAILED: &'static str = "Restore command wasn't execute successfully";

    fn work(&self, backup: &Path) -> Result<(), RestoreError> {
        let name = backup.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let database = self.arguments.database.as_ref().map_or(name, |database| database.as_str().to_owned());
        let restore = Restore {
            disk: OsDisk::shared(),
            target: DatabaseLayout {
                database: self.databases.join(&database),
                logs: self.logs.join(&database),
            },
            database,
            source: backup.to_owned(),
            cluster_state: self.cluster_state.clone(),
            force: self.arguments.force,
            moving: self.arguments.moving,
            stop: self.stop.clone(),
        };
        let restored = restore.run()?;
        for remark in &restored.remarks {
            self.streams.out.line(remark);
        }
        if let Some(script) = &restored.metadata_script {
            self.streams.out.line(format_args!(
                "You need to execute {}. To execute the file use cypher-shell command with parameter `database => '{}'`",
                script.display(),
                restore.database
            ));
        }
        Ok(())
    }

    fn signal(error: &RestoreError) -> Option<Signal> {
        if let RestoreError::Interrupted(signal) = error { Some(*signal) } else { None }
    }

    /// A refusal is told as Neo4j tells it, not as the system does.
    fn reason(error: &RestoreError) -> String {
        match error {
            RestoreError::NoPermission(_) => error.to_string(),
            other => root_cause(other),
        }
    }
}
