//! Page 0: what kind of tree the file holds.

use super::page::{self, OutsidePage};

/// How a tree's nodes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeFormat {
    /// All keys have one size, and all values.
    Fixed {
        /// Bytes of a key.
        key: usize,
        /// Bytes of a value.
        value: usize,
    },
    /// Every entry tells its own size; long ones have a page of their own.
    Dynamic,
}

impl NodeFormat {
    /// The format identifier in the meta page.
    pub fn identifier(self) -> u8 {
        match self {
            Self::Fixed { .. } => 2,
            Self::Dynamic => 3,
        }
    }
}

/// Which layout a tree was created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutId {
    /// Which kind of keys and values.
    pub identifier: i64,
    /// Their version; all three must match.
    pub major: i32,
    /// Their version; all three must match.
    pub minor: i32,
}

impl LayoutId {
    /// An identifier made of up to four ASCII characters, packed into the upper half without padding on the right, and
    /// a number. Specification: gbptree 5.1.
    pub const fn named(name: &[u8], number: u32, major: i32, minor: i32) -> Self {
        let mut packed = 0;
        let mut rest = name;
        while let [character, others @ ..] = rest {
            packed = packed << 8 | *character as i64;
            rest = others;
        }
        Self { identifier: packed << 32 | number as i64, major, minor }
    }
}

/// The meta page. The rest of the page is zero.
///
/// | Offset | Size | Field                                                               |
/// |-------:|-----:|---------------------------------------------------------------------|
/// |      0 |    1 | reserved, zero                                                      |
/// |      1 |    1 | reserved, zero                                                      |
/// |      2 |    1 | format version: 0                                                   |
/// |      3 |    1 | format identifier: 2 nodes of fixed size entries, 3 of dynamic size |
/// |      4 |    4 | page size in bytes                                                  |
/// |      8 |    8 | layout identifier                                                   |
/// |     16 |    4 | layout major version                                                |
/// |     20 |    4 | layout minor version                                                |
///
/// Specification: gbptree 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// 2 or 3, see [`NodeFormat::identifier`].
    pub format: u8,
    /// Version of that format.
    pub format_version: u8,
    /// Bytes of every page of the file.
    pub page_size: u32,
    /// What the entries are.
    pub layout: LayoutId,
}

impl Meta {
    /// Bytes that are used of the page.
    pub const SIZE: usize = 24;

    /// Reads page 0, or as much of it as is known to hold the fields.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, MetaError> {
        let [slot4, slot3, format_version, format, ..] = *bytes;
        for (slot, found) in [(3, slot3), (4, slot4)] {
            if found != 0 {
                return Err(MetaError::ReservedSlot { slot, found });
            }
        }
        let i32_at = |offset| page::i32_at(bytes, offset);
        Ok(Self {
            format,
            format_version,
            page_size: page::u32_at(bytes, 4)?,
            layout: LayoutId { identifier: page::i64_at(bytes, 8)?, major: i32_at(16)?, minor: i32_at(20)? },
        })
    }

    /// The exact reverse.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let [s0, s1, s2, s3] = self.page_size.to_be_bytes();
        let mut bytes = [0; Self::SIZE];
        let fields = [0, 0, self.format_version, self.format, s0, s1, s2, s3]
            .into_iter()
            .chain(self.layout.identifier.to_be_bytes())
            .chain(self.layout.major.to_be_bytes())
            .chain(self.layout.minor.to_be_bytes());
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        bytes
    }

    /// Whether a tree of this meta page is one of `layout` with nodes of `format`.
    pub fn check(&self, layout: LayoutId, format: NodeFormat) -> Result<(), MetaError> {
        if self.layout != layout {
            return Err(MetaError::Layout { found: self.layout, expected: layout });
        }
        if self.format != format.identifier() || self.format_version != 0 {
            return Err(MetaError::Format {
                found: self.format,
                found_version: self.format_version,
                expected: format.identifier(),
            });
        }
        Ok(())
    }
}

/// The file is not the tree that it should be. The texts are Neo4j's. Specification: gbptree 1.1, 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// The file ends before the meta page does.
    #[error("Index is not fully initialized since it's missing the meta page")]
    Missing,
    /// A file of a later format.
    #[error("Unexpected version {found} for unused version slot {slot}")]
    ReservedSlot {
        /// 3 or 4.
        slot: u8,
        /// What it holds.
        found: u8,
    },
    /// A size that no page of a tree has here: it must be a power of two from 256 to 8192.
    #[error(
        "Tried to open the tree using page size 8192, but the tree was original created with page size {found} so cannot be opened."
    )]
    PageSize {
        /// Of the meta page, in bytes.
        found: u32,
    },
    /// Keys and values of another kind or version.
    #[error("Tried to open using layout not compatible with what the index was created with. Created with: layoutIdentifier={},majorVersion={},minorVersion={}. Opened with layoutIdentifier={},majorVersion={},minorVersion={}", found.identifier, found.major, found.minor, expected.identifier, expected.major, expected.minor)]
    Layout {
        /// Of the meta page.
        found: LayoutId,
        /// Of whom opens it.
        expected: LayoutId,
    },
    /// Nodes of the other format.
    #[error(
        "Tried to open using layout not compatible with what index was created with. Created with formatIdentifier:{found},formatVersion:{found_version}. Opened with formatIdentifier:{expected},formatVersion0"
    )]
    Format {
        /// Of the meta page.
        found: u8,
        /// Of the meta page.
        found_version: u8,
        /// Of whom opens it.
        expected: u8,
    },
    /// A field does not fit its page.
    #[error(transparent)]
    Outside(#[from] OutsidePage),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_FILE: [u8; Meta::SIZE] =
        [0, 0, 0, 2, 0, 0, 0x20, 0, 0, 0, 0, 0, 0xde, 0xad, 0xc1, 0x5e, 0, 0, 0, 1, 0, 0, 0, 2];

    #[test]
    fn the_meta_page_of_an_id_file_is_read_and_written() {
        let meta = Meta::decode(&ID_FILE).unwrap();
        let layout = LayoutId { identifier: 3_735_929_182, major: 1, minor: 2 };
        assert_eq!(meta, Meta { format: 2, format_version: 0, page_size: 8192, layout });
        assert_eq!(meta.encode(), ID_FILE);
        assert_eq!(meta.check(layout, NodeFormat::Fixed { key: 8, value: 56 }), Ok(()));
        let error = meta.check(layout, NodeFormat::Dynamic).unwrap_err();
        assert!(error.to_string().ends_with(
            "Created with formatIdentifier:2,formatVersion:0. Opened with formatIdentifier:3,formatVersion0"
        ));
    }

    #[test]
    fn names_fold_into_the_upper_half() {
        assert_eq!(LayoutId::named(b"CoLa", 987, 0, 1).identifier, 4_859_186_502_451_594_203);
        assert_eq!(LayoutId::named(b"LSL", 64, 0, 1).identifier, 21_483_684_112_629_824);
        assert_eq!(LayoutId::named(b"NSIL", 3, 0, 5).identifier, 0x4E53_494C_0000_0003);
        assert_eq!(LayoutId::named(b"RL", 2, 0, 1).identifier, 0x524C_0000_0002);
    }

    #[test]
    fn a_reserved_byte_is_refused() {
        let mut bytes = ID_FILE;
        bytes[1] = 7;
        let error = Meta::decode(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "Unexpected version 7 for unused version slot 3");
        bytes[1] = 0;
        bytes[0] = 9;
        assert_eq!(Meta::decode(&bytes), Err(MetaError::ReservedSlot { slot: 4, found: 9 }));
    }
}
