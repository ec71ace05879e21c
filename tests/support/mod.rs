//! Fixtures: what several tests arrange.

pub mod kernel;
