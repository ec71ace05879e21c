//! Fixtures: what several tests arrange.

pub mod backup_run;
pub mod compare;
pub mod digest;
pub mod faulty_disk;
pub mod faulty_network;
pub mod golden;
pub mod images;
pub mod index_contents;
pub mod kernel;
pub mod memory_source;
pub mod mutate;
pub mod peer;
pub mod random;
pub mod recovery;
pub mod relay;
pub mod serving;
pub mod sinks;
pub mod small_store;
pub mod stores;
pub mod streams;
pub mod tls;
pub mod tool;
pub mod transactions;
pub mod trees;
pub mod volatile;
