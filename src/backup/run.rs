//! All databases of one command, one after the other.

use std::path::PathBuf;

use super::BackupError;
use super::job::Job;
use super::selection::{Pattern, Selection};
use super::source::first_reachable;
use crate::catchup::{CatchupError, Dialer};
use crate::io::disk::DiskError;
use crate::io::filesystem::{foreign_owner, network_file_system};

/// How one database came off.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub database: String,
    /// Where its backup is.
    pub result: Result<PathBuf, BackupError>,
}

/// Backs up what is selected. A database that fails does not stop the others; a signal does.
///
/// The error is one that kept the run from its first database, or the signal.
pub fn run(job: &Job, selection: &Selection) -> Result<Vec<Outcome>, BackupError> {
    look_at_directory(job)?;
    let names = match selection {
        Selection::Name(name) => vec![name.clone()],
        Selection::Pattern(pattern) => matching(job, pattern)?,
    };
    let mut outcomes = Vec::new();
    for database in names {
        let result = job.back_up(&database);
        if let Err(BackupError::Interrupted(signal)) = result {
            return Err(BackupError::Interrupted(signal));
        }
        outcomes.push(Outcome { database, result });
    }
    Ok(outcomes)
}

/// Asks for the server's databases.
fn matching(job: &Job, pattern: &Pattern) -> Result<Vec<String>, BackupError> {
    let passed_over = |server: &Dialer, error: &CatchupError| job.passed_over(server, error);
    let databases = job.block_on(async {
        let mut client = first_reachable(&job.servers, passed_over).await?;
        Ok(client.all_database_ids().await?)
    })?;
    let names = pattern.select(databases.into_iter().map(|(name, _)| name).collect());
    if names.is_empty() {
        return Err(BackupError::NoMatch(pattern.as_str().to_owned()));
    }
    Ok(names)
}

/// Says what an operator should know about the directory before anything is written to it.
fn look_at_directory(job: &Job) -> Result<(), DiskError> {
    let directory = job.backup_dir.display();
    if let Some(kind) = network_file_system(&job.backup_dir)? {
        job.warn(format!(
            "'{directory}' is on a network file system ({kind}): locks and forced writes promise less there"
        ));
    }
    if let Some(owner) = foreign_owner(&job.backup_dir)? {
        job.warn(format!(
            "'{directory}' belongs to user {owner}, and this run writes as another one: Neo4j may not be able to read \
             the restored files"
        ));
    }
    Ok(())
}
