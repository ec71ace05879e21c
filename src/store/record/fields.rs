//! Cursors over slots. The callers pass arrays of a known size, so the compiler drops every check in here.

/// A bit, or none.
pub(super) fn flag(bit: u8, is_set: bool) -> u8 {
    if is_set { bit } else { 0 }
}

/// Reads the fields of a slot from left to right.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(slot: &'a [u8]) -> Self {
        Self(slot)
    }

    /// The next bytes; zeros behind the end.
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *field
    }

    pub(super) fn u8(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Writes the fields of a slot from left to right; bytes that are not written keep their content.
pub struct FieldsMut<'a>(&'a mut [u8]);

impl<'a> FieldsMut<'a> {
    pub(super) fn new(slot: &'a mut [u8]) -> Self {
        Self(slot)
    }

    /// Writes what fits.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let slot = std::mem::take(&mut self.0);
        let (field, rest) = slot.split_at_mut(bytes.len().min(slot.len()));
        field.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.0 = rest;
    }

    /// Leaves bytes as they are.
    pub(super) fn skip(&mut self, count: usize) {
        let slot = std::mem::take(&mut self.0);
        self.0 = slot.get_mut(count..).unwrap_or_default();
    }

    /// Bytes not written yet.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }
}
