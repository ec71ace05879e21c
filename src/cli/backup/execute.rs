//! From the values of a command line to the job, and from its outcomes to messages and an exit code.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::FAILED;
use super::arguments::BackupArguments;
use super::prepare::Prepared;
use crate::backup::BackupError;
use crate::backup::check::CheckSettings;
use crate::backup::job::{Fallback, Job};
use crate::backup::run::{self, Outcome};
use crate::backup::selection::Selection;
use crate::backup::stop::Stop;
use crate::cli::VERSION;
use crate::cli::check_console::CheckConsole;
use crate::cli::exit::Exit;
use crate::cli::failure::{self, root_cause};
use crate::cli::log::{Level, Log};
use crate::cli::progress::LogProgress;
use crate::cli::signals;
use crate::cli::streams::Streams;
use crate::consistency::CheckOptions;
use crate::io::disk::OsDisk;

/// The class that Neo4j's tool names in its lines about several databases.
const SUMMARY_SOURCE: &str = "c.n.b.i.OnlineBackupExecutor";

/// The last line of a run that did all that it was asked for.
const SUCCESS: &str = "Backup complete successful.";

/// Why a run failed that had begun.
#[derive(Debug, thiserror::Error)]
enum ExecuteError {
    /// The network can't be used.
    #[error("the network of this process could not be started")]
    Runtime(#[source] io::Error),
    /// The backup failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// Makes the backups and tells how it went.
pub(super) fn execute(
    arguments: &BackupArguments,
    prepared: &Prepared,
    log: &Log,
    streams: &Streams,
) -> Exit {
    match back_up(arguments, prepared, log, streams) {
        Ok(outcomes) => conclude(&outcomes, arguments, log, streams),
        Err(error) => {
            failure::report(&streams.err, FAILED, &error, arguments.verbose);
            match error {
                ExecuteError::Backup(BackupError::Interrupted(signal)) => Exit::Interrupted(signal),
                _ => Exit::Failed,
            }
        }
    }
}

fn back_up(
    arguments: &BackupArguments,
    prepared: &Prepared,
    log: &Log,
    streams: &Streams,
) -> Result<Vec<Outcome>, ExecuteError> {
    let runtime = runtime(prepared.settings.retries.connections).map_err(ExecuteError::Runtime)?;
    let stop = Stop::default();
    signals::listen(&runtime, &stop).map_err(ExecuteError::Runtime)?;
    let job = Job {
        disk: OsDisk::shared(),
        backup_dir: prepared.backup_dir.clone(),
        servers: prepared.servers.clone(),
        settings: prepared.settings,
        recovery: prepared.recovery,
        check: arguments.checks().then(|| check_settings(arguments, prepared, log, streams)),
        tool_version: VERSION,
        fallback: match (arguments.fallback_to_full, arguments.fallback_on_any_error) {
            (false, _) => Fallback::Never,
            (true, false) => Fallback::IfItHelps,
            (true, true) => Fallback::Always,
        },
        resume: arguments.resume,
        cleanup: arguments.cleanup,
        metadata: arguments.include_metadata,
        progress: Arc::new(LogProgress::new(log.clone())),
        runtime: runtime.handle().clone(),
        stop,
    };
    Ok(run::run(&job, &arguments.database)?)
}

/// Threads for the network: one per connection, because a connection writes to the medium what it receives.
fn runtime(connections: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(connections.clamp(1, 32)).enable_all().build()
}

/// How the copies are checked. Entries of the report are log lines for those who look for a mistake.
fn check_settings(
    arguments: &BackupArguments,
    prepared: &Prepared,
    log: &Log,
    streams: &Streams,
) -> CheckSettings {
    CheckSettings {
        options: CheckOptions { fail_fast: prepared.configuration.fail_fast, ..arguments.check.clone() },
        page_cache: prepared.page_cache,
        threads: thread::available_parallelism().map_or(1, Into::into),
        progress: Arc::new(CheckConsole::of_backup(arguments.verbose.then(|| log.clone()), &streams.err)),
    }
}

/// The last lines and the exit code. Specification: command line 3.1, 3.3.
fn conclude(outcomes: &[Outcome], arguments: &BackupArguments, log: &Log, streams: &Streams) -> Exit {
    if let (Selection::Name(_), [only]) = (&arguments.database, outcomes) {
        let Err(error) = &only.result else {
            streams.out.line(SUCCESS);
            return Exit::Success;
        };
        return match (error, arguments.verbose) {
            (BackupError::Inconsistent { .. }, _) => {
                streams.err.line(error);
                Exit::Inconsistent
            }
            (BackupError::NotChecked { .. }, false) => {
                streams.err.line(error);
                Exit::CheckIncomplete
            }
            (BackupError::NotChecked { .. }, true) => {
                failure::report(&streams.err, "", error, true);
                Exit::CheckIncomplete
            }
            (_, verbose) => {
                failure::report(&streams.err, FAILED, error, verbose);
                Exit::Failed
            }
        };
    }
    let mut all = true;
    for Outcome { database, result } in outcomes {
        let (status, reason) = match result {
            Ok(_) => ("successful", String::new()),
            Err(error) => ("failed", reason(error)),
        };
        all &= result.is_ok();
        let line = format!("databaseName={database}, backupStatus={status}, reason={reason}");
        log.line(Level::Info, SUMMARY_SOURCE, line);
    }
    if all {
        streams.out.line(SUCCESS);
        Exit::Success
    } else {
        streams.err.line(format_args!("{FAILED}Not all databases are backed up"));
        Exit::Failed
    }
}

/// Why one of several failed, in one line: its cause, or what the check said.
fn reason(error: &BackupError) -> String {
    match error {
        BackupError::Inconsistent { .. } | BackupError::NotChecked { .. } => error.to_string(),
        other => root_cause(other),
    }
}
