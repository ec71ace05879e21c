//! `restore`: backups become databases of this installation. Specification: command line 6.3.

use std::path::PathBuf;

use clap::Command;

use super::database_name::{self, DatabaseName};
use super::definition::{command, flag, help_flag, path};
use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::failure::{self, root_cause};
use super::grammar::Call;
use super::java_path;
use super::path_list::{self, BackupPath};
use super::signals;
use super::streams::Streams;
use super::usage::UsageError;
use crate::backup::stop::{Signal, Stop};
use crate::config::{ConfigError, Configuration, Sources};
use crate::io::disk::{DiskError, OsDisk};
use crate::restore::{Restore, RestoreError, Restored};
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

/// Why nothing is restored.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("Config file [{}] does not exist.", .0.display())]
    NoConfiguration(PathBuf),
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error("{0} parameter can be applied only when --from match single path")]
    OnlyForOne(&'static str),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("signals can't be received: {0}")]
    Signals(#[source] std::io::Error),
    #[error("Restore command wasn't execute successfully")]
    Failed,
    #[error("interrupted by {0}")]
    Interrupted(Signal),
}

/// Runs the command.
pub(super) fn run(arguments: &RestoreArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    if arguments.verbose {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    match restore(arguments, &directories, streams) {
        Ok(()) => Exit::Success,
        Err(error) => {
            let of_configuration = matches!(error, CommandError::Configuration(_));
            failure::report_of_command(&streams.err, &error, of_configuration, arguments.verbose);
            match error {
                CommandError::Interrupted(signal) => Exit::Interrupted(signal),
                _ => Exit::Failed,
            }
        }
    }
}

fn restore(
    arguments: &RestoreArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<(), CommandError> {
    let file = directories.conf.join("neo4j.conf");
    if !file.exists() {
        return Err(CommandError::NoConfiguration(file));
    }
    let configuration = Configuration::load(&Sources {
        conf: &directories.conf,
        home: &directories.home,
        policy_home: &directories.home,
        additional: None,
        expand_commands: arguments.expand_commands,
    })?;
    let sources = path_list::resolve(&arguments.from)?;
    if sources.len() > 1 {
        for (given, option) in [
            (arguments.database.is_some(), "--database"),
            (arguments.to_data.is_some(), "--to-data-directory"),
            (arguments.to_logs.is_some(), "--to-data-tx-directory"),
        ] {
            if given {
                return Err(CommandError::OnlyForOne(option));
            }
        }
    }
    let given = |directory: &Option<PathBuf>| directory.as_deref().map(java_path::absolute);
    let databases =
        given(&arguments.to_data).unwrap_or_else(|| configuration.data_directory.join("databases"));
    let logs = given(&arguments.to_logs).unwrap_or_else(|| configuration.transaction_logs_root.clone());
    let stop = Stop::default();
    let _signals = signals::runtime(&stop).map_err(CommandError::Signals)?;
    let mut all = true;
    for source in sources {
        let name = source.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let database = arguments.database.as_ref().map_or(name, |database| database.as_str().to_owned());
        let restore = Restore {
            disk: OsDisk::shared(),
            target: DatabaseLayout { database: databases.join(&database), logs: logs.join(&database) },
            database,
            source,
            cluster_state: configuration.cluster_state_directory.clone(),
            force: arguments.force,
            moving: arguments.moving,
            stop: stop.clone(),
        };
        let result = restore.run();
        all &= result.is_ok();
        tell(&restore, &result, arguments.verbose, streams);
        if let Err(RestoreError::Interrupted(signal)) = result {
            return Err(CommandError::Interrupted(signal));
        }
    }
    if all { Ok(()) } else { Err(CommandError::Failed) }
}

/// The line of one backup, and what is left to do.
fn tell(restore: &Restore, result: &Result<Restored, RestoreError>, verbose: bool, streams: &Streams) {
    let (status, reason) = match result {
        Ok(restored) => {
            for remark in &restored.remarks {
                streams.out.line(remark);
            }
            if let Some(script) = &restored.metadata_script {
                streams.out.line(format_args!(
                    "You need to execute {}. To execute the file use cypher-shell command with parameter `database => \
                     '{}'`",
                    script.display(),
                    restore.database
                ));
            }
            ("successful", String::new())
        }
        Err(error) => {
            if verbose {
                failure::report(&streams.err, "", error, true);
            }
            ("failed", reason(error))
        }
    };
    let path = restore.source.display();
    streams.out.line(format_args!("restorePath={path}, restoreStatus={status}, reason={reason}"));
}

/// The text of an error; a refusal is told as Neo4j tells it, not as the system does.
fn reason(error: &RestoreError) -> String {
    match error {
        RestoreError::NoPermission(_) => error.to_string(),
        other => root_cause(other),
    }
}
