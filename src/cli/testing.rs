//! Streams that tests can read.

use std::io;
use std::sync::{Arc, Mutex};

use super::streams::{Stream, Streams};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What was written to streams made by [`captured`].
pub(super) struct Output {
    out: Buffer,
    err: Buffer,
}

impl Output {
    pub(super) fn out(&self) -> String {
        self.out.text()
    }

    pub(super) fn err(&self) -> String {
        self.err.text()
    }
}

pub(super) fn captured() -> (Streams, Output) {
    let output = Output { out: Buffer::default(), err: Buffer::default() };
    let streams = Streams { out: Stream::new(output.out.clone()), err: Stream::new(output.err.clone()) };
    (streams, output)
}
