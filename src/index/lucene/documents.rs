//! The documents of an index: which entity each is for, and the terms of its fields.

use std::path::Path;

use super::commit;
use super::error::LuceneError;
use super::fields;
use super::live::LiveDocuments;
use super::numbers::Numbers;
use super::postings::Postings;
use super::segment::Files;
use super::state::{last_commit, partitions};
use super::terms::{FieldTerms, Terms};
use crate::io::disk::Disk;

/// Bytes of files that a document takes at least. Whoever says less has damaged numbers; identical ones compress well.
const LEAST_BYTES: u64 = 256;
/// Documents of a window are a multiple of this, so that blocks of numbers and words of bits begin with it.
const STEP: usize = 1 << 14;

/// Which fields are read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The field with the id of the entity.
    pub entity: &'a str,
    /// Fields whose terms are visited.
    pub values: &'a [&'a str],
}

/// What is found in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A document for an entity.
    Document {
        /// Its number in the segment.
        document: u32,
        /// The id of the entity.
        entity: i64,
    },
    /// A term of a document for an entity.
    Term {
        /// The number of the document in the segment.
        document: u32,
        /// The id of the entity.
        entity: i64,
        /// The place of the field in [`Wanted::values`].
        field: usize,
        /// The term.
        term: &'a [u8],
    },
}

/// A Lucene index of Neo4j: all segments of the last commit of each partition. Specification: indexes 7.
#[derive(Debug)]
pub struct LuceneIndex {
    segments: Vec<Segment>,
}

/// A segment.
#[derive(Debug)]
pub struct Segment {
    files: Files,
    live: Option<LiveDocuments>,
}

impl LuceneIndex {
    /// Opens the index in a directory; an index without documents has no segments.
    pub fn open(disk: &dyn Disk, directory: &Path) -> Result<Self, LuceneError> {
        let mut segments = Vec::new();
        for partition in partitions(directory)? {
            segments.extend(Self::open_partition(disk, &partition)?);
        }
        Ok(Self { segments })
    }

    fn open_partition(disk: &dyn Disk, partition: &Path) -> Result<Vec<Segment>, LuceneError> {
        let path = last_commit(partition)?.ok_or_else(|| LuceneError::missing(partition, "commit"))?;
        let mut segments = Vec::new();
        for commit in commit::read(disk, &path)? {
            let files = Files::open(disk, partition, &commit)?;
            if u64::from(files.documents) > files.length(disk)?.saturating_mul(LEAST_BYTES)
                || commit.deleted > files.documents
            {
                let part = files.beside(disk, ".si")?;
                return Err(part.wrong("documents", 0, files.documents));
            }
            let live = commit
                .deletions
                .map(|generation| {
                    let part = files.beside(disk, &format!("_{generation}.liv"))?;
                    LiveDocuments::open(part, &files.id, &generation)
                })
                .transpose()?;
            segments.push(Segment { files, live });
        }
        Ok(segments)
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Documents, deleted ones too.
    pub fn documents(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.files.documents)).sum()
    }
}

impl Segment {
    /// Compares all of its files with their checksums.
    pub fn verify(&self, disk: &dyn Disk) -> Result<(), LuceneError> {
        self.files.verify(disk)
    }

    /// Visits all documents that are not deleted, and the terms that are wanted of them: for each `window` of documents,
    /// which take eight bytes of memory each, first the documents, then the terms, field by field.
    pub fn read<E: From<LuceneError>>(
        &self,
        disk: &dyn Disk,
        wanted: Wanted<'_>,
        window: usize,
        mut visit: impl FnMut(Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (id, documents) = (&self.files.id, self.files.documents);
        let info = self.files.part(disk, ".fnm")?;
        let fields = fields::read(&info, id)?;
        let missing = || LuceneError::missing(info.path(), format_args!("field {}", wanted.entity));
        let entity = fields.iter().find(|field| field.name == wanted.entity).ok_or_else(missing)?;
        let suffix = entity.numbers_suffix(&info)?.ok_or_else(missing)?;
        let meta = self.files.part(disk, &format!("_{suffix}.dvm"))?;
        let data = self.files.part(disk, &format!("_{suffix}.dvd"))?;
        let numbers = Numbers::find(&meta, data, id, &suffix, entity.number, documents)?;
        let mut values = Vec::new();
        for (at, name) in wanted.values.iter().enumerate() {
            values.extend(fields.iter().find(|field| field.name == *name).map(|field| (at, field)));
        }
        let window = window.next_multiple_of(STEP).max(STEP);
        let (mut entities, mut words) = (Vec::new(), Vec::new());
        let mut first = 0_u32;
        while first < documents {
            let count = (documents - first).min(u32::try_from(window).unwrap_or(u32::MAX));
            let place = |document: u32| document.checked_sub(first).map(|place| place as usize);
            numbers.read(first, count as usize, &mut entities)?;
            if let Some(live) = &self.live {
                live.read(first, count as usize, &mut words)?;
            }
            let is_live = |place: usize| {
                self.live.is_none() || words.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
            };
            for ((document, place), entity) in (first..).zip(0..).zip(&entities) {
                if is_live(place) {
                    visit(Found::Document { document, entity: *entity })?;
                }
            }
            for &(at, field) in &values {
                let Some(suffix) = field.terms_suffix(&info)? else { continue };
                let part = |extension| self.files.part(disk, &format!("_{suffix}.{extension}"));
                let Some(terms) = FieldTerms::find(&part("tmd")?, id, &suffix, &fields, field.number)? else {
                    continue;
                };
                let (dictionary, lists) = (part("tim")?, part("doc")?);
                let mut lists = Postings::open(&lists, id, &suffix, terms.options(), documents)?;
                let mut terms = Terms::open(&dictionary, id, &suffix, terms, documents)?;
                while let Some((term, state)) = terms.next()? {
                    lists.visit(state, |document| {
                        let found = place(document).filter(|place| is_live(*place));
                        match found.and_then(|place| entities.get(place)) {
                            Some(entity) => visit(Found::Term { document, entity: *entity, field: at, term }),
                            None => Ok(()),
                        }
                    })?;
                }
            }
            first = first.saturating_add(count);
        }
        Ok(())
    }
}
