//! Texts that fit into a property record.

use super::bits;
use crate::store::error::Malformed;

/// | Bits  | Field                                                        |
/// |------:|--------------------------------------------------------------|
/// | 28-32 | encoding                                                     |
/// | 33-38 | length: characters, or bytes in encoding 0                   |
/// | 39-   | characters of a fixed width, the first one lowest            |
///
/// Specification: store format 6.2.
const ENCODING: usize = 28;
const LENGTH: usize = 33;
const CHARACTERS: usize = 39;

/// The encoding of UTF-8 bytes; its length counts bytes.
const UTF8: u64 = 0;

const NUMERICAL: &[u8] = b"0123456789 .-+,'";
const DATE: &[u8] = b"0123456789 -:/+,";
const UPPER: &[u8] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/";
const LOWER: &[u8] = b" abcdefghijklmnopqrstuvwxyz_.-:/";
const EMAIL: &[u8] = b",abcdefghijklmnopqrstuvwxyz_.-+@";
/// A zero stands for a code of no character.
const URI: &[u8] = b" abcdefghijklmnopqrstuvwxyz\x00\x00\x00\x00\x000123456789_.-:/+,'@|;*?&%#()$<>=";
const ALPHANUM: &[u8] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ01234_abcdefghijklmnopqrstuvwxyz56789";
const ALPHASYM: &[u8] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/;abcdefghijklmnopqrstuvwxyz+,'@|";
/// The upper half of Latin-1 letters; multiplication and division sign make room for a dot and a dash. The codes from
/// 64 on are those of [`ALPHANUM`].
const EUROPEAN: &[u8] = b"\
    \xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xcb\xcc\xcd\xce\xcf\xd0\xd1\xd2\xd3\xd4\xd5\xd6.\xd8\xd9\xda\xdb\xdc\xdd\xde\xdf\
    \xe0\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xeb\xec\xed\xee\xef\xf0\xf1\xf2\xf3\xf4\xf5\xf6-\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff\
    \x20ABCDEFGHIJKLMNOPQRSTUVWXYZ01234_abcdefghijklmnopqrstuvwxyz56789";
const LOWERHEX: &[u8] = b"0123456789abcdef";
const UPPERHEX: &[u8] = b"0123456789ABCDEF";

/// Bits of a character and the characters of the codes; no table: the code is the character or byte.
fn encoding(number: u64) -> Result<(usize, Option<&'static [u8]>), Malformed> {
    Ok(match number {
        UTF8 | 10 => (8, None),
        1 => (4, Some(NUMERICAL)),
        2 => (4, Some(DATE)),
        3 => (5, Some(UPPER)),
        4 => (5, Some(LOWER)),
        5 => (5, Some(EMAIL)),
        6 => (6, Some(URI)),
        7 => (6, Some(ALPHANUM)),
        8 => (6, Some(ALPHASYM)),
        9 => (7, Some(EUROPEAN)),
        11 => (4, Some(LOWERHEX)),
        12 => (4, Some(UPPERHEX)),
        _ => return Err(Malformed::ValuePart { what: "string encoding", value: number as i64 }),
    })
}

fn length(words: &[u64]) -> usize {
    bits::of_words(words, LENGTH, 6) as usize
}

/// Words of a text whose first word is this.
pub(super) fn words(first: u64) -> Result<usize, Malformed> {
    let (width, _) = encoding(bits::of_words(&[first], ENCODING, 5))?;
    Ok((CHARACTERS + length(&[first]) * width - 1) / 64 + 1)
}

/// The text of all its words.
pub(super) fn decode(words: &[u64]) -> Result<String, Malformed> {
    let number = bits::of_words(words, ENCODING, 5);
    let (width, table) = encoding(number)?;
    let codes =
        (0..length(words)).map(|index| bits::of_words(words, CHARACTERS + index * width, width) as u8);
    Ok(match table {
        Some(table) => codes
            .map(|code| match table.get(usize::from(code)) {
                None | Some(0) => char::REPLACEMENT_CHARACTER,
                Some(&character) => char::from(character),
            })
            .collect(),
        None if number == UTF8 => String::from_utf8_lossy(&codes.collect::<Vec<u8>>()).into_owned(),
        None => codes.map(char::from).collect(),
    })
}
