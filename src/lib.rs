//! Online backup for Neo4j 4.4 as one native program.
//!
//! One library, so that tests and benches can use every part, and one binary on top of it. The rooms:
//!
//! | Room | Owns |
//! |---|---|
//! | [`cli`] | definitions, grammar, help, log lines, messages, exit codes; alone prints |
//! | [`backup`] | the job: selection, target, fetch, publish |
//! | [`inspect`] | what a database directory holds, without changing anything |
//! | [`restore`] | a backup becomes a database of an installation |
//! | [`serve`] | stores at rest as the source of a server |
//! | [`catchup`] | the backup protocol: messages, handshake, client, server |
//! | [`tls`] | the SSL policy turned into TLS of the client and of the server |
//! | [`config`] | `neo4j.conf` and `--additional-config`: syntax, settings, value types, SSL policy |
//! | [`recovery`] | transactions behind the last checkpoint into stores, ids, counts and indexes; the checkpoint |
//! | [`txlog`] | transaction logs and checkpoints: entries, commands, files |
//! | [`store`] | a database directory: file names, metadata store, records, values, tokens, schema rules, page cache |
//! | [`consistency`] | the consistency check: one file per checked thing, the report, its words |
//! | [`index`] | what is stored in trees and beside them: free ids, counts, statistics, indexes |
//! | [`gbptree`] | the generation-aware B+ tree file: meta, state, nodes, free list, cursor, writer, builder, check |
//! | [`io`] | byte cursors and the one door to the file system for everything that changes it |
//!
//! Data goes down once: `cli → backup, restore, inspect, serve → catchup, consistency, recovery → txlog, index →
//! gbptree, store → io`; `config` and `tls` stand beside.
//! `docs/architecture.md` tells the why.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

pub mod backup;
pub mod catchup;
pub mod cli;
pub mod config;
pub mod consistency;
pub mod gbptree;
pub mod index;
pub mod inspect;
pub mod io;
pub mod recovery;
pub mod restore;
pub mod serve;
pub mod store;
pub mod tls;
pub mod txlog;
