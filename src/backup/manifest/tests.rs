#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

use std::collections::BTreeMap;

use time::macros::datetime;

use super::*;
use crate::io::disk::{OsDisk, SharedDisk};
use crate::io::tracked_disk::{BlockChange, TrackedDisk};
use crate::store::id::StoreVersion;
use crate::store::tools::write_database_id;

/// More than one block, more than one portion of a thread.
const LARGE: usize = (BLOCK as usize) * 40 + 17;

fn store_id() -> StoreId {
    let version = StoreVersion::from_name("SF4.3.0").unwrap();
    StoreId { creation_time: 5, random: -3, version, upgrade_time: 5, upgrade_transaction: 1 }
}

fn origin() -> Origin {
    Origin {
        database: "neo4j".to_owned(),
        database_id: DatabaseId(uuid::Uuid::from_u128(7)),
        store_id: store_id(),
        server: "db1:6362".to_owned(),
        protocol: "4.0".to_owned(),
        tool_version: "test",
        kind: Kind::Full,
        first_transaction: TransactionId(2),
        required_transaction: Some(TransactionId(8)),
        started: datetime!(2024-05-01 10:00:00 UTC),
        bytes_received: 17,
    }
}

/// A directory with the look of a backup whose last transaction is 9.
fn backup(large: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut neostore = vec![0; 8192];
    neostore[27] = 1;
    neostore[28..36].copy_from_slice(&9_i64.to_be_bytes());
    for (path, content) in [
        ("neostore", neostore),
        ("neostore.nodestore.db", (0..large).map(|at| (at / 1000) as u8).collect()),
        ("neostore.transaction.db.0", vec![7; 100]),
        ("empty", Vec::new()),
        ("schema/index/range-1.0/3/index-3", vec![1; 5000]),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir(dir.path().join("tools")).unwrap();
    write_database_id(&OsDisk, dir.path(), origin().database_id).unwrap();
    fs::write(dir.path().join("database_lock"), "").unwrap();
    dir
}

fn write(dir: &Path, recovered: bool) -> Manifest {
    let facts = Facts::of(dir, &origin(), recovered).unwrap();
    let manifest = Manifest::of(dir, facts, 2, &Stop::default()).unwrap();
    manifest.write(&OsDisk, dir).unwrap();
    manifest
}

fn differences(dir: &Path) -> Vec<String> {
    match verify(dir, 2).unwrap() {
        Verdict::Compared { differences, .. } => differences.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let dir = backup(3000);
    assert_eq!(Manifest::read(dir.path()).unwrap(), None);
    assert_eq!(verify(dir.path(), 1).unwrap(), Verdict::NoManifest);
    for recovered in [false, true] {
        let manifest = write(dir.path(), recovered);
        assert_eq!(manifest.backup.required_transaction, (!recovered).then_some(8));
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
    }
    let text = fs::read_to_string(dir.path().join(MANIFEST_FILE)).unwrap();
    for line in [
        "format = 1",
        "state = \"complete\"",
        "database_id = \"00000000-0000-0000-0000-000000000007\"",
        "store_id = [5, -3, 3471768636287767303, 5, 1]",
        "store_version = \"SF4.3.0\"",
        "kind = \"full\"",
        "last_transaction = 9",
        "checked = \"no\"",
        "started = \"2024-05-01T10:00:00Z\"",
        "path = \"schema/index/range-1.0/3/index-3\"",
        "blocks = \"\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let crc = format!("blocks = \"{:08x}\"", crc32c::crc32c(&[1; 5000]));
    assert!(text.contains(&crc), "{text}");
    assert_eq!(Manifest::read(dir.path()).unwrap().unwrap().backup.store_id(), store_id());
    assert!(differences(dir.path()).is_empty());
}

#[test]
fn a_damaged_or_foreign_manifest_is_refused() {
    let dir = backup(3000);
    let manifest = write(dir.path(), true);
    let path = dir.path().join(MANIFEST_FILE);
    let text = fs::read(&path).unwrap();
    for at in (0..text.len()).step_by(7) {
        let mut damaged = text.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(matches!(Manifest::read(dir.path()), Err(ManifestError::Unreadable { .. })), "{at}");
    }
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        manifest.write(&OsDisk, dir.path()).unwrap();
        Manifest::read(dir.path()).unwrap_err().to_string()
    };
    assert!(refused(&|manifest| manifest.backup.format = 2).contains("format 2"));
    assert!(refused(&|manifest| manifest.files[0].path = "../etc".to_owned()).contains("no path below"));
    assert!(refused(&|manifest| manifest.files.swap(0, 1)).contains("out of order"));
    assert!(refused(&|manifest| manifest.files[1].size += BLOCK).contains("do not fit"));
}

#[test]
fn every_flipped_bit_is_found() {
    let dir = backup(200_000);
    let manifest = write(dir.path(), true);
    let files: Vec<_> = manifest.files.iter().filter(|file| file.size > 0).collect();
    // Steps through all files and all positions in a fixed, scattered order.
    let mut at: u64 = 1;
    for round in 0..1000 {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let file = files[round % files.len()];
        let path = dir.path().join(&file.path);
        let mut content = fs::read(&path).unwrap();
        let byte = ((at >> 20) % file.size) as usize;
        content[byte] ^= 1 << (at >> 60 & 7);
        fs::write(&path, &content).unwrap();
        let found = differences(dir.path());
        assert_eq!(found.len(), 1, "{} {byte}", file.path);
        assert!(found[0].starts_with(&format!("{}: block 0 differs", file.path)), "{found:?}");
        content[byte] ^= 1 << (at >> 60 & 7);
        fs::write(&path, &content).unwrap();
    }
    assert!(differences(dir.path()).is_empty());
}

#[test]
fn missing_extra_and_cut_files_are_found_with_their_blocks() {
    let dir = backup(LARGE);
    write(dir.path(), true);
    let path = |name: &str| dir.path().join(name);
    fs::remove_file(path("neostore.transaction.db.0")).unwrap();
    fs::write(path("schema/new"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
    let mut nodes = fs::read(path("neostore.nodestore.db")).unwrap();
    nodes[36 * BLOCK as usize + 5] ^= 1;
    fs::write(path("neostore.nodestore.db"), &nodes).unwrap();
    fs::write(path("schema/index/range-1.0/3/index-3"), vec![1; 4999]).unwrap();
    assert_eq!(
        differences(dir.path()),
        [
            "link: not in the manifest",
            "neostore.nodestore.db: block 36 differs (bytes 37748736 to 38797311)",
            "neostore.transaction.db.0: missing",
            "schema/index/range-1.0/3/index-3: 4999 bytes, the manifest has 5000; block 0 is the first that differs",
            "schema/new: not in the manifest",
        ]
    );
    nodes.truncate(nodes.len() - 17);
    nodes[36 * BLOCK as usize + 5] ^= 1;
    fs::write(path("neostore.nodestore.db"), &nodes).unwrap();
    assert!(differences(dir.path())[1].ends_with("block 40 is the first that differs"));
}

#[test]
fn an_interrupted_run_and_another_program_are_told_apart_from_damage() {
    let dir = backup(3000);
    let manifest = write(dir.path(), true);
    manifest.begin_change(&OsDisk, dir.path()).unwrap();
    assert_eq!(verify(dir.path(), 1).unwrap(), Verdict::Interrupted);
    manifest.write(&OsDisk, dir.path()).unwrap();
    let neostore = dir.path().join("neostore");
    let mut content = fs::read(&neostore).unwrap();
    content[35] += 1;
    fs::write(neostore, content).unwrap();
    assert_eq!(differences(dir.path()), ["neostore: block 0 differs (bytes 0 to 8191)"]);
    fs::write(dir.path().join("neostore.transaction.db.0"), vec![7; 101]).unwrap();
    let continued = Verdict::Continued { last_transaction: 10, recorded: 9 };
    assert_eq!(verify(dir.path(), 1).unwrap(), continued);
}

/// A change of a backup through the disk.
type Change = fn(&SharedDisk, &Path);

#[test]
fn an_updated_manifest_is_the_one_that_reading_everything_gives() {
    let changes: [Change; 5] = [
        |disk, path| disk.open(path).unwrap().write_at(3 * BLOCK - 1, b"ab").unwrap(),
        |disk, path| disk.open(path).unwrap().write_at(LARGE as u64 + 2 * BLOCK, b"x").unwrap(),
        |disk, path| disk.open(path).unwrap().set_len(BLOCK * 7 + 1).unwrap(),
        |disk, path| disk.open(path).unwrap().set_len(LARGE as u64 + 5).unwrap(),
        |disk, path| disk.create(path, 0o666).unwrap().write_at(0, b"new").unwrap(),
    ];
    for change in changes {
        let dir = backup(LARGE);
        let manifest = write(dir.path(), true);
        let tracked = std::sync::Arc::new(TrackedDisk::new(OsDisk::shared(), BLOCK.try_into().unwrap()));
        let disk: SharedDisk = tracked.clone();
        change(&disk, &dir.path().join("neostore.nodestore.db"));
        disk.create(&dir.path().join("added"), 0o666).unwrap().write_at(0, b"added").unwrap();
        disk.remove_file(&dir.path().join("empty")).unwrap();
        let facts = manifest.backup.clone();
        let updated =
            manifest.update(dir.path(), facts.clone(), &tracked.changes(), 2, &Stop::default()).unwrap();
        assert_eq!(updated, Manifest::of(dir.path(), facts, 2, &Stop::default()).unwrap());
        assert_ne!(updated, manifest);
    }
}

#[test]
fn an_update_reads_nothing_but_what_was_changed() {
    let dir = backup(LARGE);
    let mut manifest = write(dir.path(), true);
    // Blocks that are read anew lose a wrong checksum.
    for file in &mut manifest.files {
        file.blocks = String::from(file.blocks.clone()).replace(|_| true, "0").try_into().unwrap();
    }
    let changes = BTreeMap::from([(
        dir.path().join("neostore.nodestore.db"),
        Changes::Blocks([(3, BlockChange::Unknown), (5, BlockChange::Differs(0x1234))].into_iter().collect()),
    )]);
    let updated =
        manifest.update(dir.path(), manifest.backup.clone(), &changes, 1, &Stop::default()).unwrap();
    let fresh = Manifest::of(dir.path(), manifest.backup.clone(), 1, &Stop::default()).unwrap();
    for (updated, fresh) in updated.files.iter().zip(&fresh.files) {
        let (updated, fresh) = (String::from(updated.blocks.clone()), String::from(fresh.blocks.clone()));
        for block in 0..updated.len() / 8 {
            let digits = block * 8..block * 8 + 8;
            let expected = match block {
                3 => &fresh[digits.clone()],
                5 => "00001234",
                _ => "00000000",
            };
            assert_eq!(&updated[digits], expected);
        }
    }
}

#[test]
fn a_signal_ends_the_reading() {
    let dir = backup(LARGE);
    let facts = Facts::of(dir.path(), &origin(), true).unwrap();
    let stop = Stop::default();
    stop.request(Signal::Interrupt);
    let ended = Manifest::of(dir.path(), facts, 2, &stop);
    assert!(matches!(ended, Err(ManifestError::Interrupted(Signal::Interrupt))), "{ended:?}");
}
