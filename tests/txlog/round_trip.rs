//! Random commands and transactions, put together here from the tables of the specification: all of them are read to
//! their last byte, written the same, and come back out of log files.

use bytes::BufMut;
use neo4j_admin::io::bytes::Reader;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::{StoreId, StoreVersion, TransactionId};
use neo4j_admin::txlog::command::Command;
use neo4j_admin::txlog::writer::LogWriter;
use neo4j_admin::txlog::{KernelVersion, wire};
use proptest::collection::vec;
use proptest::prelude::*;

use super::transactions;

type Bytes = BoxedStrategy<Vec<u8>>;

/// Bytes of some parts, one after the other.
fn joined(parts: impl IntoIterator<Item = Bytes>) -> Bytes {
    parts.into_iter().collect::<Vec<_>>().prop_map(|parts| parts.concat()).boxed()
}

fn fixed(bytes: &[u8]) -> Bytes {
    Just(bytes.to_vec()).boxed()
}

fn any_bytes(count: usize) -> Bytes {
    vec(any::<u8>(), count).boxed()
}

/// A 4-byte count, then as many items.
fn list(item: Bytes, most: usize) -> Bytes {
    let counted = |items: Vec<Vec<u8>>| {
        let mut bytes = Vec::new();
        bytes.put_u32(items.len() as u32);
        bytes.extend(items.concat());
        bytes
    };
    vec(item, 0..=most).prop_map(counted).boxed()
}

/// A 4-byte length, then UTF-8.
fn text() -> Bytes {
    ".{0,20}".prop_map(|text| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()).boxed()
}

fn dynamic_record() -> Bytes {
    let unused = joined([any_bytes(12), fixed(&[0])]);
    let used = (any_bytes(12), any::<u8>(), any_bytes(8), vec(any::<u8>(), 0..130)).prop_map(
        |(head, flags, next, data)| {
            let mut bytes = head;
            bytes.put_u8(flags | 1);
            bytes.put_u32(data.len() as u32);
            bytes.extend(next);
            bytes.extend(data);
            bytes
        },
    );
    prop_oneof![unused, used].boxed()
}

fn dynamic_records() -> Bytes {
    list(dynamic_record(), 3)
}

/// An image in use: flags, a middle part, and a secondary unit where the flags announce one.
fn used(middle: Bytes) -> Bytes {
    (any::<u8>(), middle, any_bytes(8))
        .prop_map(|(flags, middle, unit)| {
            let unit = if flags & 8 == 0 { &[][..] } else { &unit };
            [&[flags | 1], &middle[..], unit].concat()
        })
        .boxed()
}

fn unused_flags() -> Bytes {
    any::<u8>().prop_map(|flags| vec![flags & !1]).boxed()
}

fn boolean() -> Bytes {
    (0..=1_u8).prop_map(|byte| vec![byte]).boxed()
}

fn node_image() -> Bytes {
    let used = used(joined([boolean(), any_bytes(24)]));
    joined([prop_oneof![unused_flags(), used].boxed(), dynamic_records()])
}

fn relationship_image() -> Bytes {
    let starts = (0..=3_u8).prop_map(|byte| vec![byte]).boxed();
    let used = used(joined([any_bytes(60), starts]));
    prop_oneof![joined([unused_flags(), any_bytes(4)]), used].boxed()
}

fn property_image() -> Bytes {
    let block = (1..=4_usize)
        .prop_flat_map(|longs| joined([fixed(&[longs as u8 * 8]), any_bytes(longs * 8), dynamic_records()]));
    let blocks = vec(block, 0..=4).prop_map(|blocks| (blocks.len() as u8, blocks.concat()));
    (any::<u8>(), any_bytes(24), any_bytes(8), blocks, dynamic_records())
        .prop_map(|(flags, chain, unit, (count, blocks), deleted)| {
            let flags = flags & !1 | u8::from(count > 0);
            let unit = if flags & 8 == 0 { &[][..] } else { &unit };
            [&[flags], &chain[..], unit, &[count], &blocks, &deleted].concat()
        })
        .boxed()
}

fn token_image(is_property_key: bool) -> Bytes {
    let flags = prop_oneof![Just(0_u8), Just(0x01), Just(0x21)].prop_map(|flags| vec![flags]).boxed();
    let count = any_bytes(if is_property_key { 4 } else { 0 });
    joined([flags, count, any_bytes(4), dynamic_records()])
}

fn group_image(type_bytes: usize) -> Bytes {
    (any::<u8>(), any_bytes(type_bytes + 40), any_bytes(8))
        .prop_map(|(flags, fields, unit)| {
            let unit = if flags & 8 == 0 { &[][..] } else { &unit };
            [&[flags], &fields[..], unit].concat()
        })
        .boxed()
}

fn schema_image() -> Bytes {
    prop_oneof![unused_flags(), used(joined([boolean(), any_bytes(8)]))].boxed()
}

/// An element of an array in a rule, or what follows the type byte of a value.
fn schema_scalar(kind: u8) -> Bytes {
    match kind {
        2 => boolean(),
        3 => any_bytes(1),
        4 => any_bytes(2),
        5 | 7 | 10 => any_bytes(4),
        6 | 8 => any_bytes(8),
        _ => text(),
    }
}

fn schema_rule() -> Bytes {
    let truth = boolean();
    let scalar = (3..=10_u8).prop_flat_map(|kind| joined([fixed(&[kind]), schema_scalar(kind)]));
    let array = (2..=10_u8).prop_flat_map(|kind| {
        let elements = vec(schema_scalar(kind), 0..5);
        elements.prop_map(move |elements| {
            let mut bytes = vec![11];
            bytes.put_u32(elements.len() as u32);
            bytes.put_u8(kind);
            bytes.extend(elements.concat());
            bytes
        })
    });
    let value = prop_oneof![truth, scalar.boxed(), array.boxed()].boxed();
    list(joined([text(), value]), 6)
}

fn schema_command() -> Bytes {
    let rest = |has_rule| joined([schema_image(), schema_image(), has_rule]);
    prop_oneof![
        joined([fixed(&[18]), any_bytes(8), fixed(&[0]), rest(fixed(&[]))]),
        joined([fixed(&[18]), any_bytes(8), fixed(&[1]), rest(schema_rule())]),
    ]
    .boxed()
}

/// A command with its type byte, of any kind that a version has.
fn command(version: KernelVersion) -> Bytes {
    let twice =
        |kind: u8, id: usize, image: fn() -> Bytes| joined([fixed(&[kind]), any_bytes(id), image(), image()]);
    let mut kinds = vec![
        twice(1, 8, node_image),
        twice(2, 8, property_image),
        twice(3, 8, relationship_image),
        twice(4, 4, || token_image(false)),
        twice(5, 4, || token_image(true)),
        twice(8, 4, || token_image(false)),
        joined([fixed(&[16]), any_bytes(20)]),
        joined([fixed(&[17]), any_bytes(12)]),
        schema_command(),
    ];
    if version.has_external_degrees() {
        // Versions before read the upper flags of a group away.
        kinds.push(twice(9, 8, || group_image(2)));
        kinds.push(twice(21, 8, || group_image(3)));
        kinds.push(joined([fixed(&[19]), any_bytes(26)]));
        let key = (any::<i64>(), 0..3_i64)
            .prop_map(|(key, direction)| (key & !3 | direction).to_be_bytes().to_vec());
        kinds.push(joined([fixed(&[20]), key.boxed(), any_bytes(8)]));
    }
    proptest::strategy::Union::new(kinds).boxed()
}

fn version() -> impl Strategy<Value = KernelVersion> {
    prop_oneof![
        Just(KernelVersion::V4_0),
        Just(KernelVersion::V4_2),
        Just(KernelVersion::V4_3),
        Just(KernelVersion::V4_4)
    ]
}

/// A transaction as it travels, its id apart, and its number of commands. Kernels skip zeros before a command.
fn transaction() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let padded = |version| {
        (0..3_usize, command(version)).prop_map(|(zeros, command)| [vec![0; zeros], command].concat())
    };
    version().prop_flat_map(move |version| {
        (any_bytes(20), vec(any::<u8>(), 0..40), vec(padded(version), 0..6), any_bytes(8)).prop_map(
            move |(start, header, commands, time)| {
                let mut bytes = vec![version.byte(), 1];
                bytes.extend(start);
                bytes.put_u32(header.len() as u32);
                bytes.extend(header);
                for command in &commands {
                    bytes.extend([version.byte(), 3]);
                    bytes.extend(command);
                }
                bytes.extend([version.byte(), 5]);
                bytes.put_i64(0);
                bytes.extend(time);
                (bytes, commands.len())
            },
        )
    })
}

fn with_id(mut wire: Vec<u8>, id: i64) -> Vec<u8> {
    let at = wire.len() - 16;
    wire[at..at + 8].copy_from_slice(&id.to_be_bytes());
    wire
}

proptest! {
    #[test]
    fn a_command_is_read_to_its_last_byte_and_written_the_same(
        (version, bytes) in version().prop_flat_map(|version| (Just(version), command(version)))
    ) {
        let mut reader = Reader::new(&bytes);
        let command = Command::decode(version, &mut reader).unwrap();
        prop_assert_eq!(reader.left(), 0);
        let mut again = Vec::new();
        command.encode(&mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn the_ends_of_transactions_are_found_in_a_stream((first, commands) in transaction(), (second, _) in transaction()) {
        let stream = [&first[..], &second].concat();
        let scanned = wire::scan(&stream).unwrap().unwrap();
        prop_assert_eq!(scanned.length, first.len());
        prop_assert_eq!(wire::Commands::new(&stream).unwrap().count(), commands);
        for cut in 0..first.len() {
            prop_assert_eq!(wire::scan(&first[..cut]).unwrap(), None);
        }
    }

    #[test]
    fn transactions_come_back_out_of_the_log(wires in vec(transaction(), 0..20)) {
        let directory = tempfile::tempdir().unwrap();
        let store_id = StoreId {
            creation_time: 1,
            random: 2,
            version: StoreVersion::from_name("SF4.3.0").unwrap(),
            upgrade_time: 1,
            upgrade_transaction: 1,
        };
        let wires: Vec<_> = (2..).zip(wires).map(|(id, (wire, _))| (TransactionId(id), with_id(wire, id))).collect();
        let disk = OsDisk::shared();
        let mut writer =
            LogWriter::create(disk, directory.path(), 0, store_id, TransactionId::BASE, u64::MAX).unwrap();
        for (id, wire) in &wires {
            writer.append(*id, wire).unwrap();
        }
        writer.sync().unwrap();
        prop_assert_eq!(transactions(directory.path()), wires);
    }
}
