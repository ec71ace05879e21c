//! Where a client puts what it receives.

use std::error::Error;
use std::time::Duration;

use crate::txlog::wire::WireTransaction;

/// A sink could not take what came. The error of the sink is the cause and tells what and where.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SinkError(Box<dyn Error + Send + Sync>);

impl SinkError {
    /// Wraps the sink's own error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The sink's own error, if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

/// Takes the files of a store copy, one after the other.
///
/// Calls come in the order `begin`, `write` any number of times, `finish`. A file that breaks off has no `finish`: the
/// request fails. All methods may block; the connection reads on when they return.
pub trait FileSink: Send {
    /// A file begins. `path` is as the server sent it and must be checked before it is used; `alignment` is the record
    /// size of the file, nothing depends on it.
    fn begin(&mut self, path: &str, alignment: i32) -> Result<(), SinkError>;

    /// The next bytes of the file.
    fn write(&mut self, data: &[u8]) -> Result<(), SinkError>;

    /// The file is complete.
    fn finish(&mut self) -> Result<(), SinkError>;

    /// The server has been silent for `waited` since it was asked to prepare a copy: its checkpoint is still running.
    /// Called every few seconds until the first byte arrives.
    fn waiting_for_checkpoint(&mut self, waited: Duration) {
        let _ = waited;
    }
}

/// Takes the transactions of a stream, one after the other.
pub trait TransactionSink: Send {
    /// The next transaction and its bytes as they travelled: start entry, commands and commit entry, without the
    /// checksum that follows in a log file. May block.
    ///
    /// The bytes are a readable transaction; whether its id is the one that must come now is for the sink to say.
    fn accept(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), SinkError>;
}
