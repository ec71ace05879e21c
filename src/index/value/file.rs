//! The file of a value index: its state, and a new one in its place.

use std::path::Path;

use super::ValueLayout;
use crate::gbptree::{Tree, read_header};
use crate::index::replacement::Replacement;
use crate::index::{IndexError, files, open_existing, token};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::page_cache::PageCache;

/// State bytes of the header; those of lookup indexes are others. A message of two bytes length and UTF-8 follows
/// behind [`FAILED`]. Specification: indexes 2.
const FAILED: u8 = 0;
const ONLINE: u8 = 1;
const POPULATING: u8 = 2;

/// What a value index says of itself.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per index")]
pub enum ValueState {
    /// It can be used.
    Online(Tree<ValueLayout>),
    /// It was never completed: Neo4j builds it anew.
    Populating,
    /// Building it failed, with this message; it stays so.
    Failed(String),
    /// There is no file: Neo4j builds it anew.
    Missing,
    /// It says nothing that makes sense, which may keep the database from starting, or it was made for other keys
    /// ([`TreeError::Meta`](crate::gbptree::TreeError::Meta)). It must be built anew, or removed.
    Unusable(IndexError),
}

impl ValueState {
    /// Looks at the file of a value index, which may come from a running database. The file is not changed.
    /// Specification: indexes 9.1.
    pub fn open(
        cache: &PageCache,
        disk: &dyn Disk,
        path: &Path,
        layout: ValueLayout,
    ) -> Result<Self, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(Self::Missing) };
        let header = match read_header(cache, file) {
            Ok(header) => header,
            Err(error) if error.is_mismatch() && !error.is_later_format() => return Ok(Self::Populating),
            Err(error) => return unusable(error.into()),
        };
        match header.as_slice() {
            [ONLINE, ..] => {}
            [POPULATING, ..] => return Ok(Self::Populating),
            [FAILED, message @ ..] => return Ok(Self::Failed(token::failure(message))),
            &[found, ..] => return Ok(Self::Unusable(IndexError::State { path: path.to_owned(), found })),
            [] => return Ok(Self::Failed(NO_HEADER.to_owned())),
        }
        let Some(file) = open_existing(disk, path)? else { return Ok(Self::Missing) };
        match Tree::open(cache, file, layout) {
            Ok(tree) => Ok(Self::Online(tree)),
            Err(error) => unusable(error.into()),
        }
    }
}

/// What Neo4j says of such an index, its stack trace left out.
const NO_HEADER: &str = "Could not read header, most likely caused by index not being fully constructed. Index needs to be recreated.";

/// An error of the medium says nothing about the index.
fn unusable(error: IndexError) -> Result<ValueState, IndexError> {
    if error.is_disk() { Err(error) } else { Ok(ValueState::Unusable(error)) }
}

/// Builds the file of a value index. Until [`finish`](Self::finish) the old one stays in its place.
#[derive(Debug)]
pub struct Builder {
    replacement: Replacement<ValueLayout>,
}

impl Builder {
    /// Starts a file that will stand at `path`; its directory is created if it is missing.
    pub fn new(disk: &SharedDisk, path: &Path, layout: ValueLayout) -> Result<Self, IndexError> {
        files::create_directories(&**disk, path.parent().unwrap_or(path))?;
        Ok(Self { replacement: Replacement::start(disk, path, layout)? })
    }

    /// Adds a key, which must be greater than the one before.
    pub fn push(&mut self, key: &[u8]) -> Result<(), IndexError> {
        self.replacement.push(key, &[])
    }

    /// Completes the index, forces it to the medium and puts it in its place, online.
    pub fn finish(self) -> Result<(), IndexError> {
        self.replacement.finish(&[ONLINE])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::index::value::testing::{key, text};
    use crate::io::disk::OsDisk;
    use crate::store::value::Value;

    /// A directory with an index of two keys below it.
    fn built() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("range-1.0/3/index-3");
        let mut builder = Builder::new(&OsDisk::shared(), &path, ValueLayout::range(1)).unwrap();
        builder.push(&key(8, &[text("a")])).unwrap();
        builder.push(&key(7, &[Value::Int(5)])).unwrap();
        builder.finish().unwrap();
        (dir, path)
    }

    fn open(path: &Path, layout: ValueLayout) -> ValueState {
        ValueState::open(&PageCache::new(1 << 20), &OsDisk, path, layout).unwrap()
    }

    fn keys(tree: &Tree<ValueLayout>) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let mut entries = tree.entries().unwrap();
        while let Some((key, value)) = entries.next().unwrap() {
            assert_eq!(value, b"");
            keys.push(key.to_vec());
        }
        keys
    }

    #[test]
    fn a_built_index_is_online_and_takes_changes() {
        let (_dir, path) = built();
        let ValueState::Online(mut tree) = open(&path, ValueLayout::range(1)) else { panic!("online") };
        assert_eq!(keys(&tree), [key(8, &[text("a")]), key(7, &[Value::Int(5)])]);
        // Equal keys of another kind of number: the new bytes take the place of the old ones.
        assert!(!tree.put(&key(7, &[Value::Double(5.0)]), &[]).unwrap());
        assert!(tree.remove(&key(8, &[text("a")])).unwrap());
        tree.finish(None).unwrap();
        let ValueState::Online(tree) = open(&path, ValueLayout::range(1)) else { panic!("online") };
        assert_eq!(keys(&tree), [key(7, &[Value::Double(5.0)])]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_being_built_is_not_in_its_place() {
        let (_dir, path) = built();
        let before = fs::read(&path).unwrap();
        let mut builder = Builder::new(&OsDisk::shared(), &path, ValueLayout::range(1)).unwrap();
        builder.push(&key(1, &[text("b")])).unwrap();
        drop(builder);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn every_state_is_told() {
        let (_dir, path) = built();
        let layout = ValueLayout::range(1);
        let good = fs::read(&path).unwrap();
        // Of the state page: length of the header, and the header.
        let (length, header) = (8192 + 114, 8192 + 118);
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            fs::write(&path, bytes).unwrap();
            open(&path, layout)
        };
        assert!(matches!(changed(&|_| {}), ValueState::Online(_)));
        assert!(matches!(changed(&|bytes| bytes[header] = 2), ValueState::Populating));
        // Of the meta page: a version that is of no use yet, and the size of a page.
        assert!(matches!(changed(&|bytes| bytes[1] = 9), ValueState::Unusable(_)));
        assert!(matches!(changed(&|bytes| bytes[5] = 9), ValueState::Populating));
        assert!(matches!(changed(&|bytes| bytes.truncate(10)), ValueState::Populating));
        assert!(matches!(changed(&|bytes| bytes.truncate(8192)), ValueState::Populating));
        assert!(matches!(changed(&|bytes| bytes[8192..16384].fill(0)), ValueState::Populating));
        assert!(matches!(changed(&|bytes| bytes[5] = 1), ValueState::Populating), "page size");
        let failed = changed(&|bytes| {
            bytes[length + 3] = 6;
            bytes[header..header + 6].copy_from_slice(b"\0\0\x03why");
        });
        assert!(matches!(failed, ValueState::Failed(message) if message == "why"));
        let empty = changed(&|bytes| bytes[length + 3] = 0);
        assert!(matches!(empty, ValueState::Failed(message) if message.starts_with("Could not read header")));
        let unknown = changed(&|bytes| bytes[header] = 9);
        assert!(matches!(unknown, ValueState::Unusable(IndexError::State { found: 9, .. })));
        let invalid = changed(&|bytes| bytes[8192] ^= 1);
        assert!(matches!(invalid, ValueState::Unusable(_)), "{invalid:?}");
        changed(&|_| {});
        for other in [ValueLayout::range(2), ValueLayout::btree(1), ValueLayout::point()] {
            assert!(matches!(open(&path, other), ValueState::Unusable(_)), "{other:?}");
        }
        // A state that is no use is told whatever the keys are.
        changed(&|bytes| bytes[header] = 2);
        assert!(matches!(open(&path, ValueLayout::point()), ValueState::Populating));
        fs::remove_file(&path).unwrap();
        assert!(matches!(open(&path, layout), ValueState::Missing));
    }
}
