//! Tests against a real Neo4j 4.4 kernel; they need a JDK (see `support::kernel`).

mod launcher;
mod stores;
