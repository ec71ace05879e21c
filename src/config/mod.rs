//! Configuration: how values are written, and where they come from.

pub mod address;
pub mod bytes;
pub mod duration;
