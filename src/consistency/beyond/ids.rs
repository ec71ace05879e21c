//! Id files: an id in use must not be given to another record.

use std::path::Path;

use crate::consistency::context::Context;
use crate::consistency::error::CheckError;
use crate::consistency::raw::{
    DynamicHeader, Raw, RawGroup, RawNode, RawProperty, RawRelationship, RawSchema, RawToken,
};
use crate::consistency::report::Level;
use crate::consistency::summary::RecordType;
use crate::gbptree::TreeError;
use crate::index::IndexError;
use crate::index::id_file::IdFile;
use crate::io::disk::Disk;
use crate::store::format::Family;
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::page_cache::PageCache;
use crate::store::record::{SlotReader, Slots};

/// Reports ids in use that an id file has as free, or that are not below its high id. Files that can't be read were
/// reported when they were opened.
pub(in crate::consistency) fn check(
    context: &Context<'_>,
    layout: &DatabaseLayout,
    disk: &dyn Disk,
    cache: &PageCache,
) -> Result<(), CheckError> {
    for store in RecordStore::ALL {
        let (Some(name), Some(slots)) = (store.id_file_name(), context.stores.of(store)) else { continue };
        let path = layout.database.join(name);
        let mut records = Records { store, slots, reader: slots.reader() };
        let checked = IdFile::open(cache, disk, &path, slots.first()).and_then(|file| match file {
            Some(file) => records.check(context, file, &path),
            None => Ok(()),
        });
        if let Err(IndexError::Tree(error @ (TreeError::Disk(_) | TreeError::Cache(_)))) = checked {
            return Err(error.into());
        }
    }
    Ok(())
}

struct Records<'a> {
    store: RecordStore,
    slots: &'a Slots,
    reader: SlotReader<'a>,
}

impl Records<'_> {
    fn check(&mut self, context: &Context<'_>, mut file: IdFile, path: &Path) -> Result<(), IndexError> {
        let say = |what: String| {
            let message = format!("{what}.\nId file: {}.", path.display());
            context.report.lines(Level::Extra, RecordType::IdStore, &message);
        };
        let high = file.high_id();
        let mut unused = file.unused()?;
        while let Some((first, mut bits)) = unused.next_range()? {
            while bits != 0 {
                let id = first + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                if self.is_in_use(id)? {
                    say(format!("The record {id} is in use, and its id is free"));
                }
            }
        }
        let stored = self.slots.file().pages().saturating_mul(self.slots.per_page());
        for id in high.max(self.slots.first())..stored {
            if self.is_in_use(id)? {
                say(format!("The record {id} is in use, and the high id is {high}"));
            }
        }
        Ok(())
    }

    fn is_in_use(&mut self, id: u64) -> Result<bool, IndexError> {
        let family = self.slots.family();
        let Some(slot) = self.reader.slot(id)? else { return Ok(false) };
        Ok(match self.store {
            RecordStore::Node => used::<RawNode>(family, slot, |node| node.used),
            RecordStore::Relationship => {
                used::<RawRelationship>(family, slot, |relationship| relationship.used)
            }
            RecordStore::RelationshipGroup => used::<RawGroup>(family, slot, |group| group.used),
            RecordStore::Property => used::<RawProperty>(family, slot, |property| property.used),
            RecordStore::Schema => RawSchema::decode(0, slot).used,
            RecordStore::PropertyKey | RecordStore::RelationshipType | RecordStore::Label => {
                RawToken::decode(0, slot).used
            }
            RecordStore::NodeLabels
            | RecordStore::PropertyString
            | RecordStore::PropertyArray
            | RecordStore::PropertyKeyName
            | RecordStore::RelationshipTypeName
            | RecordStore::LabelName => DynamicHeader::decode(family, slot).used,
            RecordStore::Neostore => false,
        })
    }
}

/// Whether a slot is in use. A second unit of `high_limit` is no record; that it is in use is told by the first byte.
fn used<R: Raw>(family: Family, slot: &[u8], is_used: impl Fn(&R) -> bool) -> bool {
    match family {
        Family::Standard | Family::Aligned => is_used(&R::standard(0, slot)),
        Family::HighLimit => slot.first().is_some_and(|header| header & 1 != 0),
    }
}
