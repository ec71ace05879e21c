//! One client: greeting, handshake, then its requests one after the other. Specification: protocol 5.1 and 6.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use super::ServerOptions;
use super::file::FileCutter;
use super::source::{Source, SourceError, SourceFile};
use super::transactions::StreamCutter;
use crate::catchup::error::{CatchupError, MessageName, Step};
use crate::catchup::frame::{self, FrameError, Frames};
use crate::catchup::handshake::{self, ProtocolVersion};
use crate::catchup::hint::Hint;
use crate::catchup::magic::{self, MagicError};
use crate::catchup::message::{
    AllDatabaseIdsRequest, AllDatabaseIdsResponse, Body, CatchupResult, DatabaseIdRequest,
    DatabaseIdResponse, ErrorResponse, FileHeader, InfoRequest, MetadataRequest, MetadataResponse,
    PrepareStatus, PrepareStoreCopyRequest, PrepareStoreCopyResponse, Request, RequestKind, Response,
    ResponseKind, StoreCopyFinished, StoreCopyStatus, StoreFileRequest, StoreIdRequest, StoreIdResponse,
    TransactionPullRequest, TransactionStreamFinished,
};
use crate::catchup::peer::Peer;
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Serves one client until it closes the connection or breaks the protocol, or until `stop` turns true between two
/// requests. The error tells why the connection ended if the client did not just close it.
pub async fn serve_connection<S>(
    mut stream: S,
    peer: Peer,
    source: Arc<dyn Source>,
    options: &ServerOptions,
    stop: watch::Receiver<bool>,
) -> Result<(), CatchupError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let after = options.handshake_timeout;
    let late = |step| CatchupError::HandshakeTimeout { peer: peer.clone(), step, after, hint: Hint::None };
    let answered = timeout(after, magic::answer(&mut stream)).await;
    answered.map_err(|_| late(Step::Greeting))?.map_err(|error| wrong_greeting(error, &peer))?;
    let mut frames = Frames::new(stream);
    let agreed = timeout(after, handshake::accept(&mut frames, &peer, &options.versions)).await;
    let version = agreed.map_err(|_| late(Step::Handshake))??;
    let mut session = Session { frames, peer, version, source, options };
    let result = session.run(stop).await;
    // What the client has not read yet is still delivered; that it may be gone already is no news.
    let _ = session.frames.shutdown().await;
    result
}

fn wrong_greeting(error: MagicError, peer: &Peer) -> CatchupError {
    let step = Step::Greeting;
    match error {
        MagicError::Wrong { got } if got.is_empty() => {
            CatchupError::Closed { peer: peer.clone(), step, error: None, hint: Hint::None }
        }
        MagicError::Wrong { got } => CatchupError::WrongMagic { peer: peer.clone(), got, hint: Hint::None },
        MagicError::Io(error) => CatchupError::from_io(error, peer, step),
    }
}

struct Session<'a, S> {
    frames: Frames<S>,
    peer: Peer,
    version: ProtocolVersion,
    source: Arc<dyn Source>,
    options: &'a ServerOptions,
}

type Handled = Result<(), CatchupError>;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Handled {
        loop {
            let read = tokio::select! {
                read = self.frames.read(1) => read.map(<[u8]>::first).map(Option::<&u8>::copied),
                _ = stop.wait_for(|&stop| stop) => return Ok(()),
            };
            let byte = match read {
                Ok(Some(byte)) => byte,
                Ok(None) => return Err(self.type_frame(0)),
                Err(FrameError::Closed) => return Ok(()),
                Err(FrameError::Length { length, .. }) => return Err(self.type_frame(length)),
                Err(error) => return Err(CatchupError::from_frame(error, &self.peer, Step::Idle)),
            };
            let kind = RequestKind::from_byte(byte)
                .filter(|kind| self.version >= ProtocolVersion::V4 || kind.is_in_version_3())
                .ok_or_else(|| CatchupError::UnknownRequest {
                    peer: self.peer.clone(),
                    byte,
                    version: self.version,
                })?;
            match kind {
                RequestKind::TransactionPull => self.transaction_pull().await?,
                RequestKind::StoreId => self.store_id().await?,
                RequestKind::PrepareStoreCopy => self.prepare_store_copy().await?,
                RequestKind::StoreFile => self.store_file().await?,
                RequestKind::DatabaseId => self.database_id().await?,
                RequestKind::AllDatabaseIds => self.all_database_ids().await?,
                RequestKind::Info => self.info().await?,
                RequestKind::Metadata => self.metadata().await?,
            }
        }
    }

    async fn database_id(&mut self) -> Handled {
        let request: DatabaseIdRequest = self.receive().await?;
        // Names are kept in lower case. Specification: protocol 4.2.5.
        let name = request.name.to_lowercase();
        let asked = name.clone();
        let (status, message) = match self.ask(move |source| source.database_id(&asked)).await {
            Ok(database) => {
                return self.answer(RequestKind::DatabaseId, &DatabaseIdResponse { database }).await;
            }
            Err(SourceError::Unknown) => {
                (CatchupResult::DatabaseUnknown, format!("Database '{name}' does not exist"))
            }
            Err(SourceError::Stopped) => (
                CatchupResult::StoreUnavailable,
                format!("Database '{name}' is stopped. Start the database before backup"),
            ),
            Err(SourceError::Unavailable(reason)) => {
                (CatchupResult::StoreUnavailable, format!("Database '{name}' is unavailable: {reason}"))
            }
            Err(error @ SourceError::Failed(_)) => (CatchupResult::GeneralError, story(&error)),
        };
        self.answer(RequestKind::DatabaseId, &ErrorResponse { status, message }).await
    }

    async fn store_id(&mut self) -> Handled {
        let kind = RequestKind::StoreId;
        let StoreIdRequest { database } = self.receive().await?;
        match self.intended_database(kind, database).await {
            Ok(store_id) => self.answer(kind, &StoreIdResponse { store_id }).await,
            Err(refusal) => self.answer(kind, &refusal).await,
        }
    }

    async fn all_database_ids(&mut self) -> Handled {
        let kind = RequestKind::AllDatabaseIds;
        let AllDatabaseIdsRequest = self.receive().await?;
        match self.ask(Source::databases).await {
            Ok(databases) => self.answer(kind, &AllDatabaseIdsResponse { databases }).await,
            Err(error) => {
                let refusal = ErrorResponse { status: CatchupResult::GeneralError, message: story(&error) };
                self.answer(kind, &refusal).await
            }
        }
    }

    async fn info(&mut self) -> Handled {
        let kind = RequestKind::Info;
        let InfoRequest { name, database } = self.receive().await?;
        match self.ask(move |source| source.info(&name.to_lowercase(), database)).await {
            Ok(info) => self.answer(kind, &info).await,
            Err(error) => {
                let unavailable = matches!(error, SourceError::Stopped | SourceError::Unavailable(_));
                let status =
                    if unavailable { CatchupResult::StoreUnavailable } else { CatchupResult::GeneralError };
                self.answer(kind, &ErrorResponse { status, message: story(&error) }).await
            }
        }
    }

    async fn metadata(&mut self) -> Handled {
        let kind = RequestKind::Metadata;
        let MetadataRequest { name, what } = self.receive().await?;
        // The type goes out before the commands are there, so a failure can only close the connection.
        self.put_type(ResponseKind::Metadata);
        self.flush(kind).await?;
        let asked = self.ask(move |source| source.metadata(&name.to_lowercase(), what)).await;
        let commands = asked.map_err(|source| self.failed(kind, source))?;
        self.put_body(&MetadataResponse { commands });
        self.flush(kind).await
    }

    async fn prepare_store_copy(&mut self) -> Handled {
        let kind = RequestKind::PrepareStoreCopy;
        let PrepareStoreCopyRequest { database, store_id } = self.receive().await?;
        match self.intended_database(kind, database).await {
            Ok(ours) if ours == store_id => {}
            Ok(_) => return self.refuse_preparation(PrepareStatus::StoreIdMismatch).await,
            Err(refusal) => return self.answer(kind, &refusal).await,
        }
        let mut copy = match self.ask(move |source| source.prepare(database)).await {
            Ok(copy) => copy,
            Err(error) => {
                self.refuse_preparation(PrepareStatus::ListingStore).await?;
                return self.close_if_failed(kind, error);
            }
        };
        loop {
            let taken = blocking(move || {
                let next = copy.next_atomic();
                Ok((copy, next))
            });
            let (returned, next) = taken.await.map_err(|source| self.failed(kind, source))?;
            copy = returned;
            match next {
                Ok(Some(file)) => self.send_file(kind, file).await?,
                Ok(None) => break,
                Err(error) => {
                    self.refuse_preparation(PrepareStatus::ListingStore).await?;
                    return Err(self.failed(kind, error));
                }
            }
        }
        let answer = PrepareStoreCopyResponse {
            status: PrepareStatus::Success,
            checkpoint: copy.checkpoint(),
            names: copy.replayable(),
        };
        self.answer(kind, &answer).await
    }

    async fn refuse_preparation(&mut self, status: PrepareStatus) -> Handled {
        self.answer(RequestKind::PrepareStoreCopy, &PrepareStoreCopyResponse::refusal(status)).await
    }

    async fn store_file(&mut self) -> Handled {
        let kind = RequestKind::StoreFile;
        let StoreFileRequest { database, store_id, required, name } = self.receive().await?;
        match self.intended_database(kind, database).await {
            Ok(ours) if ours == store_id => {}
            Ok(_) => return self.finish_file(StoreCopyStatus::StoreIdMismatch).await,
            Err(refusal) => return self.answer(kind, &refusal).await,
        }
        let found = self
            .ask(move |source| {
                let last_checkpointed = source.last_checkpointed(database)?;
                if last_checkpointed < required {
                    return Ok(Err(StoreCopyStatus::TooFarBehind));
                }
                let file = source.store_file(database, &name)?;
                Ok(file.map(|file| (file, last_checkpointed)).ok_or(StoreCopyStatus::Unknown))
            })
            .await;
        let (file, last_checkpointed) = match found {
            Ok(Ok(found)) => found,
            Ok(Err(StoreCopyStatus::Unknown)) => {
                self.finish_file(StoreCopyStatus::Unknown).await?;
                return Err(self.failed(kind, SourceError::failed("there is no such file, or more than one")));
            }
            Ok(Err(status)) => return self.finish_file(status).await,
            Err(error) => {
                self.finish_file(StoreCopyStatus::Unknown).await?;
                return Err(self.failed(kind, error));
            }
        };
        self.send_file(kind, file).await?;
        self.answer(kind, &StoreCopyFinished { status: StoreCopyStatus::Success, last_checkpointed }).await
    }

    async fn finish_file(&mut self, status: StoreCopyStatus) -> Handled {
        self.answer(RequestKind::StoreFile, &StoreCopyFinished::refusal(status)).await
    }

    async fn transaction_pull(&mut self) -> Handled {
        let kind = RequestKind::TransactionPull;
        let TransactionPullRequest { database, previous, store_id } = self.receive().await?;
        let ours = match self.intended_database(kind, database).await {
            Ok(ours) => ours,
            Err(refusal) => return self.answer(kind, &refusal).await,
        };
        if ours != store_id {
            return self.finish_stream(CatchupResult::StoreIdMismatch, None).await;
        }
        let first = previous.next();
        let found = self
            .ask(move |source| {
                let last_committed = source.last_committed(database)?;
                let transactions =
                    if last_committed < first { None } else { source.transactions(database, first)? };
                Ok((last_committed, transactions))
            })
            .await;
        match found {
            Ok((last_committed, Some(transactions))) => {
                let buffer_size = self.options.transaction_buffer;
                let cutter = StreamCutter::new(transactions, &ours, previous, buffer_size);
                self.send_transactions(cutter, last_committed).await
            }
            Ok((last_committed, None)) if last_committed < first => {
                self.finish_stream(CatchupResult::SuccessEndOfStream, Some(last_committed)).await
            }
            Ok((_, None)) => self.finish_stream(CatchupResult::TransactionPruned, None).await,
            Err(error @ SourceError::Failed(_)) => {
                self.finish_stream(CatchupResult::GeneralError, None).await?;
                Err(self.failed(kind, error))
            }
            Err(_) => self.finish_stream(CatchupResult::StoreUnavailable, None).await,
        }
    }

    /// Sends a stream and its end. It keeps its promise if it gets to `promised`.
    async fn send_transactions(&mut self, mut cutter: StreamCutter, promised: TransactionId) -> Handled {
        let kind = RequestKind::TransactionPull;
        self.put_type(ResponseKind::Transactions);
        let mut batch = BytesMut::new();
        loop {
            let filled = blocking(move || {
                let done = cutter.fill(&mut batch);
                Ok((cutter, batch, done))
            });
            let done;
            (cutter, batch, done) = filled.await.map_err(|source| self.failed(kind, source))?;
            self.send_encoded(kind, &batch).await?;
            batch.clear();
            match done {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => {
                    // No end mark: the client meets the type byte inside the stream. Specification: protocol 4.5.
                    self.finish_stream(CatchupResult::GeneralError, Some(cutter.last())).await?;
                    return Err(self.failed(kind, error));
                }
            }
        }
        let kept = cutter.last() >= promised;
        let result = if kept { CatchupResult::SuccessEndOfStream } else { CatchupResult::TransactionPruned };
        self.finish_stream(result, Some(cutter.last())).await
    }

    async fn finish_stream(&mut self, result: CatchupResult, last: Option<TransactionId>) -> Handled {
        let refusal = TransactionStreamFinished::refusal(result);
        let answer = TransactionStreamFinished { result, last: last.unwrap_or(refusal.last) };
        self.answer(RequestKind::TransactionPull, &answer).await
    }

    /// Sends a file: type, header, chunks. The next chunks are read while the last ones are on their way. A file that
    /// can't be read to its end ends the connection: there is no message for it.
    async fn send_file(&mut self, kind: RequestKind, file: SourceFile) -> Handled {
        let SourceFile { path, alignment, content } = file;
        self.put_type(ResponseKind::File);
        self.put_body(&FileHeader { path, alignment });
        let mut cutter = FileCutter::new(content, self.options.chunk_size);
        let mut sending = BytesMut::new();
        let mut spare = BytesMut::new();
        loop {
            let reading = blocking(move || {
                spare.clear();
                let done = cutter.fill(&mut spare).map_err(SourceError::failed)?;
                Ok((cutter, spare, done))
            });
            let (sent, read) = tokio::join!(self.frames.send_encoded(&sending), reading);
            sent.map_err(|error| CatchupError::from_frame(error, &self.peer, Step::Serve(kind)))?;
            let (returned, filled, done) = read.map_err(|source| self.failed(kind, source))?;
            cutter = returned;
            spare = std::mem::replace(&mut sending, filled);
            if done {
                return self.send_encoded(kind, &sending).await;
            }
        }
    }

    /// The store id of the database that a request is meant for, or the refusal to send. Specification: protocol 6.1.
    async fn intended_database(
        &mut self,
        kind: RequestKind,
        database: DatabaseId,
    ) -> Result<StoreId, ErrorResponse> {
        let refused = |end| format!("CatchupRequest {kind} refused as intended database {database} {end}");
        self.ask(move |source| source.store_id(database)).await.map_err(|error| {
            let (status, message) = match error {
                SourceError::Unknown => {
                    (CatchupResult::DatabaseUnknown, refused("does not exist".to_owned()))
                }
                SourceError::Stopped => (CatchupResult::StoreUnavailable, refused("is shutdown".to_owned())),
                SourceError::Unavailable(reason) => {
                    (CatchupResult::StoreUnavailable, refused(format!("is unavailable: {reason}")))
                }
                SourceError::Failed(_) => (CatchupResult::GeneralError, story(&error)),
            };
            ErrorResponse { status, message }
        })
    }

    /// Waits for the body of a request whose type has arrived.
    async fn receive<R: Request>(&mut self) -> Result<R, CatchupError> {
        let failed = |error| CatchupError::from_frame(error, &self.peer, Step::Receive(R::KIND));
        let payload = self.frames.read(frame::LIMIT).await.map_err(failed)?;
        R::from_payload(payload).map_err(|error| CatchupError::Malformed {
            peer: self.peer.clone(),
            message: MessageName::Request(R::KIND),
            error,
        })
    }

    /// Sends a message of one body.
    async fn answer<R: Response>(&mut self, kind: RequestKind, response: &R) -> Handled {
        self.put_type(R::KIND);
        self.put_body(response);
        self.flush(kind).await
    }

    fn put_type(&mut self, kind: ResponseKind) {
        self.frames.put(|out| out.extend_from_slice(&[kind as u8]));
    }

    fn put_body(&mut self, body: &impl Body) {
        self.frames.put(|out| body.encode(out));
    }

    async fn flush(&mut self, kind: RequestKind) -> Handled {
        self.send_encoded(kind, &[]).await
    }

    async fn send_encoded(&mut self, kind: RequestKind, frames: &[u8]) -> Handled {
        let sent = self.frames.send_encoded(frames).await;
        sent.map_err(|error| CatchupError::from_frame(error, &self.peer, Step::Serve(kind)))
    }

    /// Asks the source on a thread that may block.
    async fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&dyn Source) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let source = Arc::clone(&self.source);
        blocking(move || question(&*source)).await
    }

    fn failed(&self, request: RequestKind, source: SourceError) -> CatchupError {
        CatchupError::Source { peer: self.peer.clone(), request, source }
    }

    /// A server closes the connection after an exception, but not for a database that just became unavailable.
    fn close_if_failed(&self, request: RequestKind, error: SourceError) -> Handled {
        match error {
            SourceError::Failed(_) => Err(self.failed(request, error)),
            _ => Ok(()),
        }
    }

    fn type_frame(&self, length: i32) -> CatchupError {
        CatchupError::TypeFrame { peer: self.peer.clone(), step: Step::Idle, length }
    }
}

/// Runs `work` on a thread that may block. A panic there is this request's failure, not the server's.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(SourceError::failed(error)))
}

/// An error with all of its causes.
pub(super) fn story(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
