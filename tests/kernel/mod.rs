//! Tests against a real Neo4j 4.4 kernel; they need a JDK (see `support::kernel`).

mod backup;
mod bench;
mod consistency;
mod incremental;
mod launcher;
mod recovery;
mod relay;
mod stores;
mod trees;
