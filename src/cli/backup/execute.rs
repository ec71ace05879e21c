//! From the values of a command line to the job, and from its outcomes to messages and an exit code.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::FAILED;
use super::arguments::BackupArguments;
use super::prepare::Prepared;
use crate::backup::BackupError;
use crate::backup::job::{Fallback, Job};
use crate::backup::progress::{Event, Progress};
use crate::backup::run::{self, Outcome};
use crate::backup::selection::Selection;
use crate::backup::stop::Stop;
use crate::cli::VERSION;
use crate::cli::exit::Exit;
use crate::cli::failure::{self, root_cause};
use crate::cli::log::{Level, Log};
use crate::cli::progress::LogProgress;
use crate::cli::signals;
use crate::cli::streams::Streams;
use crate::io::disk::OsDisk;

/// The class that Neo4j's tool names in its lines about several databases.
const SUMMARY_SOURCE: &str = "c.n.b.i.OnlineBackupExecutor";

/// The last line of a run that did all that it was asked for.
const SUCCESS: &str = "Backup complete successful.";

/// What a copy that was not checked although this was demanded is reported as.
const NOT_CHECKED: &str = "Failed to do consistency check on the backup";

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
    match back_up(arguments, prepared, log) {
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
) -> Result<Vec<Outcome>, ExecuteError> {
    let runtime = runtime(prepared.settings.retries.connections).map_err(ExecuteError::Runtime)?;
    let stop = Stop::default();
    signals::listen(&runtime, &stop).map_err(ExecuteError::Runtime)?;
    let progress = Arc::new(LogProgress::new(log.clone()));
    let job = Job {
        disk: OsDisk::shared(),
        backup_dir: prepared.backup_dir.clone(),
        servers: prepared.servers.clone(),
        settings: prepared.settings,
        recovery: prepared.recovery,
        tool_version: VERSION,
        fallback: match (arguments.fallback_to_full, arguments.fallback_on_any_error) {
            (false, _) => Fallback::Never,
            (true, false) => Fallback::IfItHelps,
            (true, true) => Fallback::Always,
        },
        resume: arguments.resume,
        cleanup: arguments.cleanup,
        metadata: arguments.include_metadata,
        progress: progress.clone(),
        runtime: runtime.handle().clone(),
        stop,
    };
    let outcomes = run::run(&job, &arguments.database)?;
    if arguments.checks() && outcomes.iter().any(|outcome| outcome.result.is_ok()) {
        let text = "The copy is not checked: this version has no consistency checker";
        progress.report(&Event::Warning(text.to_owned()));
    }
    Ok(outcomes)
}

/// Threads for the network: one per connection, because a connection writes to the medium what it receives.
fn runtime(connections: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(connections.clamp(1, 32)).enable_all().build()
}

/// Whether a check was demanded; by default it is left out with a word in the log.
fn demands_check(arguments: &BackupArguments) -> bool {
    arguments.check_consistency_given && arguments.checks()
}

/// The last lines and the exit code. Specification: command line 3.1, 3.3.
fn conclude(outcomes: &[Outcome], arguments: &BackupArguments, log: &Log, streams: &Streams) -> Exit {
    let demanded = demands_check(arguments);
    if let (Selection::Name(_), [only]) = (&arguments.database, outcomes) {
        return match &only.result {
            Err(error) => {
                failure::report(&streams.err, FAILED, error, arguments.verbose);
                Exit::Failed
            }
            Ok(_) if demanded => {
                streams.err.line(NOT_CHECKED);
                Exit::CheckIncomplete
            }
            Ok(_) => {
                streams.out.line(SUCCESS);
                Exit::Success
            }
        };
    }
    let mut all = true;
    for Outcome { database, result } in outcomes {
        let failed = match result {
            Err(error) => Some(root_cause(error)),
            Ok(_) if demanded => Some(NOT_CHECKED.to_owned()),
            Ok(_) => None,
        };
        all &= failed.is_none();
        let status = if failed.is_some() { "failed" } else { "successful" };
        let reason = failed.unwrap_or_default();
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
