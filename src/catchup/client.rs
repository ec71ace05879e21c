//! One method per request. Specification: protocol 4 and 7.

use std::time::Duration;

use super::connection::Connection;
use super::error::{CatchupError, MessageType};
use super::frame;
use super::handshake::ProtocolVersion;
use super::message::{
    AllDatabaseIdsRequest, AllDatabaseIdsResponse, Behind, CatchupResult, DatabaseIdRequest,
    DatabaseIdResponse, FileChunk, FileHeader, InfoRequest, InfoResponse, MetadataKind, MetadataRequest,
    MetadataResponse, PrepareStatus, PrepareStoreCopyRequest, PrepareStoreCopyResponse, RequestKind,
    ResponseKind, StoreCopyFinished, StoreCopyStatus, StoreFileRequest, StoreIdRequest, StoreIdResponse,
    TransactionPullRequest, TransactionStreamDecoder, TransactionStreamFinished,
};
use super::peer::Peer;
use super::sink::{FileSink, SinkError, TransactionSink};
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Most files in the answer to a preparation. A store has some dozens for each of its indexes.
const MAX_FILES: usize = 262_144;

/// The types of the messages that an answer consists of.
const FILE: MessageType = MessageType(ResponseKind::File as u8);
const PREPARED: MessageType = MessageType(ResponseKind::PrepareStoreCopy as u8);
const TRANSACTIONS: MessageType = MessageType(ResponseKind::Transactions as u8);
const STREAM_FINISHED: MessageType = MessageType(ResponseKind::TransactionStreamFinished as u8);
const FILE_FINISHED: MessageType = MessageType(ResponseKind::StoreCopyFinished as u8);

/// What is left to do after [`Client::prepare_store_copy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The last checkpointed transaction: replay starts behind it.
    pub checkpoint: TransactionId,
    /// Bare names for [`Client::store_file`].
    pub names: Vec<String>,
}

/// How [`Client::pull`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// The server's result. The transactions handed to the sink before are good whatever it is.
    pub result: CatchupResult,
    /// The last transaction of the stream; if it had none, the last one committed on the server. `None` if the server
    /// refused.
    pub last: Option<TransactionId>,
}

/// A connection to a server, ready for requests, one at a time.
///
/// A request that fails leaves the connection unusable unless the server refused it by the rules, see
/// [`Client::is_usable`]. Dropping the future of a request does the same.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The server.
    pub fn peer(&self) -> &Peer {
        self.connection.peer()
    }

    /// The agreed version of the protocol.
    pub fn version(&self) -> ProtocolVersion {
        self.connection.version()
    }

    /// Whether a further request may be sent.
    pub fn is_usable(&self) -> bool {
        self.connection.is_usable()
    }

    /// The id of a database; the server folds the name to lower case.
    pub async fn database_id(&mut self, name: &str) -> Result<DatabaseId, CatchupError> {
        let request = DatabaseIdRequest { name: name.to_owned() };
        let answer = self.connection.ask(&request, "DATABASE_ID_RESPONSE").await;
        answer.map(|DatabaseIdResponse { database }| database).map_err(|source| CatchupError::DatabaseId {
            peer: self.peer().clone(),
            database: name.to_owned(),
            source: Box::new(source),
        })
    }

    /// The identity of a database's store.
    pub async fn store_id(&mut self, database: DatabaseId) -> Result<StoreId, CatchupError> {
        let answer = self.connection.ask(&StoreIdRequest { database }, "STORE_ID").await;
        answer.map(|StoreIdResponse { store_id }| store_id).map_err(|source| CatchupError::StoreId {
            peer: self.peer().clone(),
            database,
            source: Box::new(source),
        })
    }

    /// All databases of the server, `system` included, in no order. Not in version 3.0.
    pub async fn all_database_ids(&mut self) -> Result<Vec<(String, DatabaseId)>, CatchupError> {
        let answer: AllDatabaseIdsResponse =
            self.connection.ask(&AllDatabaseIdsRequest, "ALL_DATABASE_IDS_RESPONSE").await?;
        Ok(answer.databases)
    }

    /// The commands that recreate users, roles or both. Not in version 3.0.
    pub async fn metadata(&mut self, name: &str, what: MetadataKind) -> Result<Vec<String>, CatchupError> {
        let request = MetadataRequest { name: name.to_owned(), what };
        let answer: MetadataResponse = self.connection.ask(&request, "METADATA_RESPONSE").await?;
        Ok(answer.commands)
    }

    /// How far a database has got. Not in version 3.0.
    pub async fn info(&mut self, name: &str, database: DatabaseId) -> Result<InfoResponse, CatchupError> {
        let request = InfoRequest { name: name.to_owned(), database };
        self.connection.ask(&request, "INFO_RESPONSE").await
    }

    /// Begins a full copy: the server runs a checkpoint, then sends the files that no log replay can rebuild.
    pub async fn prepare_store_copy(
        &mut self,
        database: DatabaseId,
        store_id: StoreId,
        sink: &mut dyn FileSink,
    ) -> Result<Prepared, CatchupError> {
        let request = RequestKind::PrepareStoreCopy;
        self.connection.send(&PrepareStoreCopyRequest { database, store_id }).await?;
        let mut notice = |waited: Duration| sink.waiting_for_checkpoint(waited);
        let mut got = self.connection.message_type_after_checkpoint(request, &mut notice).await?;
        let mut files = 0;
        while got == FILE {
            if files == MAX_FILES {
                let peer = self.peer().clone();
                return Err(CatchupError::TooManyFiles { peer, request, limit: MAX_FILES });
            }
            files += 1;
            self.receive_file(request, sink).await?;
            got = self.connection.message_type(request).await?;
        }
        if got != PREPARED {
            let expected = "FILE or PREPARE_STORE_COPY_RESPONSE";
            return Err(self.connection.refusal(request, got, expected).await);
        }
        let answer: PrepareStoreCopyResponse = self.connection.response(request).await?;
        // A server that could not list its files closes the connection.
        if answer.status != PrepareStatus::ListingStore {
            self.connection.answer_complete();
        }
        match answer.status {
            PrepareStatus::Success => Ok(Prepared { checkpoint: answer.checkpoint, names: answer.names }),
            status => Err(CatchupError::PrepareRefused { peer: self.peer().clone(), status }),
        }
    }

    /// Fetches one of the files that [`Client::prepare_store_copy`] named. Returns the transaction that was last
    /// checkpointed when the server queued the file.
    pub async fn store_file(
        &mut self,
        database: DatabaseId,
        store_id: StoreId,
        required: TransactionId,
        name: &str,
        sink: &mut dyn FileSink,
    ) -> Result<TransactionId, CatchupError> {
        let request = RequestKind::StoreFile;
        let name = name.to_owned();
        self.connection.send(&StoreFileRequest { database, store_id, required, name: name.clone() }).await?;
        let mut got = self.connection.message_type(request).await?;
        let sent = got == FILE;
        let mut expected = "FILE or STORE_COPY_FINISHED";
        if sent {
            self.receive_file(request, sink).await?;
            got = self.connection.message_type(request).await?;
            expected = "STORE_COPY_FINISHED";
        }
        if got != FILE_FINISHED {
            return Err(self.connection.refusal(request, got, expected).await);
        }
        let answer: StoreCopyFinished = self.connection.response(request).await?;
        // After an exception the server closes the connection.
        if answer.status != StoreCopyStatus::Unknown {
            self.connection.answer_complete();
        }
        let peer = self.peer().clone();
        match answer.status {
            StoreCopyStatus::Success if sent => Ok(answer.last_checkpointed),
            StoreCopyStatus::Success => Err(CatchupError::NoFile { peer, name }),
            status => Err(CatchupError::StoreFileRefused { peer, name, status }),
        }
    }

    /// Fetches all transactions behind `previous`, which must be at least 1, from the store `store_id`.
    ///
    /// The answer goes on as long as transactions are committed meanwhile, unless the server is set to stop at the one
    /// that was the last when it was asked. Every result of the server is returned, an `ERROR` message is an error.
    pub async fn pull(
        &mut self,
        database: DatabaseId,
        previous: TransactionId,
        store_id: StoreId,
        sink: &mut dyn TransactionSink,
    ) -> Result<StreamEnd, CatchupError> {
        let request = RequestKind::TransactionPull;
        self.connection.send(&TransactionPullRequest { database, previous, store_id }).await?;
        let mut got = self.connection.message_type(request).await?;
        let mut expected = "TX or TX_STREAM_FINISHED";
        let mut sent = None;
        if got == TRANSACTIONS {
            sent = Some(Behind(self.receive_transactions(store_id, sink).await?));
            got = self.connection.message_type(request).await?;
            expected = "TX_STREAM_FINISHED";
        }
        if got != STREAM_FINISHED {
            return Err(self.connection.refusal(request, got, expected).await);
        }
        let TransactionStreamFinished { result, last } = self.connection.response(request).await?;
        let last = Some(last).filter(|last| last.0 >= 0);
        // After an exception the server closes the connection.
        if result != CatchupResult::GeneralError {
            self.connection.answer_complete();
        }
        match (sent, last) {
            (Some(behind), Some(told)) if behind != Behind(last) => {
                Err(CatchupError::StreamEnd { peer: self.peer().clone(), told, behind })
            }
            _ => Ok(StreamEnd { result, last }),
        }
    }

    /// Receives a stream whose type byte has arrived, up to its end mark. Returns the last transaction in it.
    async fn receive_transactions(
        &mut self,
        store_id: StoreId,
        sink: &mut dyn TransactionSink,
    ) -> Result<Option<TransactionId>, CatchupError> {
        let request = RequestKind::TransactionPull;
        let peer = self.peer().clone();
        let unreadable = |error| CatchupError::Stream { peer: peer.clone(), error };
        let mut decoder = TransactionStreamDecoder::new(store_id);
        while !decoder.is_ended() {
            let payload = self.connection.frame(request, frame::STREAM_LIMIT).await?;
            // No frame of a stream is that short: this is the server's way to give up. Specification: protocol 4.5.
            if payload == [STREAM_FINISHED.0] {
                let TransactionStreamFinished { result, .. } = self.connection.response(request).await?;
                return Err(CatchupError::StreamBrokenOff { peer, behind: Behind(decoder.last()), result });
            }
            decoder.begin(payload).map_err(unreadable)?;
            let mut rest = payload;
            while let Some((transaction, bytes)) = decoder.next(&mut rest).map_err(unreadable)? {
                sink.accept(&transaction, bytes).map_err(|source| CatchupError::Sink {
                    peer: peer.clone(),
                    request,
                    source,
                })?;
            }
        }
        Ok(decoder.last())
    }

    /// Receives a file whose type byte has arrived. Its bytes go from the network buffer to the sink without a copy.
    async fn receive_file(
        &mut self,
        request: RequestKind,
        sink: &mut dyn FileSink,
    ) -> Result<(), CatchupError> {
        let peer = self.peer().clone();
        let header: FileHeader = self.connection.body(request, ResponseKind::File, frame::LIMIT).await?;
        let sunk = |result: Result<(), SinkError>| {
            result.map_err(|source| CatchupError::Sink { peer: peer.clone(), request, source })
        };
        sunk(sink.begin(&header.path, header.alignment))?;
        loop {
            let payload = self.connection.frame(request, frame::STREAM_LIMIT).await?;
            let chunk = FileChunk::decode(payload).map_err(|error| CatchupError::FileBroken {
                peer: peer.clone(),
                request,
                path: header.path.clone(),
                error,
            })?;
            if !chunk.data.is_empty() {
                sunk(sink.write(chunk.data))?;
            }
            if chunk.last {
                return sunk(sink.finish());
            }
        }
    }
}
