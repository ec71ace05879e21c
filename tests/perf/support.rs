//! What benches have in common with each other and with the tests.

#![allow(dead_code, reason = "each bench uses a part of it")]

#[path = "../support/backup_run.rs"]
pub mod backup_run;
#[path = "../support/faulty_disk.rs"]
pub mod faulty_disk;
#[path = "../support/live_source.rs"]
pub mod live_source;
#[path = "../support/memory_source.rs"]
pub mod memory_source;
#[path = "oracle.rs"]
pub mod oracle;
#[path = "../support/program.rs"]
pub mod program;
#[path = "../support/real_database.rs"]
pub mod real_database;
#[path = "../support/relay.rs"]
pub mod relay;
#[path = "../support/serving.rs"]
pub mod serving;
#[path = "copy/source.rs"]
pub mod source;
#[path = "../support/stores.rs"]
pub mod stores;
#[path = "../support/tool.rs"]
pub mod tool;
#[path = "../support/transactions.rs"]
pub mod transactions;
