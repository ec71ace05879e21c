//! A log with any byte flipped and of any length reads as a shorter log or is refused, never as another one.
//!
//! With `NEO4J_ADMIN_TEST_DAMAGE` set to `all` each byte is flipped in several ways and the log is longer.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::log_file_name;
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::txlog::reader::{LogReader, Rest};
use neo4j_admin::txlog::writer::LogWriter;
use neo4j_admin::txlog::{LogError, LogPosition};

use super::{logs, transactions};
use crate::support::stores;

/// Transactions in the small log, and what is done to its bytes.
fn extent() -> (usize, &'static [u8]) {
    if std::env::var("NEO4J_ADMIN_TEST_DAMAGE").is_ok_and(|extent| extent == "all") {
        (40, &[0x01, 0x02, 0x10, 0x80, 0xff])
    } else {
        (12, &[0xff])
    }
}

/// The start of a real log, rewritten to one file: transactions as they travel, and the file.
fn small_log(directory: &Path) -> (Vec<Vec<u8>>, Vec<u8>) {
    let store = tempfile::tempdir().unwrap();
    stores::unpack("standard", store.path());
    let database = store.path().join("neo4j");
    let store_id = Neostore::read(&database.join("neostore")).unwrap().store_id().unwrap();
    let mut writer =
        LogWriter::create(OsDisk::shared(), directory, 0, store_id, TransactionId::BASE, u64::MAX).unwrap();
    let mut wire = transactions(&database);
    // Small ones, so that the campaign stays short.
    wire.retain(|(_, bytes)| bytes.len() < 600);
    wire.truncate(extent().0);
    let mut kept = Vec::new();
    for (id, (_, mut bytes)) in (2..).zip(wire) {
        let at = bytes.len() - 16;
        bytes[at..at + 8].copy_from_slice(&i64::to_be_bytes(id));
        writer.append(TransactionId(id), &bytes).unwrap();
        kept.push(bytes);
    }
    writer.sync().unwrap();
    (kept, std::fs::read(directory.join(log_file_name(0))).unwrap())
}

/// Reads a log, whose transactions must be the first of `expected`; how many, and how it ended.
fn read(directory: &Path, expected: &[Vec<u8>]) -> (usize, Result<Rest, LogError>) {
    let mut reader = match LogReader::open(&logs(directory), LogPosition { log_version: 0, offset: 64 }) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    let mut count = 0;
    loop {
        match reader.next_transaction() {
            Ok(Some(mut logged)) => {
                assert!(logged.wire().unwrap() == expected[count], "transaction {count} is another one");
                count += 1;
            }
            Ok(None) => return (count, Ok(reader.end().unwrap().rest)),
            Err(error) => {
                assert!(error.to_string().contains("neostore.transaction.db.0"), "{error}");
                return (count, Err(error));
            }
        }
    }
}

/// The small log. Changed in place, which costs the medium nothing.
fn open(directory: &Path) -> File {
    File::options().write(true).open(directory.join(log_file_name(0))).unwrap()
}

#[test]
fn a_flipped_byte_is_an_error_or_takes_the_last_transaction_away() {
    let dir = tempfile::tempdir().unwrap();
    let (wire, log) = small_log(dir.path());
    let file = open(dir.path());
    let last = log.len() - wire.last().unwrap().len() - 4;
    for flip in extent().1 {
        for (at, byte) in log.iter().enumerate() {
            file.write_all_at(&[byte ^ flip], at as u64).unwrap();
            let (count, outcome) = read(dir.path(), &wire);
            file.write_all_at(&[*byte], at as u64).unwrap();
            let told = format!("byte {at} ^ {flip:#x}: {count} transactions, {outcome:?}");
            match at {
                // Format 6 for 7: the header of a 3.x log, which is shorter; what is read lies behind both.
                0 if *flip == 1 => assert!(outcome.is_ok() && count == wire.len(), "{told}"),
                // Format and number of the file.
                ..8 => assert!(outcome.is_err(), "{told}"),
                // What the header says besides does not matter for reading.
                8..64 => assert!(outcome.is_ok() && count == wire.len(), "{told}"),
                // Nothing follows that would tell damage from a write that was cut.
                _ if at >= last => assert_eq!(count, wire.len() - 1, "{told}"),
                _ => assert!(outcome.is_err() && count < wire.len() - 1, "{told}"),
            }
        }
    }
}

#[test]
fn a_truncated_log_ends_with_its_last_whole_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let (wire, log) = small_log(dir.path());
    let file = open(dir.path());
    let mut ends = vec![64];
    for bytes in &wire {
        ends.push(ends.last().unwrap() + bytes.len() + 4);
    }
    for length in (0..log.len()).rev() {
        file.set_len(length as u64).unwrap();
        let (count, outcome) = read(dir.path(), &wire);
        if length < 64 {
            assert!(matches!(outcome, Err(LogError::NoHeader { .. })), "length {length}: {outcome:?}");
            continue;
        }
        assert_eq!(count, ends.iter().filter(|end| **end <= length).count() - 1, "length {length}");
        let rest = if ends.contains(&length) { Rest::Nothing } else { Rest::Torn };
        assert_eq!(outcome.unwrap(), rest, "length {length}");

        // The same with the file allocated in advance.
        file.set_len(length as u64 + 1000).unwrap();
        let (padded, outcome) = read(dir.path(), &wire);
        // Zeros at the end of the checksum may be its own.
        assert!(padded == count || (padded == count + 1 && ends[padded] - length < 4), "length {length}");
        assert_ne!(outcome.unwrap(), Rest::Nothing);
    }
}
