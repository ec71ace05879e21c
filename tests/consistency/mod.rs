//! The consistency checker against the reports of Neo4j's own.

mod corpus;
mod damage;
mod healthy;
mod store;
