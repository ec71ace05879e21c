//! A file that loses what was not forced, as a machine does that loses its power.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use neo4j_admin::io::disk::{DiskError, DiskFile};

use super::random::Random;

/// Bytes that a medium writes as a whole.
const SECTOR: usize = 512;

/// A file in memory. Clones are the same file.
#[derive(Clone, Debug)]
pub struct VolatileFile {
    path: PathBuf,
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    forced: Vec<u8>,
    now: Vec<u8>,
    /// Writes since the last force: where, and what.
    pending: Vec<(usize, Vec<u8>)>,
}

impl VolatileFile {
    pub fn new(bytes: Vec<u8>) -> Self {
        let content = Content { forced: bytes.clone(), now: bytes, pending: Vec::new() };
        Self { path: PathBuf::from("volatile"), content: Arc::new(Mutex::new(content)) }
    }

    pub fn boxed(&self) -> Box<dyn DiskFile> {
        Box::new(self.clone())
    }

    /// What is in the file while the power is on.
    pub fn bytes(&self) -> Vec<u8> {
        self.content.lock().unwrap().now.clone()
    }

    /// What is in the file after the power was lost: of what was not forced some sectors, in any order.
    pub fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
        let content = self.content.lock().unwrap();
        let mut left = content.forced.clone();
        for (offset, bytes) in &content.pending {
            for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                if random.once_in(2) {
                    put(&mut left, offset + sector * SECTOR, part);
                }
            }
        }
        left
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl DiskFile for VolatileFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.content.lock().unwrap().now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let content = self.content.lock().unwrap();
        let rest = content.now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut content = self.content.lock().unwrap();
        put(&mut content.now, offset as usize, bytes);
        content.pending.push((offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        let mut content = self.content.lock().unwrap();
        content.now.resize(length as usize, 0);
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut content = self.content.lock().unwrap();
        let Content { forced, now, pending } = &mut *content;
        forced.clone_from(now);
        pending.clear();
        Ok(())
    }
}
