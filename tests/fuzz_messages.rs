//! Every decoder of the backup protocol against mutated inputs: no panic, no hang, and no allocation beyond what the
//! bytes that are there justify.
//!
//! `NEO4J_ADMIN_FUZZ_ROUNDS` is the number of inputs per decoder; the full campaign takes 200,000. A failure prints the
//! decoder, the round and the input.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use neo4j_admin::catchup::frame::{self, Frames};
use neo4j_admin::catchup::handshake::{HandshakeRequest, HandshakeResponse, Status};
use neo4j_admin::catchup::message::{
    AllDatabaseIdsRequest, AllDatabaseIdsResponse, Body, CatchupResult, DatabaseIdRequest,
    DatabaseIdResponse, ErrorResponse, FileChunk, FileHeader, InfoRequest, InfoResponse, MetadataKind,
    MetadataRequest, MetadataResponse, PrepareStatus, PrepareStoreCopyRequest, PrepareStoreCopyResponse,
    RequestKind, ResponseKind, StoreCopyFinished, StoreCopyStatus, StoreFileRequest, StoreIdRequest,
    StoreIdResponse, TransactionPullRequest, TransactionStreamDecoder, TransactionStreamEncoder,
    TransactionStreamFinished,
};
use neo4j_admin::catchup::server::{ServerOptions, serve_connection};
use neo4j_admin::catchup::{CatchupError, Client, Dialer, Peer, ProtocolVersion};
use neo4j_admin::cli::failure::root_cause;
use neo4j_admin::store::id::{DatabaseId, TransactionId};
use tokio::sync::watch;

use crate::support::memory_source::{MemoryDatabase, MemorySource};
use crate::support::mutate::{Random, mutate};
use crate::support::sinks::{MemoryFiles, MemoryTransactions};
use crate::support::transactions::transaction;

/// What a decoder may hold for itself, in bytes: buffers of a fixed size.
const FIXED: u64 = 4096;
/// What it may hold for each byte of the input: a text of one byte costs a `String`, and a list doubles as it grows.
const PER_BYTE: u64 = 32;

fn rounds() -> u64 {
    std::env::var("NEO4J_ADMIN_FUZZ_ROUNDS").map_or(20_000, |rounds| rounds.parse().unwrap())
}

/// Shows `rounds` mutations of `seeds` to `decode`.
fn fuzz(name: &str, rounds: u64, fixed: u64, seeds: &[Vec<u8>], decode: impl Fn(&[u8])) {
    for round in 0..rounds {
        let mut random = Random(round);
        let input = mutate(&mut random, seeds);
        let started = Instant::now();
        let failed = || eprintln!("{name}, round {round}, input {input:02x?}");
        let mut result = Ok(());
        let allocated = allocation_counter::measure(|| {
            result = catch_unwind(AssertUnwindSafe(|| decode(&input)));
        });
        if let Err(panic) = result {
            failed();
            resume_unwind(panic);
        }
        let most = fixed + PER_BYTE * input.len() as u64;
        if allocated.bytes_max > most || started.elapsed() > Duration::from_secs(10) {
            failed();
            panic!(
                "{} bytes allocated, at most {most} expected; {:?}",
                allocated.bytes_max,
                started.elapsed()
            );
        }
    }
}

/// Fuzzes a body. What can be read must be written the same.
fn fuzz_body<B: Body + std::fmt::Debug>(seeds: &[B]) {
    let encoded = |body: &B| {
        let mut out = BytesMut::new();
        body.encode(&mut out);
        out
    };
    let seeds: Vec<_> = seeds.iter().map(|seed| encoded(seed).to_vec()).collect();
    fuzz(std::any::type_name::<B>(), rounds(), FIXED, &seeds, |input| {
        if let Ok(body) = B::from_payload(input) {
            assert_eq!(encoded(&body), input, "{body:?}");
        }
    });
}

fn database() -> MemoryDatabase {
    let mut database = MemoryDatabase::empty("neo4j", 7);
    database.atomic = vec![("neostore.counts.db".to_owned(), vec![1; 100]), ("empty".to_owned(), Vec::new())];
    database.replayable = vec![("neostore".to_owned(), vec![2; 100])];
    database.transactions = (2..=9).map(|id| (TransactionId(id), transaction(id, 3))).collect();
    database
}

#[test]
fn requests_take_any_input() {
    let (database, store_id) = (database().id, database().store_id);
    let name = "neo4j".to_owned();
    let file = || "neostore.nodestore.db".to_owned();
    fuzz_body(&[DatabaseIdRequest { name: name.clone() }, DatabaseIdRequest { name: "ünïcödé".to_owned() }]);
    fuzz_body(&[StoreIdRequest { database }]);
    fuzz_body(&[InfoRequest { name: name.clone(), database }]);
    fuzz_body(&[
        MetadataRequest { name: name.clone(), what: MetadataKind::All },
        MetadataRequest { name, what: MetadataKind::Users },
    ]);
    fuzz_body(&[PrepareStoreCopyRequest { database, store_id }]);
    fuzz_body(&[StoreFileRequest { database, store_id, required: TransactionId(42), name: file() }]);
    fuzz_body(&[TransactionPullRequest { database, previous: TransactionId(41), store_id }]);
    // Its one byte has no meaning, so it is not kept.
    fuzz("AllDatabaseIdsRequest", rounds(), FIXED, &[vec![1]], |input| {
        assert_eq!(AllDatabaseIdsRequest::from_payload(input).is_ok(), input.len() == 1);
    });
}

#[test]
fn responses_take_any_input() {
    let (id, store_id) = (database().id, database().store_id);
    let texts = || vec!["CREATE ROLE `r` IF NOT EXISTS".to_owned(), String::new(), "é".to_owned()];
    fuzz_body(&[DatabaseIdResponse { database: id }]);
    fuzz_body(&[StoreIdResponse { store_id }]);
    fuzz_body(&[AllDatabaseIdsResponse {
        databases: texts().into_iter().map(|name| (name, DatabaseId::SYSTEM)).collect(),
    }]);
    fuzz_body(&[
        MetadataResponse { commands: texts() },
        MetadataResponse { commands: vec![String::new(); 50] },
    ]);
    let reconciled = TransactionId(17);
    fuzz_body(&[
        InfoResponse { reconciled, failure: None },
        InfoResponse { reconciled, failure: Some("it broke".to_owned()) },
    ]);
    fuzz_body(&[
        PrepareStoreCopyResponse { status: PrepareStatus::Success, checkpoint: reconciled, names: texts() },
        PrepareStoreCopyResponse::refusal(PrepareStatus::StoreIdMismatch),
    ]);
    fuzz_body(&[StoreCopyFinished { status: StoreCopyStatus::Success, last_checkpointed: reconciled }]);
    fuzz_body(&[TransactionStreamFinished { result: CatchupResult::TransactionPruned, last: reconciled }]);
    fuzz_body(&[ErrorResponse { status: CatchupResult::DatabaseUnknown, message: "it is gone".to_owned() }]);
}

#[test]
fn files_take_any_input() {
    fuzz_body(&[
        FileHeader { path: "schema/index/native-btree-1.0/5/index-5".to_owned(), alignment: 1 },
        FileHeader { path: String::new(), alignment: -1 },
    ]);
    let seeds = [vec![0, 0, 0, 0, 1, 2, 3, 4, 5], vec![0, 0, 0, 1]];
    fuzz("FileChunk", rounds(), 0, &seeds, |input| {
        if let Ok(chunk) = FileChunk::decode(input) {
            assert_eq!(chunk.data, &input[FileChunk::HEADER..]);
            assert_eq!(chunk.last, input[3] == 1);
        }
    });
}

#[test]
fn handshakes_take_any_input() {
    let (protocol, versions) = ("catchup".to_owned(), vec![ProtocolVersion::V3, ProtocolVersion::V4]);
    let (category, names) = ("compression".to_owned(), vec!["LZ4".to_owned(), "Snappy".to_owned()]);
    let (version, status) = (ProtocolVersion::V4, Status::Success);
    let requests = [
        HandshakeRequest::Application { protocol: protocol.clone(), versions },
        HandshakeRequest::Modifier { category: category.clone(), names },
        HandshakeRequest::SwitchOver {
            protocol: protocol.clone(),
            version,
            modifiers: vec![(category.clone(), "LZ4".to_owned())],
        },
    ];
    let encoded = |message: &HandshakeRequest| {
        let mut out = BytesMut::new();
        message.encode(&mut out);
        out
    };
    let seeds: Vec<_> = requests.iter().map(|request| encoded(request).to_vec()).collect();
    fuzz("HandshakeRequest", rounds(), FIXED, &seeds, |input| {
        if let Ok(message) = HandshakeRequest::decode(input) {
            assert_eq!(encoded(&message), input);
        }
    });
    let responses = [
        HandshakeResponse::Application { status, protocol, version },
        HandshakeResponse::Modifier { status: Status::Failure, category, name: String::new() },
        HandshakeResponse::SwitchOver { status },
    ];
    let encoded = |message: &HandshakeResponse| {
        let mut out = BytesMut::new();
        message.encode(&mut out);
        out
    };
    let seeds: Vec<_> = responses.iter().map(|response| encoded(response).to_vec()).collect();
    fuzz("HandshakeResponse", rounds(), FIXED, &seeds, |input| {
        if let Ok(message) = HandshakeResponse::decode(input) {
            assert_eq!(encoded(&message), input);
        }
    });
}

/// The frames of a stream of transactions 2 to 9.
fn stream(buffer_size: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut encoder = TransactionStreamEncoder::new(&database().store_id, buffer_size);
    for (_, transaction) in &database().transactions {
        encoder.transaction(&[transaction], &mut out);
    }
    encoder.end(&mut out);
    out.to_vec()
}

#[test]
fn transaction_streams_take_any_input() {
    let seeds = [41, 60, 120, 200, 1 << 20].map(stream);
    fuzz("TransactionStreamDecoder", rounds(), FIXED, &seeds, |mut input| {
        let mut decoder = TransactionStreamDecoder::new(database().store_id);
        let (mut received, most) = (0, input.len());
        while let Some((header, rest)) = input.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*header)).unwrap();
            let Some((payload, rest)) = rest.split_at_checked(length) else { return };
            input = rest;
            if decoder.is_ended() || decoder.begin(payload).is_err() {
                return;
            }
            let mut left = payload;
            loop {
                match decoder.next(&mut left) {
                    Ok(Some((transaction, bytes))) => {
                        assert_eq!(transaction.length, bytes.len());
                        received += bytes.len();
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        return;
                    }
                }
            }
            assert_eq!(left, b"");
        }
        assert!(received <= most);
    });
}

#[test]
fn frames_take_any_input() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut seed = BytesMut::new();
    for payload in [&b"\x07"[..], b"", b"a body", &[7; 300]] {
        frame::put(&mut seed, |out| out.extend_from_slice(payload));
    }
    // The buffer of the frames: room for one read, doubled at most.
    fuzz("Frames", rounds() / 10, 1 << 20, &[seed.to_vec()], |input| {
        runtime.block_on(async {
            let mut frames = Frames::new(input);
            while frames.read(frame::STREAM_LIMIT).await.is_ok() {}
        });
    });
}

/// What a server says before the first answer.
fn greeting() -> Vec<u8> {
    let mut wire = BytesMut::from(&b"NEO4J_CLUSTER"[..]);
    let (status, version) = (Status::Success, ProtocolVersion::V4);
    for message in [
        HandshakeResponse::Application { status, protocol: "catchup".to_owned(), version },
        HandshakeResponse::SwitchOver { status },
    ] {
        frame::put(&mut wire, |out| message.encode(out));
    }
    wire.to_vec()
}

/// Makes the request that `kind` says of a server that sends `wire` and closes.
async fn ask(kind: RequestKind, wire: &[u8]) -> Result<(), CatchupError> {
    let transport = tokio::io::join(std::io::Cursor::new(wire.to_vec()), tokio::io::sink());
    let dialer = Dialer::new("db1", 6362);
    let mut client: Client = dialer.greet(Box::new(transport), Peer::named("db1", 6362)).await?;
    let (database, store_id) = (database().id, database().store_id);
    let mut files = MemoryFiles::default();
    match kind {
        RequestKind::DatabaseId => client.database_id("neo4j").await.map(drop),
        RequestKind::StoreId => client.store_id(database).await.map(drop),
        RequestKind::AllDatabaseIds => client.all_database_ids().await.map(drop),
        RequestKind::Metadata => client.metadata("neo4j", MetadataKind::All).await.map(drop),
        RequestKind::Info => client.info("neo4j", database).await.map(drop),
        RequestKind::PrepareStoreCopy => {
            client.prepare_store_copy(database, store_id, &mut files).await.map(drop)
        }
        RequestKind::StoreFile => {
            client.store_file(database, store_id, TransactionId(1), "neostore", &mut files).await.map(drop)
        }
        RequestKind::TransactionPull => {
            let mut sink = MemoryTransactions::default();
            client.pull(database, TransactionId(1), store_id, &mut sink).await.map(drop)
        }
    }
}

#[test]
fn a_client_takes_any_answer_to_any_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut seeds = vec![greeting(); 5];
    for (wire, kind, body) in [
        (0, ResponseKind::DatabaseId, encode(&DatabaseIdResponse { database: DatabaseId::SYSTEM })),
        (1, ResponseKind::StoreId, encode(&StoreIdResponse { store_id: database().store_id })),
        (2, ResponseKind::File, encode(&FileHeader { path: "neostore".to_owned(), alignment: 5 })),
        (
            3,
            ResponseKind::Error,
            encode(&ErrorResponse { status: CatchupResult::GeneralError, message: "e".to_owned() }),
        ),
    ] {
        put_frame(&mut seeds[wire], &[kind as u8]);
        put_frame(&mut seeds[wire], &body);
    }
    put_frame(&mut seeds[2], &[0, 0, 0, 0, 1, 2, 3]);
    put_frame(&mut seeds[2], &[0, 0, 0, 1, 4]);
    let mut prepared = seeds[2].clone();
    let success = StoreCopyFinished { status: StoreCopyStatus::Success, last_checkpointed: TransactionId(1) };
    put_frame(&mut seeds[2], &[ResponseKind::StoreCopyFinished as u8]);
    put_frame(&mut seeds[2], &encode(&success));
    put_frame(&mut prepared, &[ResponseKind::PrepareStoreCopy as u8]);
    put_frame(&mut prepared, &encode(&PrepareStoreCopyResponse::refusal(PrepareStatus::Success)));
    put_frame(&mut seeds[4], &[ResponseKind::Transactions as u8]);
    seeds[4].extend_from_slice(&stream(120));
    put_frame(&mut seeds[4], &[ResponseKind::TransactionStreamFinished as u8]);
    let (result, last) = (CatchupResult::SuccessEndOfStream, TransactionId(9));
    put_frame(&mut seeds[4], &encode(&TransactionStreamFinished { result, last }));
    seeds.push(prepared);
    for kind in RequestKind::ALL {
        fuzz(&format!("the answer to {kind}"), rounds() / 10, 1 << 20, &seeds, |input| {
            if let Err(error) = runtime.block_on(ask(kind, input)) {
                let cause = root_cause(&error);
                // Two texts of Neo4j's name no peer; the server's own words stand for it.
                let exact = ["Request returned an error [", "Preparing store failed due to: "];
                assert!(
                    cause.contains("db1:6362") || exact.iter().any(|text| cause.starts_with(text)),
                    "{cause}"
                );
            }
        });
    }
}

fn encode(body: &impl Body) -> Vec<u8> {
    let mut out = BytesMut::new();
    body.encode(&mut out);
    out.to_vec()
}

fn put_frame(wire: &mut Vec<u8>, payload: &[u8]) {
    wire.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    wire.extend_from_slice(payload);
}

#[test]
fn a_server_takes_any_requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let MemoryDatabase { id: database, store_id, .. } = database();
    let source: Arc<MemorySource> =
        Arc::new(MemorySource { databases: vec![self::database()], metadata: Some(Vec::new()) });
    let mut greeting = BytesMut::from(&b"NEO4J_CLUSTER"[..]);
    let (protocol, version) = ("catchup".to_owned(), ProtocolVersion::V4);
    for message in [
        HandshakeRequest::Application { protocol: protocol.clone(), versions: vec![version] },
        HandshakeRequest::SwitchOver { protocol, version, modifiers: Vec::new() },
    ] {
        frame::put(&mut greeting, |out| message.encode(out));
    }
    let mut seed = greeting.to_vec();
    let required = TransactionId(1);
    let name = || "neo4j".to_owned();
    for (kind, body) in [
        (RequestKind::DatabaseId, encode(&DatabaseIdRequest { name: name() })),
        (RequestKind::StoreId, encode(&StoreIdRequest { database })),
        (RequestKind::PrepareStoreCopy, encode(&PrepareStoreCopyRequest { database, store_id })),
        (
            RequestKind::StoreFile,
            encode(&StoreFileRequest { database, store_id, required, name: "neostore".to_owned() }),
        ),
        (
            RequestKind::TransactionPull,
            encode(&TransactionPullRequest { database, previous: required, store_id }),
        ),
        (RequestKind::AllDatabaseIds, encode(&AllDatabaseIdsRequest)),
        (RequestKind::Metadata, encode(&MetadataRequest { name: name(), what: MetadataKind::All })),
        (RequestKind::Info, encode(&InfoRequest { name: name(), database })),
    ] {
        put_frame(&mut seed, &[kind as u8]);
        put_frame(&mut seed, &body);
    }
    // Fewer rounds: each request runs on a thread of its own.
    fuzz("the requests of a client", rounds() / 100, 1 << 20, &[seed], |input| {
        let transport = tokio::io::join(std::io::Cursor::new(input.to_vec()), tokio::io::sink());
        let (_stop, stopped) = watch::channel(false);
        let options = ServerOptions::default();
        let served = serve_connection(transport, Peer::named("client", 1), source.clone(), &options, stopped);
        if let Err(error) = runtime.block_on(served) {
            assert!(error.to_string().contains("client:1"), "{error}");
        }
    });
}
