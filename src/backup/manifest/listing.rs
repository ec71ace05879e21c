//! The files of a backup directory.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{MANIFEST_FILE, NEW_MANIFEST_FILE};
use crate::backup::copy_state::COPY_STATE_FILE;
use crate::io::disk::DiskError;
use crate::store::layout::DATABASE_LOCK;

/// An entry of a backup that is no directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// A file.
    File {
        /// Below the directory, with `/` between the components.
        path: String,
        /// Bytes.
        size: u64,
    },
    /// A link, a device, or something with a name that is no text: nothing that a backup writes.
    Odd(PathBuf),
}

impl Listed {
    /// Where it is.
    pub fn path(&self, directory: &Path) -> PathBuf {
        match self {
            Self::File { path, .. } => directory.join(path),
            Self::Odd(path) => directory.join(path),
        }
    }
}

/// Whether a path of a manifest leads to a file below the directory.
pub(super) fn is_below(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

/// What comes and goes beside a backup.
const NOT_LISTED: [&str; 4] = [MANIFEST_FILE, NEW_MANIFEST_FILE, DATABASE_LOCK, COPY_STATE_FILE];

/// Everything below a directory but the manifest, the lock and the state of a copy that is about to be finished, files in the order of their paths.
pub(super) fn list(directory: &Path) -> Result<Vec<Listed>, DiskError> {
    let mut found = Vec::new();
    let mut waiting = vec![OsString::new()];
    while let Some(prefix) = waiting.pop() {
        let here = directory.join(&prefix);
        let failed = |source| DiskError::new("list", &here, source);
        for entry in fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let mut path = prefix.clone();
            if !path.is_empty() {
                path.push("/");
            }
            path.push(entry.file_name());
            let metadata = match entry.metadata() {
                // A temporary file of another program may go while the directory is read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|source| DiskError::new("examine", &entry.path(), source))?,
            };
            if metadata.is_dir() {
                waiting.push(path);
                continue;
            }
            match path.into_string() {
                Ok(path) if NOT_LISTED.contains(&path.as_str()) => {}
                Ok(path) if metadata.is_file() => found.push(Listed::File { path, size: metadata.len() }),
                Ok(path) => found.push(Listed::Odd(path.into())),
                Err(path) => found.push(Listed::Odd(path.into())),
            }
        }
    }
    found.sort_by(|a, b| match (a, b) {
        (Listed::File { path: a, .. }, Listed::File { path: b, .. }) => a.cmp(b),
        (a, b) => a.path(Path::new("")).cmp(&b.path(Path::new(""))),
    });
    Ok(found)
}
