//! Every decoder of logs against mutated inputs: no panic, no hang, and what is read is written the same.
//!
//! `NEO4J_ADMIN_FUZZ_ROUNDS` is the number of inputs per decoder; the full campaign takes 200,000. A failure prints the
//! decoder, the round and the input.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use neo4j_admin::io::bytes::Reader;
use neo4j_admin::store::layout::log_file_name;
use neo4j_admin::txlog::checkpoint::Checkpoint;
use neo4j_admin::txlog::command::Command;
use neo4j_admin::txlog::entry::{EntryHead, EntryType, InlineCheckpoint, Start};
use neo4j_admin::txlog::header::LogHeader;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::tail::Tail;
use neo4j_admin::txlog::{KernelVersion, LogPosition, wire};

use super::{logs, transactions};
use crate::support::mutate::{Random, mutate};
use crate::support::stores;

const VERSIONS: [KernelVersion; 4] =
    [KernelVersion::V4_0, KernelVersion::V4_2, KernelVersion::V4_3, KernelVersion::V4_4];

fn rounds(default: u64) -> u64 {
    std::env::var("NEO4J_ADMIN_FUZZ_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap())
}

fn fuzz(name: &str, rounds: u64, seeds: &[Vec<u8>], decode: impl Fn(&[u8])) {
    for round in 0..rounds {
        let input = mutate(&mut Random(round), seeds);
        let started = Instant::now();
        let failed = || eprintln!("{name}, round {round}, input {input:02x?}");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| decode(&input))) {
            failed();
            resume_unwind(panic);
        }
        if started.elapsed() > Duration::from_secs(10) {
            failed();
            panic!("{:?} for {} bytes", started.elapsed(), input.len());
        }
    }
}

/// Real transactions as they travel, some of each size.
fn real_transactions() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack("standard", directory.path());
    let all = ["neo4j", "system"].map(|name| transactions(&directory.path().join(name))).concat();
    let mut found: Vec<_> = all.into_iter().map(|(_, wire)| wire).collect();
    found.sort_by_key(Vec::len);
    let step = (found.len() / 100).max(1);
    found.into_iter().step_by(step).filter(|wire| wire.len() < 20_000).collect()
}

/// The commands of real transactions, one of each length and kind.
fn real_commands() -> Vec<Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for wire in real_transactions() {
        for command in wire::Commands::new(&wire).unwrap() {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            found.insert((command.type_byte(), bytes.len()), bytes);
        }
    }
    let kernel_upgrade = b"\x13\0\0\0\0\0\0\0\x13\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0\0\x04".to_vec();
    found.into_values().chain([kernel_upgrade]).collect()
}

#[test]
fn commands() {
    let seeds = real_commands();
    fuzz("command", rounds(4_000), &seeds, |input| {
        for version in VERSIONS {
            let mut reader = Reader::new(input);
            let Ok(command) = Command::decode(version, &mut reader) else { continue };
            let read = &input[..reader.offset()];
            let mut written = Vec::new();
            command.encode(&mut written);
            let padding = read.iter().take_while(|byte| **byte == 0).count();
            // Kernels before 4.3 make nothing of the upper flags of a group, so they are not kept.
            if !matches!(command, Command::Group(_)) || version.has_external_degrees() {
                assert_eq!(written, read[padding..], "{command:?}");
            }
            // Debug output goes through every list.
            assert!(!format!("{command:?}").is_empty());
        }
    });
}

#[test]
fn transactions_on_the_wire() {
    let seeds = real_transactions();
    fuzz("transaction", rounds(4_000), &seeds, |input| {
        let scanned = wire::scan(input);
        let Ok(Some(transaction)) = scanned else { return };
        let wire = &input[..transaction.length];
        assert_eq!(wire::scan(wire).unwrap(), Some(transaction));
        assert_eq!(wire::scan(&wire[..wire.len() - 1]).unwrap(), None);
        for command in wire::Commands::new(wire).unwrap() {
            if let Command::Property(command) = command {
                assert_eq!(command.change.after.blocks.iter().count(), command.change.after.blocks.len());
            }
        }
    });
}

#[test]
fn entries() {
    let checkpoint =
        InlineCheckpoint { position: LogPosition { log_version: 3, offset: 64 } }.encode().to_vec();
    let mut seeds: Vec<_> =
        real_transactions().into_iter().map(|wire| wire[..wire.len().min(60)].to_vec()).collect();
    seeds.push(checkpoint);
    fuzz("entry", rounds(4_000), &seeds, |input| {
        let mut reader = Reader::new(input);
        if let Ok(Some(head)) = EntryHead::decode(&mut reader) {
            let mut written = Vec::new();
            if head.kind != EntryType::Start {
                head.encode(&mut written);
            } else if let Ok(start) = Start::decode(&mut reader) {
                start.encode(head.version, &mut written);
            }
            assert_eq!(written, input[..written.len()]);
        }
        if let Some(entry) = input.first_chunk()
            && let Ok(checkpoint) = InlineCheckpoint::decode(entry)
        {
            assert_eq!(checkpoint.encode(), *entry);
        }
    });
}

#[test]
fn headers() {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack("standard", directory.path());
    let path = directory.path().join("neo4j").join(log_file_name(1));
    let seed = std::fs::read(path).unwrap()[..64].to_vec();
    let mut legacy = seed[..16].to_vec();
    legacy[0] = 6;
    fuzz("header", rounds(4_000), &[seed, legacy], |input| {
        let Ok(Some(header)) = LogHeader::decode(input) else { return };
        let written = header.encode();
        // The reserved field is written as zero, whatever was in it.
        let kept = written.len().min(56);
        assert_eq!(written[..kept], input[..kept]);
    });
}

#[test]
fn checkpoint_records() {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack("standard", directory.path());
    let bytes = std::fs::read(directory.path().join("neo4j/checkpoint.0")).unwrap();
    let (records, _) = bytes[64..].as_chunks::<{ Checkpoint::SIZE }>();
    let seeds: Vec<_> = records.iter().map(|record| record.to_vec()).collect();
    fuzz("checkpoint", rounds(4_000), &seeds, |input| {
        let Some(record) = input.first_chunk::<{ Checkpoint::SIZE }>() else { return };
        // With the checksum that belongs to it, so that more than the checksum is tried.
        let mut record = *record;
        let end = crc32c::crc32c(&record[..188]);
        record[188..].copy_from_slice(&end.to_be_bytes());
        if let Ok(checkpoint) = Checkpoint::decode(&record) {
            assert_eq!(checkpoint.encode(), record);
            assert!(checkpoint.reason.to_string().chars().count() <= 120);
        }
    });
}

/// Gives a file a content in place, which costs the medium nothing.
fn overwrite(file: &File, content: &[u8]) {
    file.set_len(content.len() as u64).unwrap();
    file.write_all_at(content, 0).unwrap();
}

#[test]
fn whole_logs() {
    let source = tempfile::tempdir().unwrap();
    stores::unpack("standard", source.path());
    let log = std::fs::read(source.path().join("neo4j").join(log_file_name(0))).unwrap();
    let checkpoints = std::fs::read(source.path().join("neo4j/checkpoint.0")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join(log_file_name(0))).unwrap();
    fuzz("log", rounds(4_000) / 20, &[log[..6_000].to_vec()], |input| {
        overwrite(&file, input);
        let Ok(mut reader) =
            LogReader::open(&logs(directory.path()), LogPosition { log_version: 0, offset: 64 })
        else {
            return;
        };
        while let Ok(Some(_)) = reader.next_transaction() {}
    });
    overwrite(&file, &log);
    let file = File::create(directory.path().join("checkpoint.0")).unwrap();
    fuzz("checkpoint log", rounds(4_000) / 20, &[checkpoints], |input| {
        overwrite(&file, input);
        let tail = Tail::find(&logs(directory.path()));
        assert!(
            tail.is_err()
                || tail
                    .unwrap()
                    .checkpoint
                    .is_none_or(|checkpoint| checkpoint.position.offset <= log.len() as u64)
        );
    });
}
