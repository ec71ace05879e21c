//! Which databases a path means.

use std::path::{Path, PathBuf};

use super::is_database;
use crate::io::disk::DiskError;
use crate::store::layout::DatabaseLayout;
use crate::txlog::files::LogFiles;

/// A database and where its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub database: String,
    /// Its directories.
    pub layout: DatabaseLayout,
}

/// The databases that a path means: one directory of a database, a backup directory, or the data directory of a server.
/// `logs`: where a server with the configuration at hand keeps its logs.
pub fn find(path: &Path, logs: &Path) -> Result<Vec<Found>, DiskError> {
    if is_database(path) {
        return Ok(vec![found(path, logs)]);
    }
    let databases = path.join("databases");
    let parent = if databases.is_dir() { &databases } else { path };
    let failed = |source| DiskError::new("list", parent, source);
    let mut directories: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(failed)? {
        directories.push(entry.map_err(failed)?.path());
    }
    directories.retain(|directory| is_database(directory));
    directories.sort();
    Ok(directories.iter().map(|directory| found(directory, logs)).collect())
}

/// Logs lie with the store in a backup, and apart from it in the data directory of a server.
fn found(directory: &Path, configured: &Path) -> Found {
    let name = directory.file_name().unwrap_or_default();
    let mut layout = DatabaseLayout::flat(directory);
    let has_logs = |directory: &Path| {
        // One that can't be listed is where they should be: its error is told later.
        LogFiles::list(directory)
            .map_or(true, |files| files.lowest().is_some() || files.checkpoints().next().is_some())
    };
    if !has_logs(directory) {
        let beside =
            directory.parent().and_then(Path::parent).map(|data| data.join("transactions").join(name));
        let candidates = [beside, Some(configured.join(name))];
        if let Some(logs) = candidates.into_iter().flatten().find(|logs| logs.is_dir() && has_logs(logs)) {
            layout.logs = logs;
        }
    }
    Found { database: name.to_string_lossy().to_lowercase(), layout }
}
