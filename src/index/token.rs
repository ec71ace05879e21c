//! Lookup indexes: nodes by label, relationships by type.

use std::cmp::Ordering;
use std::path::Path;

use super::replacement::Replacement;
use super::{IndexError, open_existing};
use crate::gbptree::{Bound, Change, Cursor, Layout, LayoutId, LeafWalk, NodeFormat, Tree, read_header};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::page_cache::PageCache;

/// Entities that one entry tells of.
pub const ENTITIES_PER_RANGE: u64 = 64;

/// Keys and values of a lookup index.
///
/// | Offset | Size | Field of the key                                                   |
/// |-------:|-----:|--------------------------------------------------------------------|
/// |      0 |    4 | token: label or relationship type                                  |
/// |      4 |    4 | range: entity / 64, low 32 bits                                    |
/// |      8 |    2 | range, bits 32 to 47, signed                                       |
///
/// Order: token, then range, signed. The value is a long with a bit for each entity of the range that has the token, from
/// the lowest bit up. Specification: gbptree 5.5.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenLayout;

const KEY: usize = 10;

impl Layout for TokenLayout {
    fn id(&self) -> LayoutId {
        LayoutId::named(b"LSL", 64, 0, 1)
    }

    fn format(&self) -> NodeFormat {
        NodeFormat::Fixed { key: KEY, value: 8 }
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        decode_key(left).cmp(&decode_key(right))
    }

    fn describe(&self, key: &[u8]) -> String {
        let (token, range) = decode_key(key).unwrap_or_default();
        format!("[token:{token},range:{range}]")
    }
}

/// Token and range, signed as Neo4j reads them.
fn decode_key(key: &[u8]) -> Option<(i32, i64)> {
    let [t0, t1, t2, t3, l0, l1, l2, l3, h0, h1] = *key.first_chunk::<KEY>()?;
    let high = i64::from(i16::from_be_bytes([h0, h1]));
    let low = i64::from(u32::from_be_bytes([l0, l1, l2, l3]));
    Some((i32::from_be_bytes([t0, t1, t2, t3]), high << 32 | low))
}

/// The token of a key; `None`: there can't be such a token.
pub fn token_of(key: &[u8]) -> Option<u32> {
    u32::try_from(decode_key(key)?.0).ok()
}

fn encode_key(token: u32, range: u64) -> [u8; KEY] {
    let [t0, t1, t2, t3] = token.to_be_bytes();
    let [_, _, h0, h1, l0, l1, l2, l3] = range.to_be_bytes();
    [t0, t1, t2, t3, l0, l1, l2, l3, h0, h1]
}

/// State bytes of the header; those of value indexes are others. Specification: gbptree 5.5.
const ONLINE: u8 = 0;
const POPULATING: u8 = 1;
const FAILED: u8 = 2;

/// What a lookup index says of itself.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum TokenState {
    /// It can be used.
    Online(TokenIndex),
    /// It was never completed, or is no tree of this kind: Neo4j builds it anew.
    Populating,
    /// Building it failed, with this message.
    Failed(String),
    /// There is no file.
    Missing,
}

/// A lookup index that can be used.
#[derive(Debug)]
pub struct TokenIndex {
    tree: Tree<TokenLayout>,
}

impl TokenIndex {
    /// Opens a lookup index, which may come from a running database.
    pub fn open(cache: &PageCache, disk: &dyn Disk, path: &Path) -> Result<TokenState, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(TokenState::Missing) };
        let tree = match Tree::open(cache, file, TokenLayout) {
            Ok(tree) => tree,
            Err(error) if error.is_mismatch() => return Ok(TokenState::Populating),
            Err(error) => return Err(error.into()),
        };
        match tree.header() {
            [ONLINE, ..] => Ok(TokenState::Online(Self { tree })),
            [POPULATING, ..] => Ok(TokenState::Populating),
            [FAILED, message @ ..] => Ok(TokenState::Failed(failure(message))),
            &[found, ..] => Err(IndexError::State { path: path.to_owned(), found }),
            [] => Err(IndexError::Header { path: path.to_owned(), length: 0, wanted: 1 }),
        }
    }

    /// Whether the file says that it is a complete index, even if it is none of tokens. One of a later format counts as
    /// complete: nothing says that it is not.
    pub fn says_online(cache: &PageCache, disk: &dyn Disk, path: &Path) -> Result<bool, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(false) };
        match read_header(cache, file) {
            Ok(header) => Ok(matches!(header.as_slice(), [ONLINE, ..])),
            Err(error) if error.is_mismatch() => Ok(error.is_later_format()),
            Err(error) => Err(error.into()),
        }
    }

    /// The tree behind it.
    pub fn tree(&self) -> &Tree<TokenLayout> {
        &self.tree
    }

    /// Adds and removes entities of one token. `range`: entity / 64; bits: entity % 64; a bit in both is added. In the
    /// order of token and range it is fastest.
    pub fn change(&mut self, token: u32, range: u64, add: u64, remove: u64) -> Result<(), IndexError> {
        self.check_range(range)?;
        self.tree.update(&encode_key(token, range), |old| {
            let old = old.map_or(0, decode_bits);
            match old & !remove | add {
                0 => Change::Remove,
                new if new == old => Change::Keep,
                new => Change::Put(new.to_be_bytes()),
            }
        })?;
        Ok(())
    }

    fn check_range(&self, range: u64) -> Result<(), IndexError> {
        check_range(self.tree.path(), range)
    }

    /// All entries, in the order of token and range.
    pub fn entries(&self) -> Result<TokenEntries<'_>, IndexError> {
        Ok(TokenEntries { path: self.tree.path(), cursor: self.tree.entries()? })
    }

    /// The entries of one token for these ranges of entities. `ranges`: entity / 64.
    pub fn range(&self, token: u32, ranges: std::ops::Range<u64>) -> Result<TokenEntries<'_>, IndexError> {
        let [from, to] = [ranges.start, ranges.end].map(|range| encode_key(token, range.min(MAX_RANGE)));
        let cursor = self.tree.range(Bound::Key(&from), Bound::Key(&to))?;
        Ok(TokenEntries { path: self.tree.path(), cursor })
    }

    /// The entries of one token for these ranges of entities, as Neo4j reads them where the tree may be damaged: from where
    /// its keys lead to, and whatever comes then in ascending order. `ranges`: entity / 64.
    pub fn walk_range(
        &self,
        token: u32,
        ranges: std::ops::Range<u64>,
        visit: &mut dyn FnMut(TokenRange),
    ) -> Result<LeafWalk, IndexError> {
        let [from, to] = [ranges.start, ranges.end].map(|range| encode_key(token, range.min(MAX_RANGE)));
        Ok(self.tree.walk_range(&from, &to, &mut |key, value| {
            let (_, range) = decode_key(key).unwrap_or_default();
            let entities = decode_bits(value);
            if let Ok(range) = u64::try_from(range)
                && entities != 0
            {
                visit(TokenRange { token, range, entities });
            }
        })?)
    }

    /// The greatest token as Neo4j finds it: that of the last entry behind where the keys lead
    /// to the end.
    pub fn last_token(&self) -> Result<Option<u32>, IndexError> {
        let last = self.tree.last_key(&encode_key(i32::MAX.cast_unsigned(), MAX_RANGE))?;
        Ok(last.and_then(|key| token_of(&key)))
    }

    /// Makes all of it count and closes the file as clean.
    pub fn finish(self) -> Result<(), IndexError> {
        Ok(self.tree.finish(Some(&[ONLINE]))?)
    }
}

/// The greatest number of a range that can be stored.
const MAX_RANGE: u64 = (1 << 47) - 1;

/// A range has 48 bits, of which the highest is a sign.
fn check_range(path: &Path, range: u64) -> Result<(), IndexError> {
    if range >> 47 == 0 { Ok(()) } else { Err(IndexError::entry(path, "entity range", range as i64)) }
}

fn decode_bits(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The message of an index that failed: 2 bytes length, UTF-8.
pub(super) fn failure(header: &[u8]) -> String {
    let message = header.split_first_chunk().map(|(length, rest)| {
        let length = usize::from(u16::from_be_bytes(*length));
        String::from_utf8_lossy(rest.get(..length).unwrap_or(rest)).into_owned()
    });
    message.unwrap_or_default()
}

/// Which entities of a range have a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRange {
    /// Label or relationship type.
    pub token: u32,
    /// Entity / 64.
    pub range: u64,
    /// Bit entity % 64.
    pub entities: u64,
}

/// Reads a lookup index.
#[derive(Debug)]
pub struct TokenEntries<'a> {
    path: &'a Path,
    cursor: Cursor<'a, TokenLayout>,
}

impl TokenEntries<'_> {
    /// The next entry; `None` at the end. Entries without entities are left out.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not stop at an error")]
    pub fn next(&mut self) -> Result<Option<TokenRange>, IndexError> {
        while let Some((key, value)) = self.cursor.next()? {
            let (token, range) = decode_key(key).unwrap_or_default();
            let entities = decode_bits(value);
            let Ok(valid_range) = u64::try_from(range) else {
                return Err(IndexError::entry(self.path, "entity range", range));
            };
            let Ok(token) = u32::try_from(token) else {
                return Err(IndexError::entry(self.path, "token", token.into()));
            };
            if entities != 0 {
                return Ok(Some(TokenRange { token, range: valid_range, entities }));
            }
        }
        Ok(None)
    }
}

/// Builds a lookup index from sorted entries.
#[derive(Debug)]
pub struct Builder {
    tree: Replacement<TokenLayout>,
    path: std::path::PathBuf,
}

impl Builder {
    /// Starts a lookup index that will stand at `path`.
    pub fn new(disk: &SharedDisk, path: &Path) -> Result<Self, IndexError> {
        Ok(Self { tree: Replacement::start(disk, path, TokenLayout)?, path: path.to_owned() })
    }

    /// Adds an entry; they must come in the order of token and range, each once.
    pub fn push(&mut self, entry: TokenRange) -> Result<(), IndexError> {
        let TokenRange { token, range, entities } = entry;
        check_range(&self.path, range)?;
        if entities == 0 {
            return Ok(());
        }
        self.tree.push(&encode_key(token, range), &entities.to_be_bytes())
    }

    /// Completes the index, says that it can be used, and puts it in its place.
    pub fn finish(self) -> Result<(), IndexError> {
        self.tree.finish(&[ONLINE])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn keys_read_as_neo4j_prints_them() {
        assert_eq!(TokenLayout.describe(&encode_key(230, 2)), "[token:230,range:2]");
    }

    fn open(path: &Path) -> TokenIndex {
        match TokenIndex::open(&PageCache::new(0), &OsDisk, path).unwrap() {
            TokenState::Online(index) => index,
            other => panic!("{other:?}"),
        }
    }

    fn entities(index: &TokenIndex) -> BTreeSet<(u32, u64)> {
        let mut all = BTreeSet::new();
        let mut entries = index.entries().unwrap();
        while let Some(TokenRange { token, range, entities }) = entries.next().unwrap() {
            all.extend((0..64).filter(|bit| entities >> bit & 1 == 1).map(|bit| (token, range * 64 + bit)));
        }
        all
    }

    #[test]
    fn the_worked_entry_is_as_in_the_specification() {
        let key = encode_key(0, 0x12_3456_789a);
        assert_eq!(key, [0, 0, 0, 0, 0x34, 0x56, 0x78, 0x9a, 0x00, 0x12]);
        assert_eq!(decode_key(&key), Some((0, 0x12_3456_789a)));
        assert_eq!(decode_key(&[0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Some((9, -1)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        Builder::new(&OsDisk::shared(), &path).unwrap().finish().unwrap();
        let mut index = open(&path);
        index.change(0, 0x12_3456_789a, 1 | 1 << 63, 0).unwrap();
        let value = index.tree().get(&key, <[u8]>::to_vec).unwrap();
        assert_eq!(value, Some(vec![0x80, 0, 0, 0, 0, 0, 0, 1]));
        let error = index.change(0, 1 << 47, 1, 0).unwrap_err();
        assert!(matches!(error, IndexError::Entry { field: "entity range", .. }), "{error}");
    }

    #[test]
    fn the_header_tells_whether_the_index_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let state = || TokenIndex::open(&PageCache::new(0), &OsDisk, &path);
        assert!(matches!(state().unwrap(), TokenState::Missing));
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(state().unwrap(), TokenState::Populating));
        let with_header = |header: &[u8]| {
            let tree = Replacement::start(&OsDisk::shared(), &path, TokenLayout).unwrap();
            tree.finish(header).unwrap();
        };
        with_header(&[POPULATING]);
        assert!(matches!(state().unwrap(), TokenState::Populating));
        with_header(&[ONLINE]);
        assert!(matches!(state().unwrap(), TokenState::Online(_)));
        for (header, message) in
            [(&b"\x02\0\x04diskmore"[..], "disk"), (b"\x02\0\x40disk", "disk"), (b"\x02", "")]
        {
            with_header(header);
            assert!(matches!(state().unwrap(), TokenState::Failed(found) if found == message));
        }
        with_header(&[9]);
        assert!(matches!(state(), Err(IndexError::State { found: 9, .. })));
        with_header(&[]);
        assert!(matches!(state(), Err(IndexError::Header { length: 0, .. })));
    }

    #[test]
    fn a_token_or_a_range_that_can_t_be_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        for (key, field) in [([0xff; KEY], "entity range"), ([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0], "token")] {
            let mut tree = Replacement::start(&OsDisk::shared(), &path, TokenLayout).unwrap();
            tree.push(&key, &1_u64.to_be_bytes()).unwrap();
            tree.finish(&[ONLINE]).unwrap();
            let index = open(&path);
            let result = index.entries().unwrap().next();
            assert!(
                matches!(&result, Err(IndexError::Entry { field: found, .. }) if *found == field),
                "{result:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_index_knows_what_a_set_of_pairs_would_know(
            start in proptest::collection::btree_map((0_u32..5, 0_u64..400), any::<u64>(), 0..300),
            changes in proptest::collection::btree_map(
                (0_u32..6, 0_u64..500), (any::<u64>(), any::<u64>(), 0_u8..3), 0..300),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("index");
            let mut builder = Builder::new(&OsDisk::shared(), &path).unwrap();
            for (&(token, range), &entities) in &start {
                builder.push(TokenRange { token, range, entities }).unwrap();
            }
            builder.finish().unwrap();
            let mut model: BTreeMap<(u32, u64), u64> = start;
            let mut index = open(&path);
            for (&(token, range), &(add, remove, kind)) in &changes {
                let (add, remove) = match kind {
                    0 => (add, remove),
                    1 => (0, u64::MAX),
                    _ => (add & 1, !add),
                };
                index.change(token, range, add, remove).unwrap();
                let entry = model.entry((token, range)).or_default();
                *entry = *entry & !remove | add;
            }
            model.retain(|_, entities| *entities != 0);
            let expected: BTreeSet<(u32, u64)> = model
                .iter()
                .flat_map(|(&(token, range), &bits)| {
                    (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| (token, range * 64 + bit))
                })
                .collect();
            prop_assert!(entities(&index) == expected);
            index.finish().unwrap();
            let index = open(&path);
            prop_assert!(index.tree().was_clean());
            prop_assert!(entities(&index) == expected);
        }
    }
}
