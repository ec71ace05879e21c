//! Reading of Lucene's files: numbers, texts, what every file begins and ends with.
//!
//! | Type    | Bytes |
//! |---------|-------|
//! | `i32`, `i64` | big-endian |
//! | `vint`  | 1 to 5, seven bits each, low ones first; bit 7: more follow |
//! | `vlong` | 1 to 9, likewise; never negative |
//! | text    | `vint` with the length in bytes, UTF-8 |

use std::fmt::Display;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::error::LuceneError;
use crate::io::disk::{Disk, DiskFile};

/// Bytes that are read at a time.
const BUFFER: usize = 64 << 10;
/// Bytes of a footer.
const FOOTER: u64 = 16;
/// Bytes of the checksum in it.
const CHECKSUM: u64 = 8;
/// What every file begins with.
const MAGIC: i32 = 0x3fd7_6c17;
/// What every footer begins with.
const FOOTER_MAGIC: i32 = !MAGIC;
/// Bytes of the id of a segment.
pub(super) const ID: usize = 16;

/// A file, or a part of a compound file that stands for one.
#[derive(Clone, Debug)]
pub(super) struct Part {
    file: Arc<dyn DiskFile>,
    start: u64,
    pub length: u64,
}

impl Part {
    /// A whole file.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, LuceneError> {
        let file = disk.open_to_read(path).map_err(|error| match error.source.kind() {
            ErrorKind::NotFound => LuceneError::missing(path, "such file"),
            _ => error.into(),
        })?;
        let file: Arc<dyn DiskFile> = Arc::from(file);
        let length = file.len()?;
        Ok(Self { file, start: 0, length })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// A part of this one; `None`: it is not within.
    pub fn part(&self, offset: u64, length: u64) -> Option<Self> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| Self {
            file: Arc::clone(&self.file),
            start: self.start + offset,
            length,
        })
    }

    /// Reading from the start on.
    pub fn input(&self) -> Input<'_> {
        Input { part: self, buffer: Vec::new(), from: 0, at: 0 }
    }

    /// Fills `buffer` from `offset` on.
    pub fn read_at(&self, field: &'static str, offset: u64, buffer: &mut [u8]) -> Result<(), LuceneError> {
        let within = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.length);
        if !within || self.file.read_at(self.start + offset, buffer)? < buffer.len() {
            return Err(self.short(field, offset));
        }
        Ok(())
    }

    pub fn short(&self, field: &'static str, offset: u64) -> LuceneError {
        let offset = self.start.saturating_add(offset);
        LuceneError::Short { path: self.path().to_owned(), offset, field }
    }

    /// A field that can't be; `offset` within this part.
    pub fn wrong(&self, field: &'static str, offset: u64, found: impl Display + Copy) -> LuceneError {
        LuceneError::Field {
            path: self.path().to_owned(),
            offset: self.start.saturating_add(offset),
            field,
            found: found.to_string(),
        }
    }

    /// Reads the checksum at the end.
    ///
    /// | From the end | Size | Field |
    /// |-------------:|-----:|-------|
    /// |           16 |    4 | `c02893e8` |
    /// |           12 |    4 | algorithm: 0 |
    /// |            8 |    8 | CRC-32 of all before |
    fn footer(&self) -> Result<u64, LuceneError> {
        let end = self.length.checked_sub(FOOTER).ok_or_else(|| self.short("footer", 0))?;
        let mut footer = self.input();
        footer.seek(end);
        let magic = footer.i32("start of the footer")?;
        if magic != FOOTER_MAGIC {
            return Err(footer.wrong("start of the footer", magic));
        }
        let algorithm = footer.i32("algorithm of the checksum")?;
        if algorithm != 0 {
            return Err(footer.wrong("algorithm of the checksum", algorithm));
        }
        let checksum = footer.i64("checksum")?;
        u32::try_from(checksum).map(u64::from).map_err(|_| footer.wrong("checksum", checksum))
    }

    /// Looks whether what every file begins and ends with is there.
    pub fn check_ends(&self) -> Result<(), LuceneError> {
        let mut input = self.input();
        let magic = input.i32("start of the header")?;
        if magic != MAGIC {
            return Err(input.wrong("start of the header", magic));
        }
        self.footer().map(|_| ())
    }

    /// Compares the checksum at the end with that of the bytes before it.
    pub fn verify(&self) -> Result<(), LuceneError> {
        let expected = self.footer()?;
        let mut sum = flate2::Crc::new();
        let mut buffer = vec![0; BUFFER];
        let mut at = 0;
        let covered = self.length - CHECKSUM;
        while at < covered {
            let count = usize::try_from(covered - at).unwrap_or(BUFFER).min(BUFFER);
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            self.read_at("content", at, chunk)?;
            sum.update(chunk);
            at += count as u64;
        }
        let found = u64::from(sum.sum());
        if found != expected {
            return Err(LuceneError::Checksum { path: self.path().to_owned(), expected, found });
        }
        Ok(())
    }
}

/// A place in a [`Part`].
#[derive(Debug)]
pub(super) struct Input<'a> {
    part: &'a Part,
    buffer: Vec<u8>,
    /// Where the buffer begins.
    from: u64,
    /// Where in the buffer reading is.
    at: usize,
}

impl Input<'_> {
    /// Where reading is, in bytes from the start of the part.
    pub fn position(&self) -> u64 {
        self.from + self.at as u64
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.part.length.saturating_sub(self.position())
    }

    /// Goes on reading elsewhere; it may be behind the end.
    pub fn seek(&mut self, position: u64) {
        let within = position.checked_sub(self.from).and_then(|at| usize::try_from(at).ok());
        if let Some(at) = within.filter(|&at| at <= self.buffer.len()) {
            self.at = at;
        } else {
            self.buffer.clear();
            self.from = position;
            self.at = 0;
        }
    }

    pub fn skip(&mut self, field: &'static str, count: u64) -> Result<(), LuceneError> {
        if count > self.left() {
            return Err(self.short(field));
        }
        self.seek(self.position() + count);
        Ok(())
    }

    fn short(&self, field: &'static str) -> LuceneError {
        self.part.short(field, self.position())
    }

    /// A field just read that can't be.
    pub fn wrong(&self, field: &'static str, found: impl Display + Copy) -> LuceneError {
        self.part.wrong(field, self.position(), found)
    }

    #[cold]
    fn fill(&mut self, field: &'static str) -> Result<(), LuceneError> {
        let position = self.position();
        let count = usize::try_from(self.left()).unwrap_or(BUFFER).min(BUFFER);
        if count == 0 {
            return Err(self.short(field));
        }
        self.buffer.resize(count, 0);
        (self.from, self.at) = (position, 0);
        self.part.read_at(field, position, &mut self.buffer)
    }

    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, LuceneError> {
        loop {
            if let Some(byte) = self.buffer.get(self.at) {
                self.at += 1;
                return Ok(*byte);
            }
            self.fill(field)?;
        }
    }

    /// Fills `bytes`.
    pub fn exact(&mut self, field: &'static str, bytes: &mut [u8]) -> Result<(), LuceneError> {
        if let Some(there) = self.buffer.get(self.at..self.at + bytes.len()) {
            bytes.copy_from_slice(there);
            self.at += bytes.len();
            return Ok(());
        }
        let position = self.position();
        if bytes.len() as u64 > self.left() {
            return Err(self.short(field));
        }
        if bytes.len() <= BUFFER / 2 {
            self.fill(field)?;
            return self.exact(field, bytes);
        }
        self.part.read_at(field, position, bytes)?;
        self.seek(position + bytes.len() as u64);
        Ok(())
    }

    /// Reads `count` bytes in place of what `bytes` has.
    pub fn bytes(&mut self, field: &'static str, count: u64, bytes: &mut Vec<u8>) -> Result<(), LuceneError> {
        let length = usize::try_from(count).ok().filter(|_| count <= self.left());
        let Some(length) = length else { return Err(self.short(field)) };
        bytes.clear();
        bytes.resize(length, 0);
        self.exact(field, bytes)
    }

    pub fn i32(&mut self, field: &'static str) -> Result<i32, LuceneError> {
        let mut bytes = [0; 4];
        self.exact(field, &mut bytes)?;
        Ok(i32::from_be_bytes(bytes))
    }

    pub fn i64(&mut self, field: &'static str) -> Result<i64, LuceneError> {
        let mut bytes = [0; 8];
        self.exact(field, &mut bytes)?;
        Ok(i64::from_be_bytes(bytes))
    }

    /// A position or a length.
    pub fn offset(&mut self, field: &'static str) -> Result<u64, LuceneError> {
        let value = self.i64(field)?;
        u64::try_from(value).map_err(|_| self.wrong(field, value))
    }

    /// A `vint` that is not negative.
    #[inline]
    pub fn vint(&mut self, field: &'static str) -> Result<u32, LuceneError> {
        let mut value = 0_u64;
        for shift in (0..5).map(|byte| 7 * byte) {
            let byte = self.u8(field)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value)
                    .ok()
                    .filter(|value| i32::try_from(*value).is_ok())
                    .ok_or_else(|| self.wrong(field, value));
            }
        }
        Err(self.wrong(field, "longer than five bytes"))
    }

    #[inline]
    pub fn vlong(&mut self, field: &'static str) -> Result<u64, LuceneError> {
        let mut value = 0_u64;
        for shift in (0..9).map(|byte| 7 * byte) {
            let byte = self.u8(field)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.wrong(field, "longer than nine bytes"))
    }

    pub fn text(&mut self, field: &'static str) -> Result<String, LuceneError> {
        let length = self.vint(field)?;
        let mut bytes = Vec::new();
        self.bytes(field, length.into(), &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.wrong(field, "not a text"))
    }

    /// Pairs of texts.
    pub fn map(&mut self, field: &'static str) -> Result<Vec<(String, String)>, LuceneError> {
        let count = self.vint(field)?;
        // Each takes a byte or more, so what is left bounds them.
        let mut map = Vec::new();
        for _ in 0..count {
            map.push((self.text(field)?, self.text(field)?));
        }
        Ok(map)
    }

    /// Texts.
    pub fn set(&mut self, field: &'static str) -> Result<Vec<String>, LuceneError> {
        let count = self.vint(field)?;
        let mut set = Vec::new();
        for _ in 0..count {
            set.push(self.text(field)?);
        }
        Ok(set)
    }

    /// | Size | Field |
    /// |-----:|-------|
    /// |    4 | `3fd76c17` |
    /// | text | name of the layout |
    /// |    4 | its version |
    ///
    /// Returns the version.
    pub fn plain_header(
        &mut self,
        layout: &'static str,
        versions: RangeInclusive<i32>,
    ) -> Result<i32, LuceneError> {
        let magic = self.i32("start of the header")?;
        if magic != MAGIC {
            return Err(self.wrong("start of the header", magic));
        }
        let name = self.text("name of the layout")?;
        if name != layout {
            return Err(LuceneError::unknown(self.part.path(), "the layout", &name));
        }
        let version = self.i32("version of the layout")?;
        if !versions.contains(&version) {
            return Err(LuceneError::unknown(self.part.path(), layout, version));
        }
        Ok(version)
    }

    /// | Size | Field |
    /// |-----:|-------|
    /// |      | as in [`Self::plain_header`] |
    /// |   16 | id of the segment, which all of its files have |
    /// | 1, n | length of a suffix, and the suffix, which the name of the file has, too |
    pub fn header(
        &mut self,
        layout: &'static str,
        versions: RangeInclusive<i32>,
        id: &[u8; ID],
        suffix: &str,
    ) -> Result<i32, LuceneError> {
        let version = self.plain_header(layout, versions)?;
        let mut found = [0; ID];
        self.exact("id of the segment", &mut found)?;
        if found != *id {
            return Err(self.wrong("id of the segment", format_args!("{:032x}", u128::from_be_bytes(found))));
        }
        self.suffix(suffix)?;
        Ok(version)
    }

    /// The last part of a header.
    pub fn suffix(&mut self, suffix: &str) -> Result<(), LuceneError> {
        let mut found = vec![0; self.u8("length of the suffix")?.into()];
        self.exact("suffix", &mut found)?;
        if found != suffix.as_bytes() {
            return Err(self.wrong("suffix", &String::from_utf8_lossy(&found)));
        }
        Ok(())
    }
}
