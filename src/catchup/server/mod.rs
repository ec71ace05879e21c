//! The other side of each request, over a [`Source`].

mod source;

pub use self::source::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
