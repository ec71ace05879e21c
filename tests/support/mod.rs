//! Fixtures: what several tests arrange.

pub mod kernel;
pub mod stores;
