//! Servers that break the rules or do not answer: a clear error within the time-out, and the earlier backup as before.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use neo4j_admin::backup::BackupError;
use neo4j_admin::catchup::server::{Source, SourceError, SourceFile, TransactionSource};
use neo4j_admin::store::id::{DatabaseId, TransactionId};

use crate::support::around::{Around, Otherwise};
use crate::support::backup_run::{BackupRun, not_continuable};
use crate::support::faulty_disk::FaultyDisk;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::memory_source::MemorySource;
use crate::support::serving::{Serving, dialer};
use crate::support::small_store;
use crate::support::transactions::transaction;

/// A backup directory with a backup of the small database in it that a full copy is to replace, and that backup.
fn over_a_good_one() -> (BackupRun, BTreeMap<String, Vec<u8>>) {
    static GOOD: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
        let run = BackupRun::new();
        run.back_up(Serving::start(small_store::source(1)).dialer()).unwrap();
        not_continuable(run.contents("neo4j"))
    });
    (BackupRun::over(&GOOD), GOOD.clone())
}

/// Backs up from a source that must not succeed. Returns the innermost text.
fn refused(source: impl Source) -> String {
    let (run, old) = over_a_good_one();
    let server = Serving::start(source);
    let error = run.job_at_once(server.dialer()).back_up("neo4j").unwrap_err();
    assert_eq!(run.names(), ["neo4j"], "nothing is left of the copy");
    assert!(run.contents("neo4j") == old, "the earlier backup is what it was");
    innermost(&error)
}

fn innermost(error: &BackupError) -> String {
    neo4j_admin::cli::failure::root_cause(error)
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (path, reason) in [
        ("../../etc/passwd", "it has a component that leads elsewhere"),
        ("/etc/passwd", "it is not relative"),
        ("schema/../../escape", "it has a component that leads elsewhere"),
        ("C:\\neostore", "it is not relative"),
        ("neo\0store", "it holds a control character"),
        ("neostore.transaction.db.0", "a server never sends such a file"),
        ("checkpoint.0", "a server never sends such a file"),
        ("tools/database.id", "a server never sends such a file"),
        ("", "it has an empty component"),
        ("neostore.counts.db", "twice"),
    ] {
        let mut source = small_store::source(2);
        source.databases[0].atomic.push((path.to_owned(), b"bad".to_vec()));
        let error = refused(source);
        assert!(error.contains(reason), "{path:?}: {error}");
    }
}

#[test]
fn a_list_of_files_that_makes_no_sense_is_refused() {
    for (names, reason) in [
        (&["neostore.nodestore.db"][..], "lists the file \"neostore.nodestore.db\" twice"),
        (&["neostore"], "lists the file \"neostore\" twice"),
    ] {
        let mut source = small_store::source(2);
        for name in names {
            source.databases[0].replayable.push(((*name).to_owned(), Vec::new()));
        }
        let error = refused(source);
        assert!(error.contains(reason), "{names:?}: {error}");
    }
    let mut source = small_store::source(2);
    source.databases[0].replayable.pop();
    let error = refused(source);
    assert!(error.contains("the server sent no file 'neostore'"), "{error}");
}

#[test]
fn files_of_another_store_are_refused() {
    let mut source = small_store::source(2);
    let mut other = source.databases[0].store_id;
    other.random += 1;
    source.databases[0].replayable.last_mut().unwrap().1 = small_store::neostore(&other, 12, 5);
    let error = refused(source);
    assert!(error.starts_with("the server said that its store is"), "{error}");
}

#[test]
fn a_file_that_can_never_be_read_ends_the_copy_after_the_retries() {
    let mut source = small_store::source(2);
    source.databases[0].unreadable = Some("neostore.relationshipstore.db".to_owned());
    let error = refused(source);
    let expected = "Maximum time passed PT0.03S. Not allowed to continue: the store file \
                    \"neostore.relationshipstore.db\" could not be fetched";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_gap_in_the_transactions_is_refused() {
    let mut source = small_store::source(2);
    source.databases[0].transactions.remove(5);
    let error = refused(source);
    assert!(error.starts_with("Pulling tx failed consecutively without progress"), "{error}");
}

#[test]
fn pruned_transactions_are_told_with_what_to_do() {
    let mut source = small_store::source(2);
    source.databases[0].transactions.drain(..5);
    let error = refused(source);
    assert!(
        error.contains("E_TRANSACTION_PRUNED, the server has deleted transaction 5 from its logs"),
        "{error}"
    );
    assert!(error.contains("dbms.tx_log.rotation.retention_policy"), "{error}");
}

/// What a server does wrong that serves the small database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mischief {
    /// A store file never ends.
    EndlessFile,
    /// Another file than the one asked for is sent.
    OtherFile,
    /// The first transaction is not the one asked for.
    WrongFirstTransaction,
}

struct Mischievous {
    inner: MemorySource,
    mischief: Mischief,
}

impl Mischievous {
    fn source(mischief: Mischief) -> impl Source {
        Around(Self { inner: small_store::source(2), mischief })
    }
}

struct One(Option<TransactionId>);

impl TransactionSource for One {
    fn next(&mut self, wire: &mut Vec<u8>) -> Result<Option<TransactionId>, SourceError> {
        // The server of the product refuses to send a wrong id, so the id is right for it and wrong in the bytes.
        Ok(self.0.take().inspect(|id| wire.extend(transaction(id.0 + 1, 1))))
    }
}

impl Otherwise for Mischievous {
    type Inner = MemorySource;

    fn inner(&self) -> &MemorySource {
        &self.inner
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        let file = self.inner.store_file(database, name)?;
        Ok(file.map(|mut file| {
            match self.mischief {
                Mischief::EndlessFile if name == "neostore.propertystore.db" => {
                    file.content = Box::new(io::repeat(7));
                }
                Mischief::OtherFile if name == "neostore.propertystore.db" => {
                    "neostore.propertystore.db.other".clone_into(&mut file.path);
                }
                _ => {}
            }
            file
        }))
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        if self.mischief == Mischief::WrongFirstTransaction {
            return Ok(Some(Box::new(One(Some(first)))));
        }
        self.inner.transactions(database, first)
    }
}

#[test]
fn another_file_than_the_one_asked_for_is_refused() {
    let error = refused(Mischievous::source(Mischief::OtherFile));
    assert_eq!(
        error,
        "the server was asked for the file \"neostore.propertystore.db\" and sends \
         \"neostore.propertystore.db.other\""
    );
}

#[test]
fn another_transaction_than_the_one_asked_for_is_refused() {
    let error = refused(Mischievous::source(Mischief::WrongFirstTransaction));
    assert_eq!(
        error,
        "Expected the first received txId to be within the range: LongRange{from=5, to=5} but got: 6"
    );
}

#[test]
fn a_file_that_never_ends_is_stopped_before_the_medium_is_full() {
    let (run, old) = over_a_good_one();
    let server = Serving::start(Mischievous::source(Mischief::EndlessFile));
    let mut job = run.job_at_once(server.dialer());
    job.disk = FaultyDisk::with_room_for(40 << 20).shared();
    let error = job.back_up("neo4j").unwrap_err();
    assert!(innermost(&error).contains("stopped before the file system is full"), "{error}");
    assert_eq!(run.names(), ["neo4j"]);
    assert!(run.contents("neo4j") == old);
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let server = Serving::start(small_store::source(2));
    // In the handshake, before the first file, within the files that come unasked, and in those that are asked for.
    for frame in [0, 4, 20, 60] {
        let (run, old) = over_a_good_one();
        let network = FaultyNetwork::before(server.address, Fault::Silence(frame));
        let mut job = run.job_at_once(dialer(network.address));
        let waiting = Duration::from_millis(150);
        job.servers[0].timeouts.handshake = waiting;
        job.servers[0].timeouts.inactivity = waiting;
        job.servers[0].timeouts.checkpoint = waiting;
        let began = Instant::now();
        let error = innermost(&job.back_up("neo4j").unwrap_err());
        assert!(began.elapsed() < Duration::from_secs(5), "frame {frame}");
        assert!(error.contains("imed out"), "frame {frame}: {error}");
        assert!(run.contents("neo4j") == old);
        assert_eq!(run.names(), ["neo4j"]);
    }
}

#[test]
fn a_frame_of_absurd_length_is_refused_at_once() {
    let server = Serving::start(small_store::source(2));
    for frame in 0..60 {
        for length in [i32::MAX, -1, i32::MIN] {
            let (run, old) = over_a_good_one();
            let network = FaultyNetwork::before(server.address, Fault::Length(frame, length));
            let mut job = run.job_at_once(dialer(network.address));
            // With more, the harm may hit a connection that is not needed.
            job.settings.retries.connections = 1;
            let error = innermost(&job.back_up("neo4j").unwrap_err());
            assert!(error.contains(&length.to_string()), "frame {frame}: {error}");
            assert!(run.contents("neo4j") == old);
        }
    }
}

#[test]
fn a_database_called_like_a_path_is_not_written_anywhere() {
    for name in ["..", ".neo4j.lock", "a/b"] {
        let mut source = small_store::source(2);
        source.databases[0] = small_store::database(name, 7, 2);
        let server = Serving::start(source);
        let run = BackupRun::new();
        let error = run.job(server.dialer()).back_up(name).unwrap_err();
        assert!(matches!(error, BackupError::DatabaseName(_)), "{error}");
        assert!(run.names().is_empty());
    }
}
