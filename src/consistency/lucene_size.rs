//! How many documents a Lucene index has.
//!
//! From Lucene's description of its files: each segment has a file `_<n>.si`, which begins with
//!
//! | Size     | Field                                                    |
//! |---------:|----------------------------------------------------------|
//! |        4 | `3fd76c17`                                               |
//! |     1, n | length of the name of the codec, and the name            |
//! |        4 | version                                                  |
//! |       16 | id of the segment                                        |
//! |     1, n | length of a suffix, and the suffix                       |
//! |       12 | version of Lucene: three numbers                         |
//! |        1 | whether the version follows that the segment began with  |
//! |       12 | that version                                             |
//! |        4 | documents, deleted ones too                              |
//!
//! all numbers big-endian.

use std::path::Path;

use super::error::CheckError;
use crate::io::bytes::{OutOfBytes, Reader};
use crate::io::disk::{Disk, DiskError};

const MAGIC: i32 = 0x3fd7_6c17;
/// Bytes that all of this takes at most.
const HEAD: usize = 1024;

/// The documents of all segments below the directory of an index; segments that can't be read have none.
pub(super) fn documents(disk: &dyn Disk, directory: &Path) -> Result<u64, CheckError> {
    let mut documents = 0;
    for partition in list(directory)? {
        if !partition
            .file_name()
            .is_some_and(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        {
            continue;
        }
        for path in list(&partition)? {
            if path.extension().is_some_and(|extension| extension == "si") {
                let file = disk.open(&path)?;
                let mut head = [0; HEAD];
                let length = file.read_at(0, &mut head)?;
                let head = head.get(..length).unwrap_or_default();
                documents += u64::from(of_segment(head).ok().flatten().unwrap_or_default());
            }
        }
    }
    Ok(documents)
}

fn list(directory: &Path) -> Result<Vec<std::path::PathBuf>, CheckError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |source| DiskError::new("list", directory, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        paths.push(entry.map_err(fail)?.path());
    }
    Ok(paths)
}

/// `None`: it is no such file.
fn of_segment(head: &[u8]) -> Result<Option<u32>, OutOfBytes> {
    let mut reader = Reader::new(head);
    if reader.i32("magic")? != MAGIC {
        return Ok(None);
    }
    let name = reader.u8("length of the codec")?;
    reader.bytes("codec", name.into())?;
    reader.i32("version")?;
    reader.bytes("id", 16)?;
    let suffix = reader.u8("length of the suffix")?;
    reader.bytes("suffix", suffix.into())?;
    reader.bytes("version of Lucene", 12)?;
    if reader.u8("whether a least version follows")? == 1 {
        reader.bytes("least version", 12)?;
    }
    Ok(u32::try_from(reader.i32("documents")?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_of_a_segment_are_read() {
        let mut head = b"\x3f\xd7\x6c\x17\x13Lucene86SegmentInfo\0\0\0\0".to_vec();
        head.extend([7; 16]);
        head.extend(b"\0\0\0\0\x08\0\0\0\x0b\0\0\0\x02\x01\0\0\0\x08\0\0\0\x0b\0\0\0\x02\0\0\x01\x69\x01");
        assert_eq!(of_segment(&head), Ok(Some(0x169)));
        for length in 0..head.len() - 1 {
            assert!(of_segment(&head[..length]).is_err());
        }
        head[0] = 0;
        assert_eq!(of_segment(&head), Ok(None));
    }
}
