//! A transaction stream made from a source.

use bytes::BytesMut;

use super::file::BATCH;
use super::source::{SourceError, TransactionSource};
use crate::catchup::message::TransactionStreamEncoder;
use crate::store::id::{StoreId, TransactionId};

/// Cuts the transactions of a source into the frames of a stream.
pub(super) struct StreamCutter {
    transactions: Box<dyn TransactionSource>,
    /// `None` once the end mark is written.
    encoder: Option<TransactionStreamEncoder>,
    wire: Vec<u8>,
    last: TransactionId,
}

impl StreamCutter {
    /// A stream of the transactions behind `previous`.
    pub fn new(
        transactions: Box<dyn TransactionSource>,
        store_id: &StoreId,
        previous: TransactionId,
        buffer_size: usize,
    ) -> Self {
        let encoder = Some(TransactionStreamEncoder::new(store_id, buffer_size));
        Self { transactions, encoder, wire: Vec::new(), last: previous }
    }

    /// The last transaction that is in the stream, or the one before its first.
    pub fn last(&self) -> TransactionId {
        self.last
    }

    /// Appends frames until `out` holds about [`BATCH`] bytes. Whether the last one is among them. After an error `out`
    /// holds whole frames all the same; the stream is broken off behind them.
    pub fn fill(&mut self, out: &mut BytesMut) -> Result<bool, SourceError> {
        while out.len() < BATCH {
            let Some(encoder) = &mut self.encoder else { return Ok(true) };
            self.wire.clear();
            let expected = self.last.next();
            match self.transactions.next(&mut self.wire)? {
                Some(id) if id == expected => {
                    encoder.transaction(&[&self.wire], out);
                    self.last = id;
                }
                Some(id) => {
                    let gap = format!("transaction {id} follows {} in the logs", self.last);
                    return Err(SourceError::failed(gap));
                }
                None => {
                    if let Some(encoder) = self.encoder.take() {
                        encoder.end(out);
                    }
                }
            }
        }
        Ok(self.encoder.is_none())
    }
}
