//! Byte cursors and the file system. Knows nothing of Neo4j.

pub mod block_checksum;
pub mod block_writer;
pub mod bytes;
pub mod disk;
pub mod filesystem;
pub mod force;
pub mod lock;
pub mod read_only;
pub mod sort;
pub mod stopping_disk;
pub mod tracked_disk;
