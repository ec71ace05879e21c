//! The consistency checker against the reports of Neo4j's own.

mod beyond;
pub mod corpus;
mod damage;
mod exchanged_children;
mod fail_fast;
mod healthy;
mod high_limit;
mod lucene;
pub mod store;
