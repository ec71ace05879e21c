//! Whether a Lucene index is complete.
//!
//! | In the directory of the index | What it is |
//! |---|---|
//! | `failure-message` | zeros, or why building the index failed, UTF-8 |
//! | `1`, `2` ... | partitions, each an index of Lucene's own |
//! | `<partition>/segments_<generation>` | a commit; the greatest generation, base 36, counts |
//!
//! Specification: indexes 7.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::CrcReader;

use super::super::IndexError;
use super::super::files::names;
use crate::io::disk::DiskError;

/// Start of the name of a commit.
pub(in crate::index) const COMMIT: &str = "segments_";
/// Longest message of a failure, in bytes.
const MAX_MESSAGE: u64 = 16 << 10;

/// What a Lucene index says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LuceneState {
    /// It can be used.
    Online,
    /// It was never completed, or can't be read: Neo4j builds it anew.
    Populating,
    /// Building it failed, with this message; it stays so.
    Failed(String),
    /// There is no directory.
    Missing,
}

/// The state of the index in a directory. Specification: indexes 9.1.
pub fn state(directory: &Path) -> Result<LuceneState, IndexError> {
    if let Some(message) = failure(&directory.join("failure-message"))? {
        return Ok(LuceneState::Failed(message));
    }
    let mut online = None;
    for partition in partitions(directory)? {
        let commit = last_commit(&partition)?;
        let Some(marked) = commit.map(|path| read_commit(&path)).transpose()?.flatten() else {
            return Ok(LuceneState::Populating);
        };
        // The first partition speaks for all.
        online.get_or_insert(marked);
    }
    Ok(match online {
        Some(true) => LuceneState::Online,
        Some(false) => LuceneState::Populating,
        None if directory.is_dir() => LuceneState::Populating,
        None => LuceneState::Missing,
    })
}

/// The partitions of an index in their order.
pub(super) fn partitions(directory: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut partitions: Vec<(u64, String)> = names(directory)?
        .into_iter()
        .filter(|name| name.bytes().all(|digit| digit.is_ascii_digit()))
        .filter_map(|name| Some((name.parse().ok()?, name)))
        .collect();
    partitions.sort_unstable();
    Ok(partitions.into_iter().map(|(_, name)| directory.join(name)).collect())
}

fn failure(path: &Path) -> Result<Option<String>, DiskError> {
    let mut message = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_MESSAGE).read_to_end(&mut message));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::new("read", path, error)),
    }
    if message.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let text = message.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

/// The commit that counts.
pub(super) fn last_commit(partition: &Path) -> Result<Option<PathBuf>, DiskError> {
    let generation =
        |name: &str| name.strip_prefix(COMMIT).and_then(|digits| u64::from_str_radix(digits, 36).ok());
    let last = names(partition)?.into_iter().max_by_key(|name| generation(name));
    Ok(last.filter(|name| generation(name).is_some()).map(|name| partition.join(name)))
}

/// | From the end | Size | Field                                              |
/// |-------------:|-----:|----------------------------------------------------|
/// |           31 |   15 | the only entry of the map of the user: `status`, `online` |
/// |           16 |    4 | mark of a footer                                   |
/// |           12 |    4 | algorithm of the checksum: 0                       |
/// |            8 |    8 | CRC-32 of all before                               |
///
/// Specification: indexes 7.1.
const MARKER: &[u8; 15] = b"\x01\x06status\x06online";
const FOOTER: [u8; 8] = [0xc0, 0x28, 0x93, 0xe8, 0, 0, 0, 0];
const CHECKSUM: usize = 8;
const TAIL: usize = MARKER.len() + FOOTER.len() + CHECKSUM;

/// Whether the commit is marked as online; `None`: it is damaged.
fn read_commit(path: &Path) -> Result<Option<bool>, DiskError> {
    let read = || -> io::Result<Option<bool>> {
        let mut file = File::open(path)?;
        let Some(covered) = file.metadata()?.len().checked_sub(CHECKSUM as u64) else { return Ok(None) };
        let mut covered = CrcReader::new((&mut file).take(covered));
        io::copy(&mut covered, &mut io::sink())?;
        let expected = u64::from(covered.crc().sum());
        if file.metadata()?.len() < TAIL as u64 {
            return Ok(None);
        }
        let mut tail = [0; TAIL];
        file.seek(SeekFrom::End(-(TAIL as i64)))?;
        file.read_exact(&mut tail)?;
        let Some((marker, rest)) = tail.split_first_chunk::<{ MARKER.len() }>() else { return Ok(None) };
        let Some((footer, checksum)) = rest.split_first_chunk::<{ FOOTER.len() }>() else { return Ok(None) };
        let whole = *footer == FOOTER && *checksum == expected.to_be_bytes();
        Ok(whole.then_some(marker == MARKER))
    };
    read().map_err(|source| DiskError::new("read", path, source))
}

#[cfg(test)]
pub(in crate::index) mod testing {
    use super::*;

    /// A commit.
    pub fn commit(online: bool) -> Vec<u8> {
        let mut bytes = b"what Lucene keeps there".to_vec();
        if online {
            bytes.extend_from_slice(MARKER);
        }
        bytes.extend_from_slice(&FOOTER);
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes);
        bytes.extend_from_slice(&u64::from(checksum.sum()).to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::testing::commit;
    use super::*;

    fn state_of(files: &[(&str, Vec<u8>)]) -> LuceneState {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join("index").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        state(&dir.path().join("index")).unwrap()
    }

    #[test]
    fn the_files_tell_the_state() {
        use LuceneState::{Failed, Missing, Online, Populating};
        let online = || commit(true);
        let mut damaged = commit(true);
        damaged[3] ^= 1;
        let no_failure = ("failure-message", vec![0; 16384]);
        let mut message = vec![0; 16384];
        message[..5].copy_from_slice(b"oh no");
        for (files, expected) in [
            (vec![], Missing),
            (vec![no_failure.clone()], Populating),
            (vec![("1/_0.cfs", vec![])], Populating),
            (vec![no_failure.clone(), ("1/segments_3", online())], Online),
            (vec![("1/segments_3", commit(false))], Populating),
            (vec![("1/segments_3", damaged.clone())], Populating),
            (vec![("1/segments_3", vec![])], Populating),
            (vec![("1/segments_3", online()[..20].to_vec())], Populating),
            // Generations are numbers, not words.
            (vec![("1/segments_9", commit(false)), ("1/segments_1a", online())], Online),
            (vec![("1/segments_z", online()), ("1/segments_10", commit(false))], Populating),
            (vec![("1/segments_2", online()), ("1/pending_segments_3", vec![])], Online),
            // Only the first partition has the mark that counts, but all must be whole.
            (vec![("1/segments_3", online()), ("2/segments_1", commit(false))], Online),
            (vec![("2/segments_3", commit(false)), ("10/segments_1", online())], Populating),
            (vec![("1/segments_3", online()), ("2/_0.cfs", vec![])], Populating),
            (vec![("1/segments_3", online()), ("2/segments_3", damaged)], Populating),
            (vec![("1/segments_3", online()), ("other/file", vec![])], Online),
            (vec![("failure-message", message), ("1/segments_3", online())], Failed("oh no".to_owned())),
        ] {
            let names: Vec<_> = files.iter().map(|(name, content)| (name, content.len())).collect();
            assert_eq!(state_of(&files), expected, "{names:?}");
        }
    }
}
