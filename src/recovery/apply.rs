//! Writing the collected images into the stores, and the ids that they use or leave into the id files.
//!
//! Each thread has stores of its own and goes through them one by one, from the lowest id to the highest: pages are
//! touched once, in the order of the file. Specification: transaction log 8.4, 8.5, 8.15 rules 1 to 4.

use std::path::PathBuf;

use super::RecoveryError;
use super::images::Images;
use super::progress::{RecoveryEvent, RecoveryProgress};
use crate::index::IndexError;
use crate::index::id_file::{self, IdFile};
use crate::io::disk::SharedDisk;
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::page_cache::{CachedFile, PageCache};
use crate::store::record::{ImageWriter, StoreFile};
use crate::store::stores::Stores;

/// Where the stores and their id files are.
pub(super) struct Target<'a> {
    pub stores: &'a Stores,
    pub layout: &'a DatabaseLayout,
    pub disk: &'a SharedDisk,
    pub cache: &'a PageCache,
    pub progress: &'a dyn RecoveryProgress,
}

impl Target<'_> {
    /// Writes the images of a lane and brings the id files of its stores to their state. What was written waits to be
    /// [finished](Self::finish).
    pub(super) fn apply(&self, mut images: Images) -> Result<Vec<Written>, RecoveryError> {
        let mut written = Vec::new();
        for store in images.lane.stores() {
            written.extend(self.apply_store(store, &mut images)?);
        }
        Ok(written)
    }

    fn apply_store(&self, store: RecordStore, images: &mut Images) -> Result<Option<Written>, RecoveryError> {
        let stores = self.stores;
        match store {
            RecordStore::NodeLabels => self.apply_to(store, &stores.node_labels, images),
            RecordStore::Node => self.apply_to(store, &stores.nodes, images),
            RecordStore::PropertyKeyName => self.apply_to(store, &stores.key_names, images),
            RecordStore::PropertyKey => self.apply_to(store, &stores.key_tokens, images),
            RecordStore::PropertyString => self.apply_to(store, &stores.strings, images),
            RecordStore::PropertyArray => self.apply_to(store, &stores.arrays, images),
            RecordStore::Property => self.apply_to(store, &stores.properties, images),
            RecordStore::Relationship => self.apply_to(store, &stores.relationships, images),
            RecordStore::RelationshipTypeName => self.apply_to(store, &stores.type_names, images),
            RecordStore::RelationshipType => self.apply_to(store, &stores.type_tokens, images),
            RecordStore::LabelName => self.apply_to(store, &stores.label_names, images),
            RecordStore::Label => self.apply_to(store, &stores.label_tokens, images),
            RecordStore::Schema => self.apply_to(store, &stores.schema, images),
            RecordStore::RelationshipGroup => self.apply_to(store, &stores.groups, images),
            // No images, no ids: its fields are written at the end.
            RecordStore::Neostore => Ok(None),
        }
    }

    fn apply_to<F: StoreFile>(
        &self,
        store: RecordStore,
        file: &F,
        images: &mut Images,
    ) -> Result<Option<Written>, RecoveryError> {
        let Some(name) = store.id_file_name() else { return Ok(None) };
        let path = self.layout.database.join(name);
        let mut ids = Ids::new(IdFile::open(self.cache, &**self.disk, &path, file.slots().first()))?;
        let mut writer = file.image_writer();
        while let Some(id) = images.next_id(store)? {
            let state = images.take_slot(store, id, |image| match image {
                Some(image) => writer.put_image(id, image),
                None => writer.delete_slot(id),
            })?;
            ids.with(|ids| {
                // What is taken back does not raise the high id, for Neo4j does not either: it is as if it had never
                // been.
                if state.replayed || state.in_use || id < ids.high_id() {
                    ids.mark(id, state.in_use)
                } else {
                    Ok(())
                }
            })?;
        }
        drop(writer);
        Ok(Some(Written { store, records: file.slots().file().clone(), ids, path }))
    }

    /// Forces what was written into a store, and its id file, which is built anew if it is of no use.
    pub(super) fn finish(&self, written: Written) -> Result<(), RecoveryError> {
        let Written { store, records, ids, path } = written;
        records.sync()?;
        if !ids.finish()? {
            self.progress.event(&RecoveryEvent::IdFileRebuilt(store));
            id_file::rebuild(self.stores, store, self.disk, &path)?;
        }
        Ok(())
    }
}

/// A store whose images are written, but not forced.
pub(super) struct Written {
    store: RecordStore,
    records: CachedFile,
    ids: Ids,
    /// The id file.
    path: PathBuf,
}

/// An id file as long as it is usable. One that is not is built from its store at the end.
struct Ids {
    file: Option<IdFile>,
}

impl Ids {
    fn new(opened: Result<Option<IdFile>, IndexError>) -> Result<Self, IndexError> {
        Ok(Self { file: usable(opened)?.flatten() })
    }

    fn with(&mut self, work: impl FnOnce(&mut IdFile) -> Result<(), IndexError>) -> Result<(), IndexError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if usable(work(file))?.is_none() {
            self.file = None;
        }
        Ok(())
    }

    /// `false`: it must be built.
    fn finish(self) -> Result<bool, IndexError> {
        match self.file {
            None => Ok(false),
            Some(file) => Ok(usable(file.finish())?.is_some()),
        }
    }
}

/// `None`: the file is damaged, which is no error where it can be built anew.
pub(super) fn usable<T>(result: Result<T, IndexError>) -> Result<Option<T>, IndexError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
