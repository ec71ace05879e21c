//! Transactions as they travel.

use bytes::BufMut;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::txlog::KernelVersion;
use neo4j_admin::txlog::command::counts::NodeCount;
use neo4j_admin::txlog::entry::{Commit, EntryHead, EntryType, Start};

/// A transaction that counts `commands` nodes; 44 bytes and 15 for each of them.
pub fn transaction(id: i64, commands: usize) -> Vec<u8> {
    let version = KernelVersion::V4_4;
    let mut bytes = Vec::new();
    let latest_committed = TransactionId(id - 1);
    Start { time: 1_000 + id, latest_committed, previous_checksum: 0x0bad_f00d, additional_header: &[] }
        .encode(version, &mut bytes);
    for _ in 0..commands {
        EntryHead { version, kind: EntryType::Command }.encode(&mut bytes);
        bytes.put_u8(17);
        NodeCount { label: None, delta: 1 }.encode(&mut bytes);
    }
    Commit { id: TransactionId(id), time: 2_000 + id }.encode(version, &mut bytes);
    bytes
}
