//! A database directory: its files, its metadata store and its identities.

pub mod id;
pub mod layout;
pub mod neostore;
pub mod page_cache;
pub mod tools;
