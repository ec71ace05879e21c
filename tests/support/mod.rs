//! Fixtures: what several tests arrange.

pub mod kernel;
pub mod random;
pub mod stores;
pub mod volatile;
