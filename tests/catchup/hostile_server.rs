//! Our client against servers that break the rules: an error that names peer, request and what came, never a hang.

use std::time::Duration;

use neo4j_admin::catchup::frame::{self, Frames};
use neo4j_admin::catchup::handshake;
use neo4j_admin::catchup::magic;
use neo4j_admin::catchup::message::{Body, PrepareStatus};
use neo4j_admin::catchup::message::{
    CatchupResult, ErrorResponse, FileChunk, FileHeader, MetadataKind, PrepareStoreCopyResponse, RequestKind,
    ResponseKind, StoreCopyFinished, StoreCopyStatus, TransactionStreamEncoder, TransactionStreamFinished,
};
use neo4j_admin::catchup::{CatchupError, Client, Dialer, Peer, ProtocolVersion, Timeouts};
use neo4j_admin::cli::failure::root_cause;
use neo4j_admin::store::id::{DatabaseId, StoreId, TransactionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::support::memory_source::MemoryDatabase;
use crate::support::sinks::{MemoryFiles, MemoryTransactions};
use crate::support::transactions::transaction;

/// A connection to a server that does nothing but what the test makes it do.
async fn connection(timeouts: Timeouts) -> (Client, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let peer = Peer::named("db1", 6362);
    let mut dialer = Dialer::new("db1", 6362);
    dialer.timeouts = timeouts;
    let versions = [ProtocolVersion::V4];
    let server = async {
        magic::answer(&mut far).await.unwrap();
        handshake::accept(&mut Frames::new(&mut far), &peer, &versions).await.unwrap();
    };
    let (client, ()) = tokio::join!(dialer.greet(Box::new(near), peer.clone()), server);
    (client.unwrap(), far)
}

fn store_id() -> StoreId {
    MemoryDatabase::empty("neo4j", 7).store_id
}

/// Makes a request whose answer doesn't matter.
async fn request(client: &mut Client, kind: RequestKind) -> Result<(), CatchupError> {
    let mut files = MemoryFiles::default();
    let mut transactions = MemoryTransactions::default();
    let database = DatabaseId::SYSTEM;
    match kind {
        RequestKind::DatabaseId => client.database_id("neo4j").await.map(drop),
        RequestKind::StoreId => client.store_id(database).await.map(drop),
        RequestKind::AllDatabaseIds => client.all_database_ids().await.map(drop),
        RequestKind::Metadata => client.metadata("neo4j", MetadataKind::All).await.map(drop),
        RequestKind::Info => client.info("neo4j", database).await.map(drop),
        RequestKind::PrepareStoreCopy => {
            client.prepare_store_copy(database, store_id(), &mut files).await.map(drop)
        }
        RequestKind::StoreFile => {
            let (required, name) = (TransactionId(1), "neostore");
            client.store_file(database, store_id(), required, name, &mut files).await.map(drop)
        }
        RequestKind::TransactionPull => {
            client.pull(database, TransactionId(1), store_id(), &mut transactions).await.map(drop)
        }
    }
}

/// The error that a request gets when the server answers with `wire` and closes.
async fn answered_with(kind: RequestKind, wire: &[u8]) -> CatchupError {
    let (mut client, far) = connection(Timeouts::default()).await;
    let server = async {
        let (mut receiving, mut sending) = tokio::io::split(far);
        // The client may close early: then the rest of the answer has no taker.
        let _ = sending.write_all(wire).await;
        let _ = sending.shutdown().await;
        receiving.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let ask = async {
        let result = request(&mut client, kind).await;
        drop(client);
        result
    };
    let (result, ()) = tokio::join!(ask, server);
    result.unwrap_err()
}

/// Frames of an answer.
#[derive(Clone, Default)]
struct Wire(bytes::BytesMut);

impl Wire {
    fn kind(mut self, kind: ResponseKind) -> Self {
        frame::put(&mut self.0, |out| out.extend_from_slice(&[kind as u8]));
        self
    }

    fn payload(mut self, payload: &[u8]) -> Self {
        frame::put(&mut self.0, |out| out.extend_from_slice(payload));
        self
    }

    fn body(mut self, body: &impl Body) -> Self {
        frame::put(&mut self.0, |out| body.encode(out));
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn header(self, path: &str) -> Self {
        self.kind(ResponseKind::File).body(&FileHeader { path: path.to_owned(), alignment: 1 })
    }

    fn chunk(mut self, last: bool, data: &[u8]) -> Self {
        frame::put(&mut self.0, |out| FileChunk { last, data }.encode(out));
        self
    }

    fn prepared(self, status: PrepareStatus) -> Self {
        self.kind(ResponseKind::PrepareStoreCopy).body(&PrepareStoreCopyResponse::refusal(status))
    }

    fn finished(self, status: StoreCopyStatus) -> Self {
        self.kind(ResponseKind::StoreCopyFinished).body(&StoreCopyFinished::refusal(status))
    }

    /// Transactions 2 to `last`.
    fn transactions(mut self, last: i64, buffer_size: usize) -> Self {
        self = self.kind(ResponseKind::Transactions);
        let mut encoder = TransactionStreamEncoder::new(&store_id(), buffer_size);
        for id in 2..=last {
            encoder.transaction(&[&transaction(id, 3)], &mut self.0);
        }
        encoder.end(&mut self.0);
        self
    }

    fn stream_end(self, result: CatchupResult, last: i64) -> Self {
        let last = TransactionId(last);
        self.kind(ResponseKind::TransactionStreamFinished).body(&TransactionStreamFinished { result, last })
    }

    /// Where each frame ends.
    fn frame_ends(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut end = 0;
        while let Some(header) = self.0[end..].first_chunk::<4>() {
            end += 4 + u32::from_be_bytes(*header) as usize;
            ends.push(end);
        }
        ends
    }
}

/// A whole answer to each request.
fn answers() -> Vec<(RequestKind, Wire)> {
    use neo4j_admin::catchup::message::{
        AllDatabaseIdsResponse, DatabaseIdResponse, InfoResponse, MetadataResponse, StoreIdResponse,
    };
    let wire = Wire::default;
    let database = DatabaseId::SYSTEM;
    let reconciled = TransactionId(17);
    vec![
        (
            RequestKind::DatabaseId,
            wire().kind(ResponseKind::DatabaseId).body(&DatabaseIdResponse { database }),
        ),
        (
            RequestKind::StoreId,
            wire().kind(ResponseKind::StoreId).body(&StoreIdResponse { store_id: store_id() }),
        ),
        (
            RequestKind::AllDatabaseIds,
            wire()
                .kind(ResponseKind::AllDatabaseIds)
                .body(&AllDatabaseIdsResponse { databases: vec![("system".to_owned(), database)] }),
        ),
        (
            RequestKind::Metadata,
            wire()
                .kind(ResponseKind::Metadata)
                .body(&MetadataResponse { commands: vec!["CREATE".to_owned()] }),
        ),
        (
            RequestKind::Info,
            wire().kind(ResponseKind::Info).body(&InfoResponse { reconciled, failure: Some("f".to_owned()) }),
        ),
        (
            RequestKind::PrepareStoreCopy,
            wire()
                .header("neostore.counts.db")
                .chunk(false, b"one")
                .chunk(true, b"two")
                .header("empty")
                .chunk(true, b"")
                .prepared(PrepareStatus::Success),
        ),
        (
            RequestKind::StoreFile,
            wire()
                .header("neostore")
                .chunk(false, b"one")
                .chunk(true, b"")
                .finished(StoreCopyStatus::Success),
        ),
        (
            RequestKind::TransactionPull,
            wire().transactions(9, 120).stream_end(CatchupResult::SuccessEndOfStream, 9),
        ),
    ]
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_is_an_error_that_names_peer_and_request() {
    for (kind, Wire(wire)) in answers() {
        for cut in 0..wire.len() {
            let text = root_cause(&answered_with(kind, &wire[..cut]).await);
            let expected =
                format!("db1:6362 closed the connection before it had completed the answer to {kind}");
            assert_eq!(text, expected, "{kind} cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_good_and_leaves_the_connection_usable() {
    for (kind, Wire(wire)) in answers() {
        let (mut client, mut far) = connection(Timeouts::default()).await;
        for _ in 0..2 {
            far.write_all(&wire).await.unwrap();
            request(&mut client, kind).await.unwrap();
            assert!(client.is_usable());
        }
    }
}

#[tokio::test]
async fn every_request_may_be_answered_by_an_error() {
    for kind in RequestKind::ALL {
        let (mut client, mut far) = connection(Timeouts::default()).await;
        let message = "it is asleep".to_owned();
        let error = ErrorResponse { status: CatchupResult::StoreUnavailable, message };
        far.write_all(&Wire::default().kind(ResponseKind::Error).body(&error).0).await.unwrap();
        let error = request(&mut client, kind).await.unwrap_err();
        let text = "Request returned an error [Status: 'E_STORE_UNAVAILABLE' Message: 'it is asleep']";
        assert_eq!(root_cause(&error), text);
        assert!(client.is_usable(), "{kind}");
    }
}

#[tokio::test]
async fn a_response_that_does_not_belong_to_the_request_is_an_error() {
    for (kind, Wire(wire)) in answers() {
        let first = ResponseKind::from_byte(wire[4]).unwrap();
        let mut allowed = vec![first, ResponseKind::Error];
        match kind {
            RequestKind::PrepareStoreCopy => allowed.push(ResponseKind::PrepareStoreCopy),
            RequestKind::StoreFile => allowed.push(ResponseKind::StoreCopyFinished),
            RequestKind::TransactionPull => allowed.push(ResponseKind::TransactionStreamFinished),
            _ => {}
        }
        for byte in 0..=u8::MAX {
            let got = ResponseKind::from_byte(byte);
            if got.is_some_and(|got| allowed.contains(&got)) {
                continue;
            }
            let error = answered_with(kind, &Wire::default().payload(&[byte]).payload(b"whatever").0).await;
            let text = root_cause(&error);
            let got = got.map_or(format!("an unknown message of type {byte}"), |got| got.to_string());
            assert!(text.starts_with(&format!("db1:6362 answered {kind} with {got}, ")), "{text}");
        }
    }
}

#[tokio::test]
async fn lengths_beyond_the_limits_are_refused_at_every_place() {
    for (kind, wire) in answers() {
        let starts = std::iter::once(0).chain(wire.frame_ends());
        for start in starts.take_while(|&start| start < wire.0.len()) {
            for length in [i32::MAX, (32 << 20) + 1, -1, i32::MIN] {
                let mut wire = wire.0[..start].to_vec();
                wire.extend_from_slice(&length.to_be_bytes());
                wire.extend_from_slice(&[1; 100]);
                let text = root_cause(&answered_with(kind, &wire).await);
                assert!(
                    text.starts_with("db1:6362 ")
                        && text.contains(&format!(" a frame of {length} bytes before")),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_type_must_be_alone_in_its_frame() {
    for (payload, length) in [(&b""[..], 0), (b"\x02\x01", 2)] {
        let error = answered_with(RequestKind::StoreId, &Wire::default().payload(payload).0).await;
        assert_eq!(
            root_cause(&error),
            format!(
                "db1:6362 sent a frame of {length} bytes before it had completed the answer to STORE_ID where one \
                 byte, the type of a message, must come"
            )
        );
    }
}

#[tokio::test]
async fn files_that_never_end_or_end_without_a_mark_are_errors() {
    let file = || Wire::default().header("neostore").chunk(false, b"some");
    for (wire, cause) in [
        (
            file().chunk(false, b""),
            "length of a chunk that is not the last at offset 4 is 0, expected at least 1",
        ),
        (
            file().finished(StoreCopyStatus::Success),
            "end mark of a file chunk needs 4 bytes at offset 0, 1 are left",
        ),
        (file().payload(&[0, 0, 0, 2, 9]), "end mark of a file chunk at offset 0 is 2, expected 0 or 1"),
        (file().payload(&[0xff; 5]), "end mark of a file chunk at offset 0 is -1, expected 0 or 1"),
    ] {
        for request in [RequestKind::StoreFile, RequestKind::PrepareStoreCopy] {
            assert_eq!(
                answered_with(request, &wire.0).await.to_string(),
                format!(
                    "db1:6362 broke off the file \"neostore\" while it answered {request}: {cause}; the server may \
                     have deleted the file while it was copied"
                )
            );
        }
    }
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_errors() {
    // The first frame of a stream has no end of its own: streams have tests of their own.
    for (kind, wire) in answers().into_iter().filter(|(kind, _)| *kind != RequestKind::TransactionPull) {
        let ends = wire.frame_ends();
        let body = ends[0] + 4..ends[1];
        for damaged in [&wire.0[body.start..body.end - 1], &[&wire.0[body.clone()], b"x"].concat()] {
            let damaged = Wire::default().raw(&wire.0[..ends[0]]).payload(damaged);
            let text = root_cause(&answered_with(kind, &damaged.0).await);
            let first = ResponseKind::from_byte(wire.0[4]).unwrap();
            let expected = format!("db1:6362 sent a malformed {first}: ");
            assert!(text.starts_with(&expected), "{text}");
        }
    }
    let (status, message) = (CatchupResult::GeneralError, String::new());
    let mut error = Wire::default().kind(ResponseKind::Error).body(&ErrorResponse { status, message });
    error.0[9 + 3] = 7;
    let text = root_cause(&answered_with(RequestKind::StoreId, &error.0).await);
    assert_eq!(text, "db1:6362 sent a malformed ERROR: catchup result at offset 0 is 7, expected 0 to 6");
}

#[tokio::test]
async fn a_second_file_is_no_answer_to_a_request_for_one() {
    let wire = Wire::default().header("neostore").chunk(true, b"one").header("neostore");
    let error = answered_with(RequestKind::StoreFile, &wire.0).await;
    assert_eq!(error.to_string(), "db1:6362 answered STORE_FILE with FILE, STORE_COPY_FINISHED was expected");
}

#[tokio::test]
async fn success_without_a_file_is_an_error() {
    let error =
        answered_with(RequestKind::StoreFile, &Wire::default().finished(StoreCopyStatus::Success).0).await;
    assert_eq!(
        error.to_string(),
        "db1:6362 reports success for the store file \"neostore\" without having sent it"
    );
}

#[tokio::test]
async fn refusals_after_which_a_server_closes_make_the_connection_unusable() {
    let refusals = [
        (RequestKind::PrepareStoreCopy, Wire::default().prepared(PrepareStatus::ListingStore)),
        (RequestKind::StoreFile, Wire::default().finished(StoreCopyStatus::Unknown)),
        (RequestKind::TransactionPull, Wire::default().stream_end(CatchupResult::GeneralError, -1)),
    ];
    for (kind, Wire(wire)) in refusals {
        let (mut client, mut far) = connection(Timeouts::default()).await;
        far.write_all(&wire).await.unwrap();
        let _ = request(&mut client, kind).await;
        assert!(!client.is_usable(), "{kind}");
        let text = root_cause(&request(&mut client, RequestKind::StoreId).await.unwrap_err());
        assert_eq!(
            text,
            "the connection to db1:6362 can not carry STORE_ID: an earlier request on it failed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn silence_before_an_answer_is_given_up_after_the_inactivity_time() {
    for kind in RequestKind::ALL {
        let (mut client, _far) = connection(Timeouts::default()).await;
        let started = Instant::now();
        let text = root_cause(&request(&mut client, kind).await.unwrap_err());
        let expected =
            format!("Request timed out with no responses after 600000 ms. db1:6362 was asked for {kind}");
        assert!(text.starts_with(&expected), "{text}");
        assert_eq!(started.elapsed(), Duration::from_secs(600));
        assert!(!client.is_usable());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_within_an_answer_is_given_up_after_the_inactivity_time() {
    for (kind, wire) in answers() {
        let ends = wire.frame_ends();
        for end in &ends[..ends.len() - 1] {
            // One byte of the next frame is no message.
            for cut in [*end, end + 1] {
                let timeouts = Timeouts { inactivity: Duration::from_millis(1500), ..Timeouts::default() };
                let (mut client, mut far) = connection(timeouts).await;
                far.write_all(&wire.0[..cut]).await.unwrap();
                let text = root_cause(&request(&mut client, kind).await.unwrap_err());
                assert_eq!(
                    text,
                    format!(
                        "Request timed out after period of inactivity. Time since last response: 1500 ms. db1:6362 \
                         was asked for {kind}"
                    )
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_restarts_the_inactivity_time() {
    let (mut client, mut far) = connection(Timeouts::default()).await;
    let answer = &answers()[5].1;
    let server = async {
        let mut start = 0;
        for end in answer.frame_ends() {
            tokio::time::sleep(Duration::from_secs(599)).await;
            far.write_all(&answer.0[start..end]).await.unwrap();
            start = end;
        }
    };
    let (result, ()) = tokio::join!(request(&mut client, RequestKind::PrepareStoreCopy), server);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_long_checkpoint_is_reported_and_has_a_time_of_its_own() {
    let timeouts = Timeouts { checkpoint: Duration::from_secs(3600), ..Timeouts::default() };
    let (mut client, mut far) = connection(timeouts).await;
    let answer = &answers()[5].1.0;
    let server = async {
        tokio::time::sleep(Duration::from_secs(1805)).await;
        far.write_all(answer).await.unwrap();
    };
    let mut files = MemoryFiles::default();
    let (result, ()) =
        tokio::join!(client.prepare_store_copy(DatabaseId::SYSTEM, store_id(), &mut files), server);
    result.unwrap();
    let seconds: Vec<_> = files.waited.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, (1..=180).map(|ten| 10 * ten).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_leaves_the_connection_unusable() {
    let (mut client, _far) = connection(Timeouts::default()).await;
    let given_up = tokio::time::timeout(Duration::from_secs(1), client.store_id(DatabaseId::SYSTEM)).await;
    assert!(given_up.is_err());
    let error = client.store_id(DatabaseId::SYSTEM).await.unwrap_err();
    assert!(
        root_cause(&error).ends_with("can not carry STORE_ID: an earlier request on it failed"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_request_is_given_up_after_a_minute() {
    let (mut client, _far) = connection(Timeouts::default()).await;
    let error = client.database_id(&"x".repeat(2 << 20)).await.unwrap_err();
    assert_eq!(root_cause(&error), "no request could be sent to db1:6362 within PT1M");
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_what_came_before() {
    let end = |wire: Wire| wire.stream_end(CatchupResult::GeneralError, 5);
    let mut cut = Wire::default().transactions(5, 80);
    let ends = cut.frame_ends();
    cut.0.truncate(ends[ends.len() - 2]);
    let (mut client, mut far) = connection(Timeouts::default()).await;
    far.write_all(&end(cut).0).await.unwrap();
    let mut sink = MemoryTransactions::default();
    let error = client.pull(DatabaseId::SYSTEM, TransactionId(1), store_id(), &mut sink).await.unwrap_err();
    let last = sink.received.last().unwrap().0;
    assert!((3..=5).contains(&last));
    assert_eq!(
        error.to_string(),
        format!("db1:6362 broke off the transaction stream behind transaction {last}: E_GENERAL_ERROR")
    );
    assert!(!client.is_usable());
}

#[tokio::test]
async fn a_stream_that_ends_elsewhere_than_told_is_an_error() {
    let success = CatchupResult::SuccessEndOfStream;
    let error = answered_with(
        RequestKind::TransactionPull,
        &Wire::default().transactions(5, 200).stream_end(success, 6).0,
    )
    .await;
    assert_eq!(
        error.to_string(),
        "db1:6362 ended the transaction stream at transaction 6, but it ends behind transaction 5"
    );
}

#[tokio::test]
async fn a_stream_of_another_store_is_an_error() {
    // The last byte of each of the five values of the store id.
    for value in 1..=5 {
        let mut wire = Wire::default().transactions(5, 1000).stream_end(CatchupResult::SuccessEndOfStream, 5);
        wire.0[5 + 4 + 8 * value] ^= 1;
        let text = answered_with(RequestKind::TransactionPull, &wire.0).await.to_string();
        assert!(
            text.starts_with(
                "db1:6362 sent a transaction stream that can't be read: it comes from the store "
            ),
            "{text}"
        );
    }
}

#[tokio::test]
async fn transactions_pruned_while_streaming_are_a_result() {
    let (mut client, mut far) = connection(Timeouts::default()).await;
    let wire = Wire::default().transactions(5, 200).stream_end(CatchupResult::TransactionPruned, 5);
    far.write_all(&wire.0).await.unwrap();
    let mut sink = MemoryTransactions::default();
    let end = client.pull(DatabaseId::SYSTEM, TransactionId(1), store_id(), &mut sink).await.unwrap();
    assert_eq!((end.result, end.last), (CatchupResult::TransactionPruned, Some(TransactionId(5))));
    assert_eq!(sink.received.len(), 4);
}
