//! Our client against our server over loopback.

use neo4j_admin::catchup::message::{CatchupResult, MetadataKind, PrepareStatus, StoreCopyStatus};
use neo4j_admin::catchup::server::ServerOptions;
use neo4j_admin::catchup::{CatchupError, Client, ProtocolVersion, StreamEnd};
use neo4j_admin::cli::failure::root_cause;
use neo4j_admin::store::id::{DatabaseId, StoreId, TransactionId};

use super::Server;
use crate::support::memory_source::{MemoryDatabase, MemorySource, State};
use crate::support::sinks::{MemoryFiles, MemoryTransactions};
use crate::support::transactions::transaction;

const BOTH: [ProtocolVersion; 2] = [ProtocolVersion::V3, ProtocolVersion::V4];
const CHUNK: usize = 4096;

fn content(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

/// A database with files of all sizes that matter, and transactions 42 to 60 in its logs.
fn orders() -> MemoryDatabase {
    let mut database = MemoryDatabase::empty("orders", 7);
    database.atomic = [
        ("neostore.counts.db", 0),
        ("neostore.nodestore.db.id", CHUNK),
        ("schema/index/native-btree-1.0/5/index-5", 2 * CHUNK),
        ("schema/index/native-btree-1.0/6/index-6", 2 * CHUNK + 1),
    ]
    .map(|(path, size)| (path.to_owned(), content(size)))
    .to_vec();
    database.replayable =
        [("neostore.nodestore.db", 3 << 20), ("neostore.schemastore.db", 1), ("neostore", 8192)]
            .map(|(path, size)| (path.to_owned(), content(size)))
            .to_vec();
    database.checkpoint = TransactionId(42);
    database.transactions = (42..=60).map(|id| (TransactionId(id), transaction(id, 3))).collect();
    database
}

fn source() -> MemorySource {
    let metadata = ["CREATE ROLE `r` IF NOT EXISTS", "CREATE USER `u`"].map(str::to_owned).to_vec();
    MemorySource { databases: vec![MemoryDatabase::empty("system", 1), orders()], metadata: Some(metadata) }
}

fn options() -> ServerOptions {
    ServerOptions { chunk_size: CHUNK, ..ServerOptions::default() }
}

async fn identify(client: &mut Client) -> (DatabaseId, StoreId) {
    let database = client.database_id("Orders").await.unwrap();
    (database, client.store_id(database).await.unwrap())
}

#[tokio::test]
async fn a_full_copy_arrives_byte_for_byte_in_both_versions() {
    for version in BOTH {
        let server = Server::start(source(), options()).await;
        let mut client = server.connect(version).await;
        assert_eq!(client.version(), version);
        let (database, store_id) = identify(&mut client).await;
        assert_eq!((database, store_id), (orders().id, orders().store_id));

        let mut files = MemoryFiles::default();
        let prepared = client.prepare_store_copy(database, store_id, &mut files).await.unwrap();
        assert_eq!(prepared.checkpoint, TransactionId(42));
        assert_eq!(prepared.names, ["neostore.nodestore.db", "neostore.schemastore.db", "neostore"]);
        assert_eq!(files.complete(), orders().atomic);

        let mut files = MemoryFiles::default();
        for name in &prepared.names {
            let checkpoint =
                client.store_file(database, store_id, prepared.checkpoint, name, &mut files).await.unwrap();
            assert_eq!(checkpoint, TransactionId(42));
        }
        assert_eq!(files.complete(), orders().replayable);

        let mut sink = MemoryTransactions::default();
        let end = client.pull(database, TransactionId(41), store_id, &mut sink).await.unwrap();
        let success = CatchupResult::SuccessEndOfStream;
        assert_eq!(end, StreamEnd { result: success, last: Some(TransactionId(60)) });
        let sent: Vec<_> = orders().transactions.into_iter().map(|(id, bytes)| (id.0, bytes)).collect();
        assert_eq!(sink.received, sent);

        let mut sink = MemoryTransactions::default();
        let end = client.pull(database, TransactionId(60), store_id, &mut sink).await.unwrap();
        assert_eq!(end, StreamEnd { result: success, last: Some(TransactionId(60)) });
        assert_eq!(sink.received, []);
        assert!(client.is_usable());
        server.stop().await;
    }
}

#[tokio::test]
async fn a_copy_may_run_over_several_connections_at_once() {
    let server = Server::start(source(), options()).await;
    let (database, store_id) = (orders().id, orders().store_id);
    let fetch = async |name: &'static str| {
        let mut client = server.dialer().connect().await.unwrap();
        let mut files = MemoryFiles::default();
        client.store_file(database, store_id, TransactionId(42), name, &mut files).await.unwrap();
        files.complete()
    };
    let (a, b, c) =
        tokio::join!(fetch("neostore.nodestore.db"), fetch("neostore.schemastore.db"), fetch("neostore"));
    assert_eq!([a, b, c].concat(), orders().replayable);
}

#[tokio::test]
async fn transactions_of_any_size_survive_frames_of_any_size() {
    let sizes = [0, 1, 100, 200_000, 5, 70_000, 69_902, 69_903, 69_904, 69_905, 1];
    for transaction_buffer in [100, 1000, 1 << 20] {
        let mut database = orders();
        database.transactions =
            sizes.iter().zip(2..).map(|(&size, id)| (TransactionId(id), transaction(id, size))).collect();
        let sent: Vec<_> = database.transactions.iter().map(|(id, bytes)| (id.0, bytes.clone())).collect();
        let options = ServerOptions { transaction_buffer, ..options() };
        let source = MemorySource { databases: vec![database], metadata: None };
        let server = Server::start(source, options).await;
        let mut client = server.connect(ProtocolVersion::V4).await;
        let (database, store_id) = identify(&mut client).await;
        let mut sink = MemoryTransactions::default();
        client.pull(database, TransactionId(1), store_id, &mut sink).await.unwrap();
        assert!(sink.received == sent, "buffer of {transaction_buffer} bytes");
    }
}

#[tokio::test]
async fn what_version_4_adds_is_answered() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let databases = client.all_database_ids().await.unwrap();
    assert_eq!(databases, [("system".to_owned(), DatabaseId::SYSTEM), ("orders".to_owned(), orders().id)]);
    let metadata = client.metadata("orders", MetadataKind::All).await.unwrap();
    assert_eq!(metadata, ["CREATE ROLE `r` IF NOT EXISTS", "CREATE USER `u`"]);
    assert_eq!(client.metadata("orders", MetadataKind::Users).await.unwrap(), ["CREATE USER `u`"]);
    let info = client.info("orders", orders().id).await.unwrap();
    assert_eq!((info.reconciled, info.failure), (TransactionId(60), None));
}

#[tokio::test]
async fn what_version_3_lacks_fails_without_being_sent() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V3).await;
    let peer = server.address;
    assert_eq!(
        client.all_database_ids().await.unwrap_err().to_string(),
        format!(
            "Not supported in V3: {peer} speaks version 3.0 of the backup protocol only, as Neo4j 4.0 and 4.1 do, \
             which has no ALL_DATABASE_IDS; name one database instead of a pattern"
        )
    );
    let metadata = client.metadata("orders", MetadataKind::All).await.unwrap_err();
    assert!(metadata.to_string().starts_with("Not supported in V3: "), "{metadata}");
    let info = client.info("orders", orders().id).await.unwrap_err();
    assert!(info.to_string().starts_with("Not supported in V3: "), "{info}");
    identify(&mut client).await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_in_the_words_of_the_server() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let error = client.database_id("foo").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Failed to download database id for database 'foo' from '{}'", server.address)
    );
    assert_eq!(
        root_cause(&error),
        "Request returned an error [Status: 'E_DATABASE_UNKNOWN' Message: 'Database 'foo' does not exist']"
    );
    identify(&mut client).await;
}

#[tokio::test]
async fn databases_that_cannot_be_read_are_refused_and_the_connection_goes_on() {
    for (state, by_name, by_id) in [
        (
            State::Stopped,
            "[Status: 'E_STORE_UNAVAILABLE' Message: 'Database 'orders' is stopped. Start the database before backup']",
            "is shutdown']",
        ),
        (
            State::NeedsRecovery,
            "[Status: 'E_STORE_UNAVAILABLE' Message: 'Database 'orders' is unavailable: it needs recovery']",
            "is unavailable: it needs recovery']",
        ),
        (
            State::Broken,
            "[Status: 'E_GENERAL_ERROR' Message: 'the database could not be read: the disk is gone']",
            "Message: 'the database could not be read: the disk is gone']",
        ),
    ] {
        let mut database = orders();
        database.state = state;
        let (id, store_id) = (database.id, database.store_id);
        let server =
            Server::start(MemorySource { databases: vec![database], metadata: None }, options()).await;
        let mut client = server.connect(ProtocolVersion::V4).await;
        let error = client.database_id("orders").await.unwrap_err();
        assert_eq!(root_cause(&error), format!("Request returned an error {by_name}"));
        let mut files = MemoryFiles::default();
        let mut transactions = MemoryTransactions::default();
        for error in [
            client.store_id(id).await.unwrap_err(),
            client.prepare_store_copy(id, store_id, &mut files).await.unwrap_err(),
            client.store_file(id, store_id, TransactionId(1), "neostore", &mut files).await.unwrap_err(),
            client.pull(id, TransactionId(1), store_id, &mut transactions).await.unwrap_err(),
        ] {
            let cause = root_cause(&error);
            assert!(
                cause.starts_with("Request returned an error [Status: 'E_") && cause.ends_with(by_id),
                "{cause}"
            );
            assert!(client.is_usable());
        }
    }
}

#[tokio::test]
async fn another_store_id_is_refused_and_the_connection_goes_on() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let (database, store_id) = identify(&mut client).await;
    let other = StoreId { upgrade_transaction: 5, ..store_id };
    let mut files = MemoryFiles::default();
    let error = client.prepare_store_copy(database, other, &mut files).await.unwrap_err();
    assert_eq!(error.to_string(), "Preparing store failed due to: E_STORE_ID_MISMATCH");
    assert!(matches!(error, CatchupError::PrepareRefused { status: PrepareStatus::StoreIdMismatch, .. }));
    let error =
        client.store_file(database, other, TransactionId(1), "neostore", &mut files).await.unwrap_err();
    assert!(matches!(error, CatchupError::StoreFileRefused { status: StoreCopyStatus::StoreIdMismatch, .. }));
    let mut sink = MemoryTransactions::default();
    let end = client.pull(database, TransactionId(41), other, &mut sink).await.unwrap();
    assert_eq!(end, StreamEnd { result: CatchupResult::StoreIdMismatch, last: None });
    assert!(client.is_usable());
    assert_eq!(files.files, []);
}

#[tokio::test]
async fn a_file_is_refused_while_the_server_is_too_far_behind() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let (database, store_id) = identify(&mut client).await;
    let mut files = MemoryFiles::default();
    let error =
        client.store_file(database, store_id, TransactionId(43), "neostore", &mut files).await.unwrap_err();
    assert!(matches!(error, CatchupError::StoreFileRefused { status: StoreCopyStatus::TooFarBehind, .. }));
    client.store_file(database, store_id, TransactionId(42), "neostore", &mut files).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_not_exactly_one_file_ends_the_connection() {
    let mut database = orders();
    database.replayable.push(("elsewhere/neostore".to_owned(), Vec::new()));
    let server = Server::start(MemorySource { databases: vec![database], metadata: None }, options()).await;
    for name in ["neostore", "nothing"] {
        let mut client = server.connect(ProtocolVersion::V4).await;
        let (database, store_id) = identify(&mut client).await;
        let mut files = MemoryFiles::default();
        let error =
            client.store_file(database, store_id, TransactionId(42), name, &mut files).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} did not send the store file {name:?}: E_UNKNOWN", server.address)
        );
        assert!(!client.is_usable());
    }
}

#[tokio::test]
async fn pruned_transactions_are_refused() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let (database, store_id) = identify(&mut client).await;
    let mut sink = MemoryTransactions::default();
    let end = client.pull(database, TransactionId(40), store_id, &mut sink).await.unwrap();
    assert_eq!(end, StreamEnd { result: CatchupResult::TransactionPruned, last: None });
    assert!(client.is_usable());
}

#[tokio::test]
async fn a_file_that_the_server_cannot_read_to_its_end_ends_the_connection() {
    let mut database = orders();
    database.unreadable = Some("neostore.nodestore.db".to_owned());
    let server = Server::start(MemorySource { databases: vec![database], metadata: None }, options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let (database, store_id) = identify(&mut client).await;
    let mut files = MemoryFiles::default();
    let name = "neostore.nodestore.db";
    let error = client.store_file(database, store_id, TransactionId(1), name, &mut files).await.unwrap_err();
    assert!(matches!(error, CatchupError::Closed { .. }), "{error}");
    assert!(!files.files[0].complete);
}

#[tokio::test]
async fn a_log_that_breaks_off_keeps_what_came_before() {
    for (name, damage) in
        [("damaged", (TransactionId(50), Vec::new())), ("gap", (TransactionId(99), transaction(99, 1)))]
    {
        let mut database = orders();
        database.transactions[8] = damage;
        // Small frames, so that some of them are on their way before the damage.
        let options = ServerOptions { transaction_buffer: 100, ..options() };
        let server = Server::start(MemorySource { databases: vec![database], metadata: None }, options).await;
        let mut client = server.connect(ProtocolVersion::V4).await;
        let (database, store_id) = identify(&mut client).await;
        let mut sink = MemoryTransactions::default();
        let error = client.pull(database, TransactionId(41), store_id, &mut sink).await.unwrap_err();
        let last = sink.received.last().unwrap().0;
        assert!((45..=49).contains(&last), "{name}: {last}");
        assert_eq!(
            error.to_string(),
            format!(
                "{} broke off the transaction stream behind transaction {last}: E_GENERAL_ERROR",
                server.address
            )
        );
        assert!(!client.is_usable());
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_computed_ends_the_connection() {
    let server = Server::start(MemorySource { databases: vec![orders()], metadata: None }, options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let error = client.metadata("orders", MetadataKind::All).await.unwrap_err();
    let peer = server.address;
    assert_eq!(
        error.to_string(),
        format!("{peer} closed the connection before it had completed the answer to METADATA")
    );
}

#[tokio::test]
async fn what_a_sink_refuses_ends_the_request_with_its_reason() {
    let server = Server::start(source(), options()).await;
    let (database, store_id) = (orders().id, orders().store_id);
    let mut client = server.connect(ProtocolVersion::V4).await;
    let mut files =
        MemoryFiles { refused: Some("neostore.nodestore.db.id".to_owned()), ..MemoryFiles::default() };
    let error = client.prepare_store_copy(database, store_id, &mut files).await.unwrap_err();
    assert_eq!(root_cause(&error), "\"neostore.nodestore.db.id\" is refused");
    let again = client.store_id(database).await.unwrap_err();
    assert_eq!(
        root_cause(&again),
        format!(
            "the connection to {} can not carry STORE_ID: an earlier request on it failed",
            server.address
        )
    );

    let mut client = server.connect(ProtocolVersion::V4).await;
    let mut sink = MemoryTransactions { refused: Some(44), ..MemoryTransactions::default() };
    let error = client.pull(database, TransactionId(41), store_id, &mut sink).await.unwrap_err();
    assert!(matches!(error, CatchupError::Sink { .. }));
    assert_eq!(sink.received.len(), 2);
    assert!(!client.is_usable());
}

#[tokio::test]
async fn a_server_that_stops_closes_idle_connections() {
    let server = Server::start(source(), options()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    identify(&mut client).await;
    server.stop().await;
    let error = client.store_id(orders().id).await.unwrap_err();
    assert!(root_cause(&error).contains("closed the connection"), "{error}");
}
