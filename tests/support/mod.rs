//! Fixtures: what several tests arrange.

pub mod digest;
pub mod kernel;
pub mod memory_source;
pub mod mutate;
pub mod peer;
pub mod sinks;
pub mod stores;
pub mod tool;
pub mod transactions;
