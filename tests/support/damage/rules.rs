//! Damage of schema rules and of values: what stands in the words of property records.

use std::fmt::Write;
use std::path::Path;

use super::{Files, place};
use crate::support::random::Random;

const SCHEMA: &str = "neostore.schemastore.db";
const PROPERTIES: &str = "neostore.propertystore.db";
/// Bytes of a property record, and where its four words begin.
const SIZE: usize = 41;
const WORDS: usize = 9;

/// The property records of each rule that is in use. A rule is a record of eight bytes: two flags and its first property.
fn rules(files: &Files, aligned: bool) -> Vec<(usize, Vec<usize>)> {
    let (schema, properties) = (&files[Path::new(SCHEMA)], &files[Path::new(PROPERTIES)]);
    let mut rules = Vec::new();
    for record in 1..schema.len() / 8 {
        let at = place(record, 8, aligned);
        let Some(&[flags, .., b0, b1, b2, b3]) = schema.get(at..at + 8) else { continue };
        if flags & 3 != 3 {
            continue;
        }
        let mut chain = Vec::new();
        let mut next = u32::from_be_bytes([b0, b1, b2, b3]);
        while next != u32::MAX && chain.len() < 32 {
            chain.push(next as usize);
            let at = place(next as usize, SIZE, aligned);
            let Some(field) = properties.get(at + 5..).and_then(|rest| rest.first_chunk()) else { break };
            next = u32::from_be_bytes(*field);
        }
        rules.push((record, chain));
    }
    rules
}

/// Changes schema records and the properties of rules, in one to three places.
pub fn damage(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let rules = rules(files, aligned);
    let mut done = String::from("rules");
    for _ in 0..random.within(1..4) {
        let Some((rule, chain)) = rules.get(random.below(rules.len())) else { return "nothing".to_owned() };
        let (other, other_chain) = &rules[random.below(rules.len())];
        let _ = write!(done, " {rule}");
        let at = place(*rule, 8, aligned);
        if random.once_in(5) {
            let schema = files.get_mut(Path::new(SCHEMA)).expect("rules");
            match random.below(4) {
                0 => schema[at] ^= 1,
                1 => schema[at] ^= 2,
                2 => schema[at + 7] ^= 1 << random.below(8),
                _ => {
                    let other = place(*other, 8, aligned);
                    schema.copy_within(other..other + 8, at);
                }
            }
            continue;
        }
        let properties = files.get_mut(Path::new(PROPERTIES)).expect("properties");
        let record = place(chain[random.below(chain.len())], SIZE, aligned);
        let other = place(other_chain[random.below(other_chain.len())], SIZE, aligned);
        match random.below(8) {
            // Another property, of another rule or of this one.
            0 => properties.copy_within(other + WORDS..other + SIZE, record + WORDS),
            1 => properties.copy_within(other..other + SIZE, record),
            2 => {
                let (from, to) = (WORDS + 8 * random.below(4), WORDS + 8 * random.below(4));
                // The key: the lowest 24 bits.
                properties.copy_within(other + from + 5..other + from + 8, record + to + 5);
            }
            3 => properties[record + random.below(WORDS)] ^= 1 << random.below(8),
            _ => change_word(&mut properties[record + WORDS..record + SIZE], random),
        }
    }
    done
}

/// Changes values that have rules of their own: texts, arrays, points and temporal values.
pub fn values(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let properties = files.get_mut(Path::new(PROPERTIES)).expect("properties");
    let count = properties.len() / SIZE;
    let mut done = String::from("values");
    for _ in 0..random.within(1..4) {
        let mut record = random.below(count);
        let wanted = [0x9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xd, 0xe][random.below(8)];
        for _ in 0..2000 {
            let at = place(record, SIZE, aligned) + WORDS;
            // Bits 24 to 27 of a first word are the type.
            if properties.get(at + 4).is_some_and(|byte| byte & 0x0f == wanted) {
                break;
            }
            record = random.below(count);
        }
        let at = place(record, SIZE, aligned);
        if let Some(words) = properties.get_mut(at + WORDS..at + SIZE) {
            if random.once_in(3) {
                // Another payload and what else there is: years, lengths and coordinates of any size.
                (0..4).chain(8..words.len()).for_each(|at| words[at] = random.next() as u8);
            } else {
                change_word(words, random);
            }
            let _ = write!(done, " {record}");
        }
    }
    done
}

/// Changes one of the words of a property record: payload, type, or what continues a value.
fn change_word(words: &mut [u8], random: &mut Random) {
    let at = 8 * if random.once_in(2) { 0 } else { random.below(words.len() / 8) };
    let word = &mut words[at..at + 8];
    let number = u64::from_be_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
    let new = match random.below(12) {
        // Where subtypes, encodings, lengths and widths stand.
        0..5 => number ^ 1 << random.within(28..46),
        5 => number ^ 1 << random.within(46..64),
        6 => number ^ 1 << random.within(24..28),
        7 => number ^ 1 << random.below(24),
        8 => number.wrapping_add(1 << [28, 29, 33, 39, 44][random.below(5)]),
        9 => number & 0xffff_ffff,
        10 => [0, u64::MAX, 1 << 63, u64::MAX >> 1][random.below(4)],
        _ => random.next(),
    };
    word.copy_from_slice(&new.to_be_bytes());
}
