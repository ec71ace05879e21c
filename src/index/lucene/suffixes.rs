//! How the bytes of terms are compressed.

use super::error::LuceneError;
use super::input::Input;

/// Most bytes of a block of terms. A term has 32,766 at most, and a block seldom more than 48 terms.
const MOST: usize = 16 << 20;

/// Reads `length` bytes as they were before compression, in place of what `bytes` has.
pub(super) fn read(
    input: &mut Input<'_>,
    compression: u8,
    length: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), LuceneError> {
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MOST) else {
        return Err(input.wrong("bytes of a block", length));
    };
    match compression {
        0 => input.bytes("suffixes", length as u64, bytes),
        1 => lower_case(input, length, bytes),
        2 => lz4(input, length, bytes),
        _ => Err(input.wrong("compression of suffixes", compression)),
    }
}

/// Bytes that are mostly digits, small letters and a few signs, `1f` to `3e` and `5f` to `7e`, four in three.
///
/// | Size | Field |
/// |-----:|-------|
/// | n - n/4 | the first bytes: six bits each; bits 6 and 7 of each third have two bits of one of the last n/4 |
/// | vint | bytes that are others |
/// |    2 | each: steps from the one before, the byte |
fn lower_case(input: &mut Input<'_>, length: usize, bytes: &mut Vec<u8>) -> Result<(), LuceneError> {
    let saved = length / 4;
    let kept = length - saved;
    input.bytes("suffixes", kept as u64, bytes)?;
    for at in 0..saved {
        let high = |third: usize| bytes.get(at + third * saved).copied().unwrap_or_default() & 0xc0;
        let byte = high(0) >> 2 | high(1) >> 4 | high(2) >> 6;
        bytes.push(byte);
    }
    for byte in bytes.iter_mut() {
        *byte = (*byte & 0x1f | 0x20 | (*byte & 0x20) << 1).wrapping_sub(1);
    }
    let mut at = 0_usize;
    for _ in 0..input.vint("other bytes")? {
        at += usize::from(input.u8("steps to another byte")?);
        let byte = input.u8("another byte")?;
        let Some(place) = bytes.get_mut(at) else { return Err(input.wrong("place of another byte", at)) };
        *place = byte;
    }
    Ok(())
}

/// Shortest repetition.
const SHORTEST: usize = 4;

/// The block format of LZ4.
///
/// | Size | Field |
/// |-----:|-------|
/// |    1 | bits 4-7 literals, bits 0-3 length of the repetition - 4; 15: more bytes follow |
/// | 1 .. | added to the literals, 255: one more follows |
/// |      | the literals |
/// |    2 | how far back the repetition begins, little-endian; nothing more, if the block is complete |
/// | 1 .. | added to the repetition, likewise |
fn lz4(input: &mut Input<'_>, length: usize, bytes: &mut Vec<u8>) -> Result<(), LuceneError> {
    bytes.clear();
    let mut literals = Vec::new();
    while bytes.len() < length {
        let token = input.u8("token")?;
        let count = extended(input, usize::from(token >> 4), length - bytes.len())?;
        input.bytes("literals", count as u64, &mut literals)?;
        bytes.extend_from_slice(&literals);
        if bytes.len() >= length {
            break;
        }
        let back = usize::from(input.u8("distance")?) | usize::from(input.u8("distance")?) << 8;
        let most = (length - bytes.len()).saturating_sub(SHORTEST);
        let count = extended(input, usize::from(token & 0xf), most)? + SHORTEST;
        let Some(start) = bytes.len().checked_sub(back).filter(|_| back > 0) else {
            return Err(input.wrong("distance", back));
        };
        // What is repeated may begin with what is only just written.
        for at in start..start + count {
            let byte = bytes.get(at).copied().unwrap_or_default();
            bytes.push(byte);
        }
    }
    if bytes.len() > length {
        return Err(input.wrong("length of a block", bytes.len()));
    }
    Ok(())
}

fn extended(input: &mut Input<'_>, mut count: usize, most: usize) -> Result<usize, LuceneError> {
    if count == 15 {
        loop {
            let byte = input.u8("length")?;
            count += usize::from(byte);
            if byte < 255 || count > most {
                break;
            }
        }
    }
    if count > most {
        return Err(input.wrong("length", count));
    }
    Ok(count)
}
