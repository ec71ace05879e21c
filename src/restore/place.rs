//! The two directories of a database of an installation, and what stands beside them while they are replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RestoreError;
use crate::io::disk::{Disk, DiskError};
use crate::io::filesystem::remove_tree;
use crate::store::layout::{DatabaseLayout, QUARANTINE_MARKER};

/// What the marker of a directory says that a restore has made and not finished. What follows is the backup.
///
/// | Offset | Size | Field                        |
/// |-------:|-----:|------------------------------|
/// |      0 |    4 | bytes of the text, big-endian |
/// |      4 |      | the text                     |
///
/// Specification: store format 1.5.
const MARK: &str = "neo4j-admin restore did not come to its end: run it again. Backup: ";

/// Where a database goes.
#[derive(Debug)]
pub(super) struct Places {
    /// Its store.
    pub store: Place,
    /// Its logs, unless they lie with the store.
    logs: Option<Place>,
}

impl Places {
    pub fn new(layout: &DatabaseLayout, database: &str) -> Self {
        let logs = (layout.logs != layout.database).then(|| Place::new(&layout.logs, database));
        Self { store: Place::new(&layout.database, database), logs }
    }

    /// The store first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Place> {
        std::iter::once(&self.store).chain(&self.logs)
    }

    /// Its logs, if they lie apart.
    pub fn logs(&self) -> Option<&Place> {
        self.logs.as_ref()
    }

    /// Where a file goes.
    pub fn of(&self, is_log: bool) -> &Place {
        self.logs.as_ref().filter(|_| is_log).unwrap_or(&self.store)
    }
}

/// A directory that is replaced as a whole.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    parent: PathBuf,
    database: String,
}

impl Place {
    fn new(directory: &Path, database: &str) -> Self {
        let parent = directory.parent().unwrap_or(directory).to_owned();
        Self { directory: directory.to_owned(), parent, database: database.to_owned() }
    }

    /// The place itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory above.
    pub fn parent(&self) -> &Path {
        &self.parent
    }

    /// Where the new directory grows, and the old one goes. No database has a name that begins with a dot.
    pub fn beside(&self) -> PathBuf {
        self.parent.join(format!(".{}.restoring", self.database))
    }

    /// Locked by the run that restores the database; never deleted.
    pub fn lock(&self) -> PathBuf {
        self.parent.join(format!(".{}.lock", self.database))
    }

    /// Marks the new directory as complete and not yet in use. `source`: the backup that is in it.
    pub fn mark(&self, disk: &dyn Disk, source: &Path) -> Result<(), DiskError> {
        let beside = self.beside();
        let file = disk.create(&beside.join(QUARANTINE_MARKER), 0o666)?;
        let text = [MARK.as_bytes(), source.as_os_str().as_encoded_bytes()].concat();
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        file.write_at(0, &[&length.to_be_bytes(), text.as_slice()].concat())?;
        file.sync()?;
        disk.sync_dir(&beside)
    }

    /// The backup in a directory that was marked so; `None`: it has no mark.
    pub fn marked_with(directory: &Path) -> Result<Option<PathBuf>, DiskError> {
        let marker = directory.join(QUARANTINE_MARKER);
        match fs::read(&marker) {
            Ok(text) => Ok(text.get(4..).and_then(|text| text.strip_prefix(MARK.as_bytes())).map(|source| {
                PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(source))
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(source) => Err(DiskError::new("read", &marker, source)),
        }
    }

    /// Takes the mark away from what lies at the place.
    pub fn unmark(&self, disk: &dyn Disk) -> Result<(), RestoreError> {
        if Self::marked_with(&self.directory)?.is_some() {
            disk.remove_file(&self.directory.join(QUARANTINE_MARKER))?;
            disk.sync_dir(&self.directory)?;
        }
        Ok(())
    }

    /// Puts the new directory in its place, and an old one beside it.
    pub fn switch(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let beside = self.beside();
        if fs::symlink_metadata(&self.directory).is_err() {
            disk.rename(&beside, &self.directory)?;
        } else if !disk.exchange(&beside, &self.directory)? {
            // Without an exchange of names there is a moment without anything at the place. The new directory is there
            // and marked, so the next run ends what this one began.
            disk.rename(&self.directory, &self.aside())?;
            self.switch_without_exchange(disk)?;
        }
        disk.sync_dir(&self.parent)
    }

    /// Puts what is at the place aside, so that there is nothing.
    pub fn set_aside(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if fs::symlink_metadata(&self.directory).is_ok() {
            disk.rename(&self.directory, &self.aside())?;
            disk.sync_dir(&self.parent)?;
        }
        Ok(())
    }

    /// Undoes [`Self::set_aside`].
    pub fn take_back(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if self.is_between() {
            self.clear(disk)?;
            disk.rename(&self.aside(), &self.directory)?;
            disk.sync_dir(&self.parent)?;
        }
        Ok(())
    }

    /// Puts the new directory in its place, from which the old one may have been set aside.
    pub fn put_in_place(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if self.is_between() { self.finish_switch(disk) } else { self.switch(disk) }
    }

    /// Whether a switch was stopped between its steps.
    pub fn is_between(&self) -> bool {
        self.aside().exists()
    }

    /// Ends a switch that was stopped between its steps.
    pub fn finish_switch(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if self.is_between() {
            self.switch_without_exchange(disk)?;
            disk.sync_dir(&self.parent)?;
        }
        Ok(())
    }

    /// The steps behind the one that put the old directory aside.
    fn switch_without_exchange(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if Self::marked_with(&self.beside())?.is_some() {
            self.clear(disk)?;
            disk.rename(&self.beside(), &self.directory)?;
        }
        disk.rename(&self.aside(), &self.beside())
    }

    /// Deletes what Neo4j has made at the place while nothing was there: it refused to start, and left empty logs.
    fn clear(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        if self.directory.exists() { remove_tree(disk, &self.directory) } else { Ok(()) }
    }

    /// Where the old directory is for a moment if two names can't be exchanged.
    fn aside(&self) -> PathBuf {
        self.parent.join(format!(".{}.replaced", self.database))
    }
}
