//! The commit: which segments a partition of an index has.

use std::path::Path;

use super::error::LuceneError;
use super::input::{ID, Part};
use crate::io::disk::Disk;

/// The layouts of Lucene 8.7 to 8.11.
const CODEC: &str = "Lucene87";

/// A segment as a commit names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentCommit {
    /// What the names of its files begin with.
    pub name: String,
    pub id: [u8; ID],
    /// The generation of the file that says which documents are deleted, base 36; `None`: none are.
    pub deletions: Option<String>,
    /// How many are deleted.
    pub deleted: u32,
}

/// Reads `segments_<generation>`.
///
/// | Size   | Field |
/// |-------:|-------|
/// |        | header: `segments`, version 10, id of the commit, the generation, base 36 |
/// | 3 × vint | version of Lucene |
/// |   vint | its first number when the index was made |
/// |      8 | number of the commit |
/// |  vlong | number for the next segment |
/// |      4 | segments |
/// | 3 × vint | oldest version of a segment, if there is one |
/// |        | for each segment: |
/// |   text | name |
/// |     16 | id |
/// |   text | codec, the set of layouts |
/// |      8 | generation of the deletions, -1: none |
/// |      4 | deleted documents |
/// |      8 | generation of the fields, -1: none |
/// |      8 | generation of doc values, -1: none |
/// |      4 | softly deleted documents |
/// |      1 | 1: an id of all this follows |
/// |     16 | that id |
/// |    set | files of changed fields |
/// |      4 | fields with changed doc values |
/// |        | behind the last: map of the user, footer |
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<SegmentCommit>, LuceneError> {
    let part = Part::open(disk, path)?;
    part.verify()?;
    let mut input = part.input();
    input.plain_header("segments", 10..=10)?;
    input.skip("id of the commit", ID as u64)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    input.suffix(name.strip_prefix(super::state::COMMIT).unwrap_or_default())?;
    for _ in 0..4 {
        input.vint("version of Lucene")?;
    }
    input.i64("number of the commit")?;
    input.vlong("number for the next segment")?;
    let count = input.i32("segments")?;
    if count > 0 {
        for _ in 0..3 {
            input.vint("oldest version of a segment")?;
        }
    }
    let mut segments = Vec::new();
    for _ in 0..count {
        let name = input.text("name of a segment")?;
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return Err(input.wrong("name of a segment", &name));
        }
        let mut id = [0; ID];
        input.exact("id of a segment", &mut id)?;
        let codec = input.text("codec")?;
        if codec != CODEC {
            return Err(LuceneError::unknown(path, "codec", &codec));
        }
        let generation = input.i64("generation of the deletions")?;
        let deleted = input.i32("deleted documents")?;
        let deleted = u32::try_from(deleted).map_err(|_| input.wrong("deleted documents", deleted))?;
        for field in ["generation of the fields", "generation of doc values"] {
            let generation = input.i64(field)?;
            if generation != -1 {
                return Err(LuceneError::unknown(path, field, generation));
            }
        }
        let soft = input.i32("softly deleted documents")?;
        if soft != 0 {
            return Err(LuceneError::unknown(path, "number of softly deleted documents", soft));
        }
        match input.u8("mark of an id")? {
            0 => {}
            1 => input.skip("id", ID as u64)?,
            other => return Err(input.wrong("mark of an id", other)),
        }
        let changed = input.set("files of changed fields")?.len();
        let values = input.i32("fields with changed doc values")?;
        if changed != 0 || values != 0 {
            return Err(LuceneError::unknown(path, "number of changed fields", values));
        }
        let deletions = u64::try_from(generation).ok().map(base36);
        segments.push(SegmentCommit { name, id, deletions, deleted });
    }
    Ok(segments)
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((number % 36) as u32, 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base36;

    #[test]
    fn generations_are_written_as_in_names() {
        for (number, text) in [(0, "0"), (35, "z"), (36, "10"), (1297, "101")] {
            assert_eq!(base36(number), text);
        }
    }
}
