//! What identifies a store, a database, a transaction and a record.

use std::fmt;

use crate::io::bytes::{OutOfBytes, Reader};

/// The version of a store's format as Neo4j packs it into a number.
///
/// The lowest byte is the length (1 to 7), then one Latin-1 character per byte upwards: `SF4.3.0` is
/// `0x302e332e34465307`. Specification: store format 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreVersion(pub u64);

impl StoreVersion {
    /// Packs a name of 1 to 7 Latin-1 characters; `None` for any other.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut packed = [0; 8];
        let count = name.chars().count();
        if !(1..=7).contains(&count) {
            return None;
        }
        let (length, characters) = packed.split_first_mut()?;
        *length = u8::try_from(count).ok()?;
        for (slot, character) in characters.iter_mut().zip(name.chars()) {
            *slot = u8::try_from(u32::from(character)).ok()?;
        }
        Some(Self(u64::from_le_bytes(packed)))
    }
}

impl fmt::Display for StoreVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [length, characters @ ..] = self.0.to_le_bytes();
        match characters.get(..usize::from(length)) {
            Some(name) if !name.is_empty() => name.iter().try_for_each(|&c| write!(f, "{}", char::from(c))),
            _ => write!(f, "unknown ({:#018x})", self.0),
        }
    }
}

/// The identity of a store.
///
/// | Offset | Size | Field                                        |
/// |-------:|-----:|----------------------------------------------|
/// |      0 |    8 | creation time, ms since the epoch            |
/// |      8 |    8 | random number                                |
/// |     16 |    8 | store version                                |
/// |     24 |    8 | time of the last upgrade, ms since the epoch |
/// |     32 |    8 | last transaction before that upgrade         |
///
/// The same order everywhere: on the wire, in log headers and in checkpoint records. Two ids are equal when all five
/// values are. Specification: protocol 4.1, transaction log 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId {
    /// When the store was created, ms since the epoch.
    pub creation_time: i64,
    /// Drawn when the store was created.
    pub random: i64,
    /// Format of the store.
    pub version: StoreVersion,
    /// When the store was upgraded last, ms since the epoch; the creation time if never.
    pub upgrade_time: i64,
    /// Last transaction before that upgrade; 1 if never.
    pub upgrade_transaction: i64,
}

impl StoreId {
    /// Bytes of an encoded store id.
    pub const SIZE: usize = 40;

    /// Reads the five values.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, OutOfBytes> {
        Ok(Self {
            creation_time: reader.i64("store id: creation time")?,
            random: reader.i64("store id: random number")?,
            version: StoreVersion(reader.i64("store id: store version")? as u64),
            upgrade_time: reader.i64("store id: upgrade time")?,
            upgrade_transaction: reader.i64("store id: upgrade transaction")?,
        })
    }

    /// Appends the five values.
    pub fn encode(&self, out: &mut impl bytes::BufMut) {
        out.put_i64(self.creation_time);
        out.put_i64(self.random);
        out.put_u64(self.version.0);
        out.put_i64(self.upgrade_time);
        out.put_i64(self.upgrade_transaction);
    }

    /// Whether both name the same store, upgrades apart: the test of log headers and checkpoint records.
    /// Specification: transaction log 2.2.
    pub fn is_same_store(&self, other: &Self) -> bool {
        self.creation_time == other.creation_time && self.random == other.random
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} created {} random {} upgraded {} at transaction {}",
            self.version, self.creation_time, self.random, self.upgrade_time, self.upgrade_transaction
        )
    }
}

/// The identity of a database: a UUID, drawn by the server when the database is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub uuid::Uuid);

impl DatabaseId {
    /// The id of `system`, the same on every server. Specification: protocol 4.1.
    pub const SYSTEM: Self = Self(uuid::Uuid::from_u128(1));
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A committed transaction. The first of a user is 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub i64);

impl TransactionId {
    /// What every store starts from. Specification: store format 3.
    pub const BASE: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before this.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ids of records: numbers from 0, per store file. Logs and most records write "none" as −1.
macro_rules! record_ids {
    ($($(#[$doc:meta])* $name:ident($raw:ty)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $raw);

        impl $name {
            /// The id in a signed field of full width, where −1 stands for none.
            pub fn from_field(field: <$raw as Signed>::Field) -> Option<Self> {
                (field != -1).then_some(Self(field as $raw))
            }

            /// The reverse of [`Self::from_field`].
            pub fn to_field(id: Option<Self>) -> <$raw as Signed>::Field {
                id.map_or(-1, |id| id.0 as <$raw as Signed>::Field)
            }
        }

        impl RecordId for $name {
            fn slot(self) -> u64 {
                self.0.into()
            }

            fn from_slot(slot: u64) -> Option<Self> {
                slot.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

/// An id that names a record of one kind: the number of its slot in a store file.
pub trait RecordId: Copy + fmt::Debug + Eq {
    /// The slot that the id names.
    fn slot(self) -> u64;
    /// The id of a slot; `None` above the greatest that this kind of record can have.
    fn from_slot(slot: u64) -> Option<Self>;
}

/// The signed number as which Java writes an unsigned one.
pub trait Signed {
    /// As wide as the unsigned number.
    type Field;
}

impl Signed for u64 {
    type Field = i64;
}

impl Signed for u32 {
    type Field = i32;
}

record_ids! {
    /// A node.
    NodeId(u64),
    /// A relationship.
    RelationshipId(u64),
    /// A group: the relationships of one type of a dense node.
    GroupId(u64),
    /// A property record, which holds up to four properties.
    PropertyId(u64),
    /// A record of one of the dynamic stores: strings, arrays, labels, names.
    DynamicId(u64),
    /// A record of the schema store: an index or a constraint.
    SchemaId(u64),
    /// A label token.
    LabelId(u32),
    /// A relationship type token.
    RelationshipTypeId(u32),
    /// A property key token.
    PropertyKeyId(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_minus_one_in_a_field() {
        assert_eq!(NodeId::from_field(-1), None);
        assert_eq!(NodeId::from_field(0), Some(NodeId(0)));
        assert_eq!(NodeId::to_field(Some(NodeId(1 << 35))), 1 << 35);
        assert_eq!(LabelId::to_field(None), -1);
    }

    #[test]
    fn versions_pack_as_in_the_specification() {
        let standard = StoreVersion::from_name("SF4.3.0").unwrap();
        assert_eq!(standard.0, 0x302e_332e_3446_5307);
        assert_eq!(standard.to_string(), "SF4.3.0");
        assert_eq!(StoreVersion::from_name(""), None);
        assert_eq!(StoreVersion::from_name("SF4.3.0x"), None);
        assert_eq!(StoreVersion(u64::MAX).to_string(), "unknown (0xffffffffffffffff)");
    }

    #[test]
    fn a_store_id_survives_encoding() {
        let id = StoreId {
            creation_time: 1_609_459_200_000,
            random: 0x1122_3344_5566_7788,
            version: StoreVersion::from_name("AF4.3.0").unwrap(),
            upgrade_time: -1,
            upgrade_transaction: 1,
        };
        let mut bytes = Vec::new();
        id.encode(&mut bytes);
        assert_eq!(bytes.len(), StoreId::SIZE);
        assert_eq!(StoreId::decode(&mut Reader::new(&bytes)), Ok(id));
    }
}
