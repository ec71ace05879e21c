//! A database directory: its files, its metadata store, its records and what they mean.

pub mod error;
pub mod format;
pub mod id;
pub mod labels;
pub mod layout;
pub mod neostore;
pub mod page_cache;
pub mod record;
pub mod schema;
pub mod stores;
pub mod tokens;
pub mod tools;
pub mod value;
