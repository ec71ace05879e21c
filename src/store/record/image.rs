//! What a write leaves in a slot, apart from the slot: so that writes can be collected, sorted and applied later.

use super::dynamic::{Dynamic, DynamicFile, DynamicWriter};
use super::file::{Record, RecordFile, RecordWriter};
use super::{Layout, Slot, Slots, Standard, Units};
use crate::store::error::{Malformed, StoreError};
use crate::store::format::Family;
use crate::store::id::RecordId;
use crate::store::record::HighLimit;

/// Most bytes that a slot of fixed size has.
const MAX_SLOT: usize = 48;

/// The bytes that writing a record puts at the start of its slot. What is behind them there stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotImage {
    bytes: [u8; MAX_SLOT],
    length: usize,
}

impl SlotImage {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn of(bytes: &[u8]) -> Self {
        let mut image = Self { bytes: [0; MAX_SLOT], length: bytes.len().min(MAX_SLOT) };
        image.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        image
    }
}

/// What writing a record puts into its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordImage {
    /// For the record's own slot.
    pub own: SlotImage,
    /// For the slot of its second unit, which only `high_limit` has.
    pub second: Option<(u64, SlotImage)>,
}

impl<I: RecordId, R: Record> RecordFile<I, R> {
    /// What [`RecordWriter::put`] would write.
    pub fn image(&self, id: I, record: &R, units: Units) -> Result<RecordImage, StoreError> {
        let id = id.slot();
        let image = match self.slots().family() {
            Family::Standard | Family::Aligned => {
                let mut slot = [0; MAX_SLOT];
                encode::<Standard, R>(record, id, Units::default(), &mut slot)
                    .map(|(length, _)| RecordImage { own: SlotImage { bytes: slot, length }, second: None })
            }
            Family::HighLimit => high_limit(record, id, units),
        };
        image.map_err(|malformed| self.slots().malformed(id, malformed))
    }
}

/// Encodes into a slot; returns how many bytes of it count.
fn encode<Format, R: Layout<Format>>(
    record: &R,
    id: u64,
    units: Units,
    slot: &mut [u8; MAX_SLOT],
) -> Result<(usize, super::Overflow), Malformed> {
    let Some(slot) = R::Slot::of_mut(slot) else { return Ok((0, super::Overflow::default())) };
    let overflow = record.encode(id, units, slot)?;
    Ok((record.written().unwrap_or(R::Slot::SIZE), overflow))
}

/// A compressed record ends somewhere in its slot: where zeros and ones below it give the same.
fn high_limit<R: Layout<HighLimit>>(record: &R, id: u64, units: Units) -> Result<RecordImage, Malformed> {
    let (mut zeros, mut ones) = ([0; MAX_SLOT], [0xff; MAX_SLOT]);
    let (size, overflow) = encode::<HighLimit, R>(record, id, units, &mut zeros)?;
    encode::<HighLimit, R>(record, id, units, &mut ones)?;
    let same = zeros.iter().zip(&ones).take(size).rposition(|(zero, one)| zero == one);
    let own = SlotImage { bytes: zeros, length: same.map_or(0, |last| last + 1) };
    let second = units.secondary.map(|second| {
        let mut unit = [0; MAX_SLOT];
        let length = overflow.write(&mut unit);
        (second, SlotImage::of(unit.get(..length).unwrap_or_default()))
    });
    Ok(RecordImage { own, second })
}

impl DynamicFile {
    /// What [`DynamicWriter::put`] would write. `image` is for the bytes; its content is lost.
    pub fn image(&self, id: u64, record: &Dynamic<'_>, image: &mut Vec<u8>) -> Result<(), StoreError> {
        let malformed = |malformed| self.slots().malformed(id, malformed);
        let family = self.slots().family();
        let room = self.slots().size().saturating_sub(Dynamic::header_size(family));
        let length = record.data.len();
        if length > room {
            return Err(malformed(Malformed::DynamicLength { length: length as i64, room }));
        }
        image.clear();
        image.resize(Dynamic::header_size(family) + length, 0);
        record.encode(family, image).map_err(malformed)
    }
}

/// Slots that images are written to, in whatever store.
pub trait ImageWriter {
    /// Writes an image.
    fn put_image(&mut self, id: u64, image: &[u8]) -> Result<(), StoreError>;
    /// Marks a slot as not in use.
    fn delete_slot(&mut self, id: u64) -> Result<(), StoreError>;
}

impl<I: RecordId, R: Record> ImageWriter for RecordWriter<'_, I, R> {
    fn put_image(&mut self, id: u64, image: &[u8]) -> Result<(), StoreError> {
        let gap = match self.family() {
            Family::Standard | Family::Aligned => <R as Layout<Standard>>::gap(image),
            Family::HighLimit => <R as Layout<HighLimit>>::gap(image),
        };
        let slot = self.slot(id)?;
        put(slot, image.get(..gap.start).unwrap_or(image));
        put(slot.get_mut(gap.end..).unwrap_or_default(), image.get(gap.end..).unwrap_or_default());
        Ok(())
    }

    fn delete_slot(&mut self, id: u64) -> Result<(), StoreError> {
        self.delete_unit(id)
    }
}

impl ImageWriter for DynamicWriter<'_> {
    fn put_image(&mut self, id: u64, image: &[u8]) -> Result<(), StoreError> {
        put(self.slot(id)?, image);
        Ok(())
    }

    fn delete_slot(&mut self, id: u64) -> Result<(), StoreError> {
        self.delete(crate::store::id::DynamicId(id))
    }
}

/// A file of records of any kind, as far as one works with slots and not with what is in them.
pub trait StoreFile: Sync {
    /// Writes images.
    type Writer<'a>: ImageWriter
    where
        Self: 'a;

    /// The slots of the file.
    fn slots(&self) -> &Slots;
    /// A writer; it holds the page of the last slot until the next.
    fn image_writer(&self) -> Self::Writer<'_>;
}

impl<I: RecordId, R: Record> StoreFile for RecordFile<I, R> {
    type Writer<'a>
        = RecordWriter<'a, I, R>
    where
        Self: 'a;

    fn slots(&self) -> &Slots {
        self.slots()
    }

    fn image_writer(&self) -> Self::Writer<'_> {
        self.writer()
    }
}

impl StoreFile for DynamicFile {
    type Writer<'a> = DynamicWriter<'a>;

    fn slots(&self) -> &Slots {
        self.slots()
    }

    fn image_writer(&self) -> Self::Writer<'_> {
        self.writer()
    }
}

fn put(slot: &mut [u8], image: &[u8]) {
    slot.iter_mut().zip(image).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::{Disk, OsDisk};
    use crate::store::id::{DynamicId, NodeId, PropertyId};
    use crate::store::labels::LabelField;
    use crate::store::page_cache::PageCache;
    use crate::store::record::{Node, NodeChain, Property};

    /// A store whose slots are full of ones.
    fn file(directory: &std::path::Path, name: &str) -> Box<dyn crate::io::disk::DiskFile> {
        let path = directory.join(name);
        std::fs::write(&path, [0xff; 8192]).unwrap();
        OsDisk.open(&path).unwrap()
    }

    fn write(writer: &mut impl ImageWriter, id: u64, image: &RecordImage) {
        writer.put_image(id, image.own.bytes()).unwrap();
        if let Some((second, image)) = image.second {
            writer.put_image(second, image.bytes()).unwrap();
        }
    }

    #[test]
    fn an_image_written_later_leaves_the_bytes_of_a_record_written_now() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let node = |property| Node {
            chain: NodeChain::Sparse(None),
            property: Some(PropertyId(property)),
            labels: LabelField(7),
        };
        for family in [Family::Standard, Family::Aligned, Family::HighLimit] {
            for (words, units) in [
                (1, Units::default()),
                (2, Units { fixed_references: true, secondary: None }),
                (4, Units { fixed_references: false, secondary: Some(9) }),
            ] {
                let property =
                    Property::new(None, Some(PropertyId(3)), (0..words).map(|_| 0x1_b000_0000)).unwrap();
                let open = |name| RecordFile::open(&cache, file(dir.path(), name), family, 0..=99).unwrap();
                let (now, later) = (open("now"), open("later"));
                now.writer().put(PropertyId(2), &property, units).unwrap();
                let image = later.image(PropertyId(2), &property, units).unwrap();
                write(&mut later.writer(), 2, &image);
                let read = |file: &RecordFile<PropertyId, Property>| {
                    file.slots().file().read(0).unwrap().unwrap().to_vec()
                };
                assert!(read(&now) == read(&later), "{family:?} {words}");

                let open = |name| RecordFile::open(&cache, file(dir.path(), name), family, 0..=99).unwrap();
                let (now, later) = (open("now"), open("later"));
                now.writer().put(NodeId(5), &node(1 << 33), units).unwrap();
                let image = later.image(NodeId(5), &node(1 << 33), units).unwrap();
                write(&mut later.writer(), 5, &image);
                let read =
                    |file: &RecordFile<NodeId, Node>| file.slots().file().read(0).unwrap().unwrap().to_vec();
                assert!(read(&now) == read(&later), "{family:?} {units:?}");
            }
        }
    }

    #[test]
    fn an_image_of_a_dynamic_record_must_fit_into_a_slot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("strings");
        std::fs::write(&path, [&[0, 0, 0, 60][..], &[0xff; 8000]].concat()).unwrap();
        let cache = PageCache::new(0);
        let open =
            || DynamicFile::open(&cache, OsDisk.open(&path).unwrap(), Family::Standard, 99, Err).unwrap();
        let strings = open();
        let mut image = Vec::new();
        let record = |data| Dynamic { is_first: true, next: None, data };
        assert!(strings.image(3, &record(&[1; 53]), &mut image).is_err());
        strings.image(3, &record(&[1; 40]), &mut image).unwrap();
        assert_eq!(image.len(), 48);
        strings.writer().put_image(3, &image).unwrap();
        let later = strings.slots().file().read(0).unwrap().unwrap().to_vec();
        let strings = open();
        strings.writer().put(DynamicId(3), &record(&[1; 40])).unwrap();
        assert!(strings.slots().file().read(0).unwrap().unwrap()[..] == later);
    }
}
