//! A segment: what it says of itself, and its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::commit::SegmentCommit;
use super::error::LuceneError;
use super::input::{ID, Part};
use crate::io::disk::Disk;

/// The files of a segment.
#[derive(Debug)]
pub(super) struct Files {
    /// The segment's files begin with this.
    base: PathBuf,
    pub id: [u8; ID],
    /// Documents, deleted ones too.
    pub documents: u32,
    /// Names of all files.
    names: Vec<String>,
    /// The parts of the compound file.
    compound: Option<Compound>,
}

#[derive(Debug)]
struct Compound {
    data: Part,
    /// Offset and length by the part of the name that follows that of the segment.
    parts: BTreeMap<String, (u64, u64)>,
}

impl Files {
    /// Opens the files of a segment and looks at them as Lucene does: those that are small are compared with their
    /// checksums, of the others first and last bytes are looked at.
    pub fn open(disk: &dyn Disk, partition: &Path, commit: &SegmentCommit) -> Result<Self, LuceneError> {
        let base = partition.join(&commit.name);
        let info = read_info(disk, &with(&base, ".si"), commit)?;
        let compound = info.compound.then(|| Compound::open(disk, &base, &commit.id)).transpose()?;
        let files = Self { base, id: commit.id, documents: info.documents, names: info.names, compound };
        files.check(disk)?;
        Ok(files)
    }

    fn check(&self, disk: &dyn Disk) -> Result<(), LuceneError> {
        let check = |name: &str, part: Part| match name.rsplit_once('.') {
            Some((_, "fdm" | "fnm" | "dvm" | "nvm" | "tmd")) => part.verify(),
            _ => part.check_ends(),
        };
        if let Some(compound) = &self.compound {
            compound.data.check_ends()?;
            for name in compound.parts.keys() {
                check(name, self.part(disk, name)?)?;
            }
        }
        for name in &self.names {
            check(name, self.file(disk, name)?)?;
        }
        Ok(())
    }

    /// A file of the list.
    fn file(&self, disk: &dyn Disk, name: &str) -> Result<Part, LuceneError> {
        if name.contains('/') {
            return Err(LuceneError::missing(&self.base, format_args!("file {name}")));
        }
        Part::open(disk, &self.base.with_file_name(name))
    }

    /// A file by what follows the name of the segment, `.fnm` or `_Lucene84_0.tim`.
    pub fn part(&self, disk: &dyn Disk, name: &str) -> Result<Part, LuceneError> {
        let Some(compound) = &self.compound else { return Part::open(disk, &with(&self.base, name)) };
        let (offset, length) = *compound
            .parts
            .get(name)
            .ok_or_else(|| LuceneError::missing(compound.data.path(), format_args!("part {name}")))?;
        compound.data.part(offset, length).ok_or_else(|| compound.data.short("part", offset))
    }

    /// A file that is never within the compound file.
    pub fn beside(&self, disk: &dyn Disk, name: &str) -> Result<Part, LuceneError> {
        Part::open(disk, &with(&self.base, name))
    }

    /// Compares all files with their checksums.
    pub fn verify(&self, disk: &dyn Disk) -> Result<(), LuceneError> {
        for name in &self.names {
            self.file(disk, name)?.verify()?;
        }
        Ok(())
    }

    /// Bytes of all files together.
    pub fn length(&self, disk: &dyn Disk) -> Result<u64, LuceneError> {
        let mut length = 0;
        for name in &self.names {
            length += self.file(disk, name)?.length;
        }
        Ok(length)
    }
}

fn with(base: &Path, suffix: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

struct Info {
    documents: u32,
    compound: bool,
    names: Vec<String>,
}

/// Reads `<segment>.si`.
///
/// | Size   | Field |
/// |-------:|-------|
/// |        | header: `Lucene86SegmentInfo`, version 0, id of the segment, no suffix |
/// | 3 × 4  | version of Lucene |
/// |      1 | 1: the least version of what was merged follows |
/// | 3 × 4  | that version |
/// |      4 | documents, deleted ones too |
/// |      1 | 1: compound file; -1: none |
/// |    map | how the segment was made |
/// |    set | files |
/// |    map | attributes |
/// |   vint | fields that documents are sorted by |
/// |        | footer |
fn read_info(disk: &dyn Disk, path: &Path, commit: &SegmentCommit) -> Result<Info, LuceneError> {
    let part = Part::open(disk, path)?;
    part.verify()?;
    let mut input = part.input();
    input.header("Lucene86SegmentInfo", 0..=0, &commit.id, "")?;
    for _ in 0..3 {
        input.i32("version of Lucene")?;
    }
    match input.u8("mark of the least version")? {
        0 => {}
        1 => input.skip("least version", 12)?,
        other => return Err(input.wrong("mark of the least version", other)),
    }
    let documents = input.i32("documents")?;
    let documents = u32::try_from(documents).map_err(|_| input.wrong("documents", documents))?;
    let compound = match input.u8("mark of a compound file")?.cast_signed() {
        1 => true,
        -1 => false,
        other => return Err(input.wrong("mark of a compound file", other)),
    };
    input.map("how it was made")?;
    let names = input.set("files")?;
    Ok(Info { documents, compound, names })
}

impl Compound {
    /// Reads `<segment>.cfe`, the table of the compound file `<segment>.cfs`.
    ///
    /// | Size | Field |
    /// |-----:|-------|
    /// |      | header: `Lucene50CompoundEntries`, version 0, id of the segment, no suffix |
    /// | vint | parts |
    /// |      | for each part: |
    /// | text | name without that of the segment |
    /// |    8 | offset in the compound file |
    /// |    8 | length |
    /// |      | footer |
    fn open(disk: &dyn Disk, base: &Path, id: &[u8; ID]) -> Result<Self, LuceneError> {
        let table = Part::open(disk, &with(base, ".cfe"))?;
        table.verify()?;
        let mut input = table.input();
        input.header("Lucene50CompoundEntries", 0..=0, id, "")?;
        let mut parts = BTreeMap::new();
        for _ in 0..input.vint("parts")? {
            let name = input.text("name of a part")?;
            parts.insert(name, (input.offset("offset of a part")?, input.offset("length of a part")?));
        }
        let data = Part::open(disk, &with(base, ".cfs"))?;
        data.input().header("Lucene50CompoundData", 0..=0, id, "")?;
        Ok(Self { data, parts })
    }
}
