//! What a byte of a store copy costs.

use std::io::Cursor;

use neo4j_admin::catchup::frame;
use neo4j_admin::catchup::handshake::{HandshakeResponse, Status};
use neo4j_admin::catchup::message::{
    Body, FileChunk, FileHeader, ResponseKind, StoreCopyFinished, StoreCopyStatus,
};
use neo4j_admin::catchup::{Dialer, FileSink, Peer, ProtocolVersion, SinkError};
use neo4j_admin::store::id::{DatabaseId, TransactionId};

use crate::support::memory_source::MemoryDatabase;

struct Counting(usize);

impl FileSink for Counting {
    fn begin(&mut self, _: &str, _: i32) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), SinkError> {
        self.0 += data.len();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The whole of what a server says to a client that fetches one file of `chunks` chunks.
fn recorded(chunks: usize, chunk_size: usize) -> Vec<u8> {
    let mut wire = bytes::BytesMut::from(&b"NEO4J_CLUSTER"[..]);
    let (status, version) = (Status::Success, ProtocolVersion::V4);
    let chosen = HandshakeResponse::Application { status, protocol: "catchup".to_owned(), version };
    frame::put(&mut wire, |out| chosen.encode(out));
    frame::put(&mut wire, |out| HandshakeResponse::SwitchOver { status }.encode(out));
    frame::put(&mut wire, |out| out.extend_from_slice(&[ResponseKind::File as u8]));
    frame::put(&mut wire, |out| FileHeader { path: "neostore".to_owned(), alignment: 1 }.encode(out));
    let data = vec![7; chunk_size];
    for chunk in 1..=chunks {
        frame::put(&mut wire, |out| FileChunk { last: chunk == chunks, data: &data }.encode(out));
    }
    frame::put(&mut wire, |out| out.extend_from_slice(&[ResponseKind::StoreCopyFinished as u8]));
    let (status, last_checkpointed) = (StoreCopyStatus::Success, TransactionId(1));
    frame::put(&mut wire, |out| StoreCopyFinished { status, last_checkpointed }.encode(out));
    wire.to_vec()
}

#[test]
fn the_memory_of_a_copy_does_not_depend_on_its_size() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store_id = MemoryDatabase::empty("neo4j", 7).store_id;
    let fetch = |chunks, chunk_size| {
        let wire = Cursor::new(recorded(chunks, chunk_size));
        let mut sink = Counting(0);
        let cost = allocation_counter::measure(|| {
            runtime.block_on(async {
                let transport = tokio::io::join(wire, tokio::io::sink());
                let dialer = Dialer::new("db1", 6362);
                let mut client = dialer.greet(Box::new(transport), Peer::named("db1", 6362)).await.unwrap();
                let (required, name) = (TransactionId(1), "neostore");
                client.store_file(DatabaseId::SYSTEM, store_id, required, name, &mut sink).await.unwrap();
            });
        });
        assert_eq!(sink.0, chunks * chunk_size);
        cost
    };
    let (few, many) = (fetch(10, 32_768), fetch(1000, 32_768));
    assert_eq!(few.count_total, many.count_total, "a chunk costs no allocation");
    // The greatest chunks of all.
    assert!(fetch(20, 1 << 20).bytes_max < 8 << 20);
}
