//! The backup job: what is asked for, where it goes, how it is fetched and how it takes the place of an older one.

pub mod path;
pub mod progress;
pub mod selection;
