//! A copy of a large store that is cut off costs what was on its way, counted where it comes from.
//!
//! `NEO4J_ADMIN_TEST_COPY_BYTES` (default 16000000) is the size of the store.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use neo4j_admin::backup::copy_state::CopyState;
use neo4j_admin::backup::recover::RecoverySettings;
use neo4j_admin::catchup::Dialer;
use neo4j_admin::serve::StoreDirectory;
use neo4j_admin::store::layout::RecordStore;
use neo4j_admin::txlog::retention::Retention;

use crate::support::backup_run::BackupRun;
use crate::support::counting_source::{Counts, counting};
use crate::support::digest;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::random::rounds;
use crate::support::serving::{Serving, dialer};
use crate::support::stores;

const PAGE: u64 = 8192;

/// Frames, questions and answers beside the bytes of files.
const BESIDES: u64 = 1 << 20;

/// What a store consists of, in percent.
const PARTS: [(RecordStore, u64); 8] = [
    (RecordStore::Node, 8),
    (RecordStore::NodeLabels, 2),
    (RecordStore::Relationship, 25),
    (RecordStore::RelationshipGroup, 5),
    (RecordStore::Property, 30),
    (RecordStore::PropertyString, 20),
    (RecordStore::PropertyArray, 8),
    (RecordStore::Schema, 2),
];

/// Gives a store about `bytes` by pages whose records are not in use.
fn enlarge(store: &Path, bytes: u64) {
    for (part, percent) in PARTS {
        let file = OpenOptions::new().write(true).open(store.join(part.file_name())).unwrap();
        let length = file.metadata().unwrap().len() + (bytes * percent / 100).next_multiple_of(PAGE);
        file.set_len(length).unwrap();
    }
}

fn back_up(run: &BackupRun, server: Dialer) -> bool {
    let mut job = run.job(server);
    let retention = Retention::All;
    job.recovery = Some(RecoverySettings { page_cache: 8 << 20, threads: 2, retention });
    // So long that connections which still hold something get to the end of it.
    job.settings.retries.max_time = Duration::from_millis(500);
    job.back_up("neo4j").is_ok()
}

#[test]
fn a_copy_that_was_cut_off_costs_what_was_on_its_way() {
    let original = tempfile::tempdir().unwrap();
    stores::unpack("standard", original.path());
    let place = original.path().join("neo4j");
    enlarge(&place, rounds("NEO4J_ADMIN_TEST_COPY_BYTES", 16_000_000) as u64);
    let size = |path: &str| std::fs::metadata(place.join(path)).unwrap().len();
    let expected = stores::digests()["standard"]["neo4j"].clone();
    let (source, counts) = counting(StoreDirectory::open(original.path()).unwrap());
    let take = || -> Counts { std::mem::take(&mut *counts.lock().unwrap()) };
    let server = Serving::start(source);

    let (whole, transactions) = {
        let (run, network) = (BackupRun::on_disk(), FaultyNetwork::before(server.address, Fault::None));
        assert!(back_up(&run, dialer(network.address)));
        let files: u64 = take().values().sum();
        (network.bytes(), network.bytes() - files)
    };
    assert!(transactions < BESIDES, "{transactions}");
    for percent in [0, 10, 50, 90] {
        let run = BackupRun::on_disk();
        // Of the answer to the preparation only the first frames arrive, or a part of all files.
        let fault =
            if percent == 0 { Fault::CutForever(6) } else { Fault::CutBehindBytes(whole * percent / 100) };
        let cut = FaultyNetwork::before(server.address, fault);
        assert!(!back_up(&run, dialer(cut.address)));
        let (sent, came) = (take(), cut.complete());
        let state = CopyState::read(&run.path("neo4j.tmp.0")).unwrap_or_default();
        assert_eq!(state.is_some(), percent > 0, "{percent} %: {:#?}", run.told.lines());
        let complete: Vec<_> =
            state.iter().flat_map(|state| &state.files).map(|file| file.name.clone()).collect();

        let network = FaultyNetwork::before(server.address, Fault::None);
        assert!(back_up(&run, dialer(network.address)), "{:#?}", run.told.lines());
        let again = take();
        let told = format!("{percent} %, complete {complete:?}, first {sent:?}, then {again:?}");
        let Some(state) = state else {
            assert!(again.len() > sent.len(), "{told}");
            continue;
        };
        let sealed = state.seal.unwrap().files;
        for path in complete.iter().chain(sealed.iter().map(|file| &file.path)) {
            assert!(!again.contains_key(path), "{path}: {told}");
        }
        let twice: Vec<_> = came.iter().filter(|path| again.contains_key(*path)).collect();
        assert!(twice.iter().all(|path| *path == "neostore"), "{twice:?} had come: {told}");
        // Each other file once. The server may have read a little more for connections whose end it had not noticed.
        let others: u64 = again.keys().map(|path| size(path)).sum();
        let read: u64 = again.values().sum();
        assert!((others..others + BESIDES).contains(&read), "{told}");
        assert_eq!(again.len() + complete.len(), RecordStore::ALL.len(), "{told}");
        let besides = network.bytes() - others;
        assert!(besides < BESIDES + transactions, "{besides}: {told}");
        assert_eq!(run.names(), ["neo4j"]);
        assert_eq!(digest::of(&run.path("neo4j")), expected, "{told}");
        writeln!(
            std::io::stderr(),
            "cut at {percent} % of {whole} bytes: {} files kept, {others} bytes of {} others, {besides} bytes beside them",
            complete.len() + sealed.len(),
            again.len()
        )
        .unwrap();
    }
}
