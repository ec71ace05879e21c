//! Streams of a run that a test can read.

use std::io;
use std::sync::{Arc, Mutex};

use neo4j_admin::cli::streams::{Stream, Streams};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was written to the streams made with it.
#[derive(Default)]
pub struct Output {
    out: Buffer,
    err: Buffer,
}

impl Output {
    pub fn streams(&self) -> Streams {
        Streams { out: Stream::new(self.out.clone()), err: Stream::new(self.err.clone()) }
    }

    pub fn out(&self) -> String {
        text(&self.out)
    }

    pub fn err(&self) -> String {
        text(&self.err)
    }
}

fn text(buffer: &Buffer) -> String {
    String::from_utf8(buffer.0.lock().expect("no writer panics").clone()).expect("UTF-8")
}
