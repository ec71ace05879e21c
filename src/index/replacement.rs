//! A tree that is built beside the file that it replaces: there is always the old file or the new one.

use std::path::{Path, PathBuf};

use super::IndexError;
use crate::gbptree::{Builder, Layout};
use crate::io::disk::{DiskError, DiskFile, SharedDisk};
use crate::store::layout::BUILDING;
use crate::store::page_cache::FRAME_SIZE;

/// A tree in the making. When it is dropped before [`finish`](Self::finish), nothing is left of it.
#[derive(Debug)]
pub struct Replacement<L> {
    builder: Builder<L>,
    place: Place,
}

impl<L: Layout> Replacement<L> {
    /// Starts a tree that will stand at `path`. The directory must exist.
    pub fn start(disk: &SharedDisk, path: &Path, layout: L) -> Result<Self, IndexError> {
        let (place, file) = Place::beside(disk, path)?;
        Ok(Self { builder: Builder::new(file, layout, FRAME_SIZE)?, place })
    }

    /// Adds an entry; its key must be greater than the one before.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        Ok(self.builder.push(key, value)?)
    }

    /// Completes the tree, forces it to the medium and puts it in its place. Whoever has the old file open still sees
    /// the old one.
    pub fn finish(self, header: &[u8]) -> Result<(), IndexError> {
        self.builder.finish(header)?;
        Ok(self.place.take()?)
    }
}

/// A temporary file and the place that it shall take.
#[derive(Debug)]
struct Place {
    disk: SharedDisk,
    temporary: PathBuf,
    /// `None`: it is taken.
    path: Option<PathBuf>,
}

impl Place {
    fn beside(disk: &SharedDisk, path: &Path) -> Result<(Self, Box<dyn DiskFile>), DiskError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(BUILDING);
        let temporary = PathBuf::from(temporary);
        let file = disk.create(&temporary, 0o666)?;
        Ok((Self { disk: disk.clone(), temporary, path: Some(path.to_owned()) }, file))
    }

    fn take(mut self) -> Result<(), DiskError> {
        let Some(path) = self.path.take() else { return Ok(()) };
        if let Err(error) = self.disk.rename(&self.temporary, &path) {
            self.path = Some(path);
            return Err(error);
        }
        self.disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.path.is_some() {
            // What failed before is told; a file that stays behind is removed by the next run.
            let _ = self.disk.remove_file(&self.temporary);
        }
    }
}

/// Removes what an interrupted run was building in a directory.
pub fn remove_unfinished(disk: &SharedDisk, directory: &Path) -> Result<(), DiskError> {
    let list = |source| DiskError::new("list", directory, source);
    for entry in std::fs::read_dir(directory).map_err(list)? {
        let path = entry.map_err(list)?.path();
        if path.as_os_str().as_encoded_bytes().ends_with(BUILDING.as_bytes()) {
            disk.remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::token::TokenLayout;
    use crate::io::disk::OsDisk;

    #[test]
    fn what_is_given_up_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, path) = (OsDisk::shared(), dir.path().join("index"));
        std::fs::write(&path, b"old").unwrap();
        let replacement = Replacement::start(&disk, &path, TokenLayout).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        drop(replacement);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        // As a killed process leaves it.
        std::mem::forget(Replacement::start(&disk, &path, TokenLayout).unwrap());
        remove_unfinished(&disk, dir.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
