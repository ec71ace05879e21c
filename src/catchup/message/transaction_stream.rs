//! The transactions of an answer, cut into frames.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use super::field::{put_store_id, store_id};
use crate::catchup::frame;
use crate::io::bytes::Reader;
use crate::store::id::{StoreId, TransactionId};
use crate::txlog::LogError;
use crate::txlog::wire::{self, WireTransaction};

/// In front of a transaction: its length is not given, it ends inside this frame.
const UNKNOWN_SIZE: i32 = -1;
/// In place of a transaction: the stream ends.
const END: i32 = 0;
/// Bytes of a size.
const SIZE: usize = 4;

/// A transaction stream can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The store id or a size is not what it must be.
    #[error("behind {behind}: {error}")]
    Malformed {
        /// What came before.
        behind: Behind,
        /// What is wrong.
        error: DecodeError,
    },
    /// The stream comes from another store than the one asked for.
    #[error("it comes from the store {found}, expected is {expected}")]
    OtherStore {
        /// The store asked for.
        expected: StoreId,
        /// The store in the stream.
        found: StoreId,
    },
    /// A transaction can't be read.
    #[error("the transaction behind {behind} is damaged: {error}")]
    Transaction {
        /// What came before.
        behind: Behind,
        /// What is wrong.
        error: LogError,
    },
    /// A transaction doesn't end where it must: in its frame, or after the announced length.
    #[error("the transaction behind {behind} has no end within its {length} bytes")]
    Unfinished {
        /// What came before.
        behind: Behind,
        /// Bytes in which it must end.
        length: usize,
    },
    /// A transaction ends before the announced length.
    #[error("the transaction behind {behind} has {found} bytes, {announced} are announced")]
    Length {
        /// What came before.
        behind: Behind,
        /// What is announced.
        announced: usize,
        /// Where it ends.
        found: usize,
    },
    /// A frame without payload, which makes no progress.
    #[error("an empty frame behind {behind}")]
    EmptyFrame {
        /// What came before.
        behind: Behind,
    },
}

/// A place in a stream: the last transaction before it, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind(pub Option<TransactionId>);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "transaction {id}"),
            None => f.write_str("the start of the stream"),
        }
    }
}

/// Reads a stream frame by frame.
///
/// The payloads of all frames, one behind the other:
///
/// | Offset | Size | Field                                                                 |
/// |-------:|-----:|-----------------------------------------------------------------------|
/// |      0 |   41 | presence byte 1 and the five values of the server's [`StoreId`]       |
/// |     41 |    4 | n, see below                                                          |
/// |     45 |      | a transaction, then the next n, and so on                             |
///
/// | n   | What follows                                                                     |
/// |----:|----------------------------------------------------------------------------------|
/// |   0 | nothing: the stream ends here, and so does the frame                             |
/// |  -1 | a transaction that ends in the same frame; where, only reading it tells          |
/// | > 0 | a transaction of n bytes, which may go on in further frames                      |
///
/// Neither the store id nor an n is ever split. A transaction is what [`wire`] reads. Whether its id is the one
/// expected is for the sink to say. Specification: protocol 4.5.
#[derive(Debug)]
pub struct TransactionStreamDecoder {
    expected_store: StoreId,
    state: State,
    /// The beginning of a transaction that goes on in the next frame; grows with what arrives.
    partial: Vec<u8>,
    last: Option<TransactionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store id comes.
    Start,
    /// A size comes.
    Between,
    /// A transaction of this many bytes has begun in an earlier frame.
    Inside(usize),
    Ended,
}

impl TransactionStreamDecoder {
    /// At the start of a stream that must come from `expected_store`.
    pub fn new(expected_store: StoreId) -> Self {
        Self { expected_store, state: State::Start, partial: Vec::new(), last: None }
    }

    /// The last transaction that was handed out.
    pub fn last(&self) -> Option<TransactionId> {
        self.last
    }

    /// Whether the end mark was read: the next frame is no part of the stream.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes the next transaction off the front of `frame`, what is left of a frame's payload, and hands it out with
    /// its bytes. `None`: the frame is used up; unless [`Self::is_ended`], the next one is needed.
    pub fn next<'d, 'f: 'd>(
        &'d mut self,
        frame: &mut &'f [u8],
    ) -> Result<Option<(WireTransaction, &'d [u8])>, StreamError> {
        if self.state == State::Start {
            self.store_id(frame)?;
        }
        let announced = match self.state {
            State::Inside(announced) => announced,
            _ if frame.is_empty() => return Ok(None),
            _ => match self.size(frame)? {
                END => return self.end(frame).map(|()| None),
                UNKNOWN_SIZE => return self.whole(frame).map(Some),
                size => self.announced(size)?,
            },
        };
        self.sized(announced, frame)
    }

    /// Checks a payload before its transactions are taken off.
    pub fn begin(&self, payload: &[u8]) -> Result<(), StreamError> {
        if payload.is_empty() { Err(StreamError::EmptyFrame { behind: self.behind() }) } else { Ok(()) }
    }

    fn behind(&self) -> Behind {
        Behind(self.last)
    }

    fn malformed(&self, error: DecodeError) -> StreamError {
        StreamError::Malformed { behind: self.behind(), error }
    }

    fn store_id(&mut self, frame: &mut &[u8]) -> Result<(), StreamError> {
        let mut reader = Reader::new(frame);
        let found = store_id(&mut reader).map_err(|error| self.malformed(error))?;
        let expected = self.expected_store;
        if found != expected {
            return Err(StreamError::OtherStore { expected, found });
        }
        *frame = frame.get(reader.offset()..).unwrap_or_default();
        self.state = State::Between;
        Ok(())
    }

    fn size(&mut self, frame: &mut &[u8]) -> Result<i32, StreamError> {
        let size =
            Reader::new(frame).i32("size of a transaction").map_err(|error| self.malformed(error.into()))?;
        *frame = frame.get(SIZE..).unwrap_or_default();
        Ok(size)
    }

    fn announced(&self, size: i32) -> Result<usize, StreamError> {
        usize::try_from(size).map_err(|_| {
            let (field, value, expected) = ("size of a transaction", i64::from(size), "-1 or more");
            self.malformed(DecodeError::Value { field, offset: 0, value, expected })
        })
    }

    fn end(&mut self, frame: &[u8]) -> Result<(), StreamError> {
        self.state = State::Ended;
        match frame.len() {
            0 => Ok(()),
            left => Err(self.malformed(DecodeError::Trailing { offset: SIZE, left })),
        }
    }

    /// A transaction that must end in `frame`.
    fn whole<'f>(&mut self, frame: &mut &'f [u8]) -> Result<(WireTransaction, &'f [u8]), StreamError> {
        let transaction = scan(frame, self.behind())?
            .ok_or(StreamError::Unfinished { behind: self.behind(), length: frame.len() })?;
        let (bytes, rest) = frame.split_at_checked(transaction.length).unwrap_or((frame, &[]));
        *frame = rest;
        self.last = Some(transaction.id);
        Ok((transaction, bytes))
    }

    /// A transaction of `announced` bytes, some of them perhaps in `partial` already.
    fn sized<'d, 'f: 'd>(
        &'d mut self,
        announced: usize,
        frame: &mut &'f [u8],
    ) -> Result<Option<(WireTransaction, &'d [u8])>, StreamError> {
        let behind = self.behind();
        let begun = matches!(self.state, State::Inside(_));
        if !begun {
            self.partial.clear();
        }
        let missing = announced - self.partial.len();
        let (taken, rest) = frame.split_at_checked(missing).unwrap_or((frame, &[]));
        *frame = rest;
        if taken.len() < missing {
            // A beginning that is none is refused before the rest is collected.
            if !begun && let Some(transaction) = scan(taken, behind)? {
                return Err(StreamError::Length { behind, announced, found: transaction.length });
            }
            self.partial.extend_from_slice(taken);
            self.state = State::Inside(announced);
            return Ok(None);
        }
        self.state = State::Between;
        let bytes = if begun {
            self.partial.extend_from_slice(taken);
            self.partial.as_slice()
        } else {
            taken
        };
        let transaction =
            scan(bytes, behind)?.ok_or(StreamError::Unfinished { behind, length: announced })?;
        if transaction.length != announced {
            return Err(StreamError::Length { behind, announced, found: transaction.length });
        }
        self.last = Some(transaction.id);
        Ok(Some((transaction, bytes)))
    }
}

fn scan(bytes: &[u8], behind: Behind) -> Result<Option<WireTransaction>, StreamError> {
    wire::scan(bytes).map_err(|error| StreamError::Transaction { behind, error })
}

/// Cuts transactions into frames, the reverse of [`TransactionStreamDecoder`].
///
/// A frame is sent when the next primitive value does not fit; byte arrays are split.
#[derive(Debug)]
pub struct TransactionStreamEncoder {
    buffer_size: usize,
    payload: BytesMut,
}

impl TransactionStreamEncoder {
    /// Longest payload that a server sends, in bytes.
    pub const BUFFER_SIZE: usize = 1 << 20;

    /// Longest primitive value, in bytes.
    const PRIMITIVE: usize = 8;

    /// At the start of a stream from `store_id`. `buffer_size`: longest payload, in bytes; it must hold the store id.
    pub fn new(store_id: &StoreId, buffer_size: usize) -> Self {
        let mut payload = BytesMut::new();
        put_store_id(&mut payload, store_id);
        Self { buffer_size: buffer_size.max(payload.len()), payload }
    }

    /// Adds a transaction, given as the values that it is made of: of at most 8 bytes each, or byte arrays. Frames that
    /// are full go to `out`.
    pub fn transaction(&mut self, values: &[&[u8]], out: &mut BytesMut) {
        let length: usize = values.iter().map(|value| value.len()).sum();
        self.make_room(SIZE, out);
        let fits = length <= self.room() - SIZE;
        self.payload.put_i32(if fits { UNKNOWN_SIZE } else { i32::try_from(length).unwrap_or(i32::MAX) });
        for value in values {
            let mut rest = *value;
            if rest.len() <= Self::PRIMITIVE {
                self.make_room(rest.len(), out);
            }
            while !rest.is_empty() {
                self.make_room(1, out);
                let (taken, left) = rest.split_at_checked(self.room()).unwrap_or((rest, &[]));
                self.payload.put_slice(taken);
                rest = left;
            }
        }
    }

    /// Adds the end mark; the last frame goes to `out`.
    pub fn end(mut self, out: &mut BytesMut) {
        self.make_room(SIZE, out);
        self.payload.put_i32(END);
        self.emit(out);
    }

    fn room(&self) -> usize {
        self.buffer_size - self.payload.len()
    }

    fn make_room(&mut self, wanted: usize, out: &mut BytesMut) {
        if self.room() < wanted {
            self.emit(out);
        }
    }

    fn emit(&mut self, out: &mut BytesMut) {
        frame::put(out, |out| out.put_slice(&self.payload));
        self.payload.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{STORE, hex};

    /// The worked transaction 43, value by value.
    const VALUES: [&str; 15] = [
        "04",
        "01",
        "00 00 01 76 bb 3f f7 1b",
        "00 00 00 00 00 00 00 2a",
        "0b ad f0 0d",
        "00 00 00 00",
        "04",
        "03",
        "11",
        "ff ff ff ff",
        "00 00 00 00 00 00 00 01",
        "04",
        "05",
        "00 00 00 00 00 00 00 2b",
        "00 00 01 76 bb 3f f7 68",
    ];

    fn transaction() -> Vec<u8> {
        hex(&VALUES.join(" "))
    }

    fn encode(buffer_size: usize, transactions: usize) -> BytesMut {
        let mut out = BytesMut::new();
        let mut encoder = TransactionStreamEncoder::new(&STORE, buffer_size);
        let values = VALUES.map(hex);
        for _ in 0..transactions {
            encoder.transaction(&values.each_ref().map(Vec::as_slice), &mut out);
        }
        encoder.end(&mut out);
        out
    }

    fn payloads(mut wire: &[u8]) -> Vec<&[u8]> {
        let mut payloads = Vec::new();
        while let Some((header, rest)) = wire.split_first_chunk::<4>() {
            let (payload, rest) = rest.split_at(u32::from_be_bytes(*header) as usize);
            payloads.push(payload);
            wire = rest;
        }
        payloads
    }

    fn decode(payloads: &[&[u8]]) -> Result<Vec<Vec<u8>>, StreamError> {
        let mut decoder = TransactionStreamDecoder::new(STORE);
        let mut transactions = Vec::new();
        for payload in payloads {
            assert!(!decoder.is_ended());
            decoder.begin(payload)?;
            let mut rest = *payload;
            while let Some((transaction, bytes)) = decoder.next(&mut rest)? {
                assert_eq!(transaction.length, bytes.len());
                assert_eq!(transaction.id, TransactionId(43));
                transactions.push(bytes.to_vec());
            }
        }
        assert!(decoder.is_ended());
        Ok(transactions)
    }

    #[test]
    fn the_worked_stream_is_read_and_written() {
        let wire = hex(
            "00 00 00 6c 01 00 00 01 76 bb 3e 70 00 11 22 33 44 55 66 77 88 30 2e 33 2e 34 46 53 07 00 00 01 76 bb
             3e 70 00 00 00 00 00 00 00 00 01 ff ff ff ff 04 01 00 00 01 76 bb 3f f7 1b 00 00 00 00 00 00 00 2a 0b
             ad f0 0d 00 00 00 00 04 03 11 ff ff ff ff 00 00 00 00 00 00 00 01 04 05 00 00 00 00 00 00 00 2b 00 00
             01 76 bb 3f f7 68 00 00 00 00",
        );
        assert_eq!(encode(TransactionStreamEncoder::BUFFER_SIZE, 1), wire.as_slice());
        assert_eq!(decode(&payloads(&wire)).unwrap(), [transaction()]);
    }

    #[test]
    fn the_worked_stream_in_two_frames_is_read_and_written() {
        let wire = hex(
            "00 00 00 4e 01 00 00 01 76 bb 3e 70 00 11 22 33 44 55 66 77 88 30 2e 33 2e 34 46 53 07 00 00 01 76 bb
             3e 70 00 00 00 00 00 00 00 00 01 00 00 00 3b 04 01 00 00 01 76 bb 3f f7 1b 00 00 00 00 00 00 00 2a 0b
             ad f0 0d 00 00 00 00 04 03 11 ff ff ff ff 00 00 00 1e 00 00 00 00 00 00 00 01 04 05 00 00 00 00 00 00
             00 2b 00 00 01 76 bb 3f f7 68 00 00 00 00",
        );
        assert_eq!(encode(80, 1), wire.as_slice());
        assert_eq!(decode(&payloads(&wire)).unwrap(), [transaction()]);
    }

    #[test]
    fn transactions_survive_frames_of_any_size() {
        for buffer_size in 41..=250 {
            let wire = encode(buffer_size, 5);
            let payloads = payloads(&wire);
            assert!(payloads.iter().all(|payload| payload.len() <= buffer_size));
            assert_eq!(decode(&payloads).unwrap(), vec![transaction(); 5], "{buffer_size}");
        }
    }

    #[test]
    fn the_end_mark_may_have_a_frame_of_its_own() {
        let wire = encode(41 + 4 + 59, 1);
        let payloads = payloads(&wire);
        assert_eq!(payloads.last(), Some(&&[0; 4][..]));
        assert_eq!(decode(&payloads).unwrap(), [transaction()]);
    }

    #[test]
    fn a_size_may_be_given_although_the_transaction_ends_in_its_frame() {
        let mut payload = BytesMut::new();
        put_store_id(&mut payload, &STORE);
        payload.put_i32(59);
        payload.put_slice(&transaction());
        payload.put_i32(0);
        assert_eq!(decode(&[&payload]).unwrap(), [transaction()]);
    }

    fn stream(behind_store_id: &[&[u8]]) -> Vec<u8> {
        let mut payload = BytesMut::new();
        put_store_id(&mut payload, &STORE);
        for part in behind_store_id {
            payload.put_slice(part);
        }
        payload.to_vec()
    }

    #[test]
    fn streams_that_make_no_sense_are_refused() {
        let transaction = &transaction()[..];
        for (payloads, text) in [
            (vec![stream(&[&[0xff; 4], &transaction[..58]])], "has no end within its 58 bytes"),
            (vec![stream(&[&[0, 0, 0, 58], transaction])], "has no end within its 58 bytes"),
            (vec![stream(&[&[0, 0, 0, 60], transaction, &[0]])], "has 59 bytes, 60 are announced"),
            (
                vec![stream(&[&[0x7f, 0xff, 0xff, 0xff], transaction])],
                "has 59 bytes, 2147483647 are announced",
            ),
            (vec![stream(&[&[0x7f, 0xff, 0xff, 0xff], &[9; 50]])], "is damaged"),
            (vec![stream(&[&[0xff, 0xff, 0xff, 0xfe]])], "size of a transaction at offset 0 is -2"),
            (vec![stream(&[&[0, 0, 0, 0, 9]])], "the message ends at offset 4, 1 bytes follow"),
            (vec![stream(&[&[0, 0, 0]])], "size of a transaction needs 4 bytes at offset 0, 3 are left"),
            (
                vec![stream(&[]), vec![6]],
                "behind the start of the stream: size of a transaction needs 4 bytes",
            ),
            (vec![stream(&[]), vec![]], "an empty frame behind the start of the stream"),
            (vec![stream(&[])[..40].to_vec()], "store id: upgrade transaction needs 8 bytes"),
        ] {
            let payloads: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
            let error = decode(&payloads).unwrap_err().to_string();
            assert!(error.contains(text), "{error:?} does not contain {text:?}");
        }
    }

    #[test]
    fn a_stream_from_another_store_is_refused() {
        let mut payload = BytesMut::new();
        put_store_id(&mut payload, &StoreId { upgrade_transaction: 7, ..STORE });
        let error = decode(&[&payload]).unwrap_err();
        assert!(matches!(error, StreamError::OtherStore { .. }), "{error}");
    }
}
