//! Big-endian reading of input that may be hostile: every read is checked, every error tells the offset.

/// Input ended before a field was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} needs {wanted} bytes at offset {offset}, {left} are left")]
pub struct OutOfBytes {
    /// Name of the field, as the specification calls it.
    pub field: &'static str,
    /// Where the field starts, in bytes from the start of the input.
    pub offset: usize,
    /// Bytes that the field needs.
    pub wanted: usize,
    /// Bytes that were there.
    pub left: usize,
}

/// A cursor over big-endian input.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// What is left, so that a read compares once: logs of gigabytes go through here.
    rest: &'a [u8],
    /// Bytes of the whole input.
    length: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `input`.
    #[inline]
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input, length: input.len() }
    }

    /// Bytes consumed so far.
    #[inline]
    pub fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Bytes not yet consumed.
    #[inline]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `wanted` bytes.
    #[inline]
    pub fn bytes(&mut self, field: &'static str, wanted: usize) -> Result<&'a [u8], OutOfBytes> {
        let Some((taken, rest)) = self.rest.split_at_checked(wanted) else {
            return Err(self.too_short(field, wanted));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], OutOfBytes> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.too_short(field, N));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[cold]
    fn too_short(&self, field: &'static str, wanted: usize) -> OutOfBytes {
        OutOfBytes { field, offset: self.offset(), wanted, left: self.left() }
    }

    /// An unsigned byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, OutOfBytes> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// A big-endian `u16`.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, OutOfBytes> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// A big-endian `i32`.
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32, OutOfBytes> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// A big-endian `i64`.
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64, OutOfBytes> {
        self.array(field).map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_input_is_named_with_field_and_offset() {
        let mut reader = Reader::new(&[0, 0, 0, 7, 1]);
        assert_eq!(reader.i32("length"), Ok(7));
        assert_eq!(
            reader.i64("transaction id"),
            Err(OutOfBytes { field: "transaction id", offset: 4, wanted: 8, left: 1 })
        );
        assert_eq!(reader.bytes("rest", usize::MAX).map_err(|e| e.wanted), Err(usize::MAX));
        assert_eq!(reader.u8("last"), Ok(1));
        assert_eq!(reader.left(), 0);
    }
}
