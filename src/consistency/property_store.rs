//! One pass over the property store: which records can be the first of an entity's properties.

use super::beyond::owners::{Owned, Owners, long_value};
use super::blocks::Blocks;
use super::context::Context;
use super::dynamic_store::{Bits, DynamicValues};
use super::error::CheckError;
use super::fingerprint::{Claim, Mixer};
use super::raw::{NONE, RawProperty, RawReader};
use super::scan::scan;
use super::tokens::TokenSet;
use crate::store::error::StoreError;
use crate::store::value::block::{Block, Content, Kind};

/// What the pass found.
#[derive(Debug)]
pub(super) struct PropertyHeads {
    /// Records in use without a previous one, of whose chains all keys are those of users, each once.
    heads: Bits,
    /// Whether the properties that begin with one of them can be read to their end and are right.
    pub sound: bool,
    /// Whether all records lead back to each other.
    pub links: bool,
    /// Each head, and each long value that is referred to.
    pub owners: Owners,
}

/// The state of a thread.
struct Pass<'a> {
    sum: u128,
    sound: bool,
    owners: Owners,
    reader: RawReader<'a, RawProperty>,
    keys: Vec<u32>,
}

/// Passes over all property records.
///
/// A link is claimed by both of its ends. When both sides are equal, a walk that begins with a head can neither meet a
/// record that is not in use, nor go round, nor come from two sides. Specification: consistency check 6.5, F3.
pub(super) fn verify(
    context: &Context<'_>,
    strings: &DynamicValues,
    arrays: &DynamicValues,
    mixer: Mixer,
) -> Result<PropertyHeads, CheckError> {
    let slots = context.stores.properties.slots();
    // Records behind the high id are read through pointers, too.
    let high = slots.file().pages().saturating_mul(slots.per_page());
    let heads = Bits::new(high);
    let begin = || Pass {
        sum: 0,
        sound: true,
        owners: Owners::new(mixer),
        reader: context.properties(),
        keys: Vec::new(),
    };
    let passes = scan(
        slots,
        high,
        context.threads,
        begin,
        |pass, chunk, units| {
            chunk.records(units, |record: RawProperty| {
                if !record.used {
                    return Ok(());
                }
                let id = record.id as u64;
                if record.next != NONE {
                    pass.sum =
                        pass.sum.wrapping_sub(mixer.hash(Claim::PropertyLink, id, record.next as u64, 0));
                }
                if record.previous != NONE {
                    pass.sum =
                        pass.sum.wrapping_add(mixer.hash(Claim::PropertyLink, record.previous as u64, id, 0));
                }
                let whole = pass.blocks(&record, (strings, arrays), context.plan.extra);
                if record.previous == NONE {
                    if context.plan.extra {
                        pass.owners.begins(Owned::Properties, record.id);
                    }
                    if whole && pass.keys_are_sound(record.next, &context.keys)? {
                        heads.set(id);
                    }
                }
                Ok(())
            })
        },
        |pass| (pass.sum, pass.sound, pass.owners),
    )?;
    let sum = passes.iter().fold(0_u128, |sum, (part, ..)| sum.wrapping_add(*part));
    let sound = sum == 0 && passes.iter().all(|(_, sound, _)| *sound);
    let mut owners = Owners::new(mixer);
    for (.., part) in &passes {
        owners.merge(part);
    }
    Ok(PropertyHeads { heads, sound, links: sum == 0, owners })
}

/// Whether the value of a property can be read; nothing is made of it that needs memory.
fn is_sound(block: &Block<'_>, strings: &DynamicValues, arrays: &DynamicValues) -> bool {
    match block.kind {
        // All bits are a value.
        Kind::Bool
        | Kind::Byte
        | Kind::Short
        | Kind::Char
        | Kind::Int
        | Kind::Long
        | Kind::Float
        | Kind::Double
        | Kind::ShortString => true,
        // Bits 28 to 31 are the type of the elements.
        Kind::ShortArray => block.words.first().is_some_and(|word| matches!(word >> 28 & 0x0f, 1..=8)),
        Kind::String | Kind::Array | Kind::Geometry | Kind::Temporal => match block.content() {
            Ok(Content::Value(_)) => true,
            Ok(Content::String(first)) => strings.firsts.has(first.0),
            Ok(Content::Array(first)) => arrays.firsts.has(first.0),
            Err(_) => false,
        },
    }
}

/// Records of a chain that are looked at for their keys; a longer one is walked by the explaining pass.
const MOST_RECORDS: usize = 4096;

impl Pass<'_> {
    /// Looks at the properties of a record and keeps their keys; `false`: they can't be told apart.
    #[inline]
    fn blocks(
        &mut self,
        record: &RawProperty,
        (strings, arrays): (&DynamicValues, &DynamicValues),
        extra: bool,
    ) -> bool {
        self.keys.clear();
        for block in Blocks::of(&record.words) {
            let Ok(block) = block else {
                self.sound = false;
                return false;
            };
            self.sound &= is_sound(&block, strings, arrays);
            if extra && let Some((owned, first)) = long_value(&block) {
                self.owners.refers(owned, first);
            }
            self.keys.push(block.key.0);
        }
        true
    }

    /// Whether the keys of a head and of the records behind it are all those of users, each once.
    fn keys_are_sound(&mut self, mut next: i64, keys: &TokenSet) -> Result<bool, StoreError> {
        for _ in 0..MOST_RECORDS {
            if next == NONE {
                let public = self.keys.iter().all(|&key| keys.is_public(key.into()));
                return Ok(public && are_different(&mut self.keys));
            }
            let record = self.reader.get(next)?;
            for block in Blocks::of(&record.words) {
                let Ok(block) = block else { return Ok(false) };
                self.keys.push(block.key.0);
            }
            next = record.next;
        }
        Ok(false)
    }
}

/// Keys up to which comparing each with each is quicker than sorting.
const FEW: usize = 12;

fn are_different(keys: &mut [u32]) -> bool {
    if keys.len() > FEW {
        keys.sort_unstable();
        return keys.windows(2).all(|pair| matches!(pair, [a, b] if a != b));
    }
    (1..keys.len()).all(|index| {
        let (before, rest) = keys.split_at(index);
        rest.first().is_none_or(|key| !before.contains(key))
    })
}

impl PropertyHeads {
    /// Whether an entity may have the properties that begin with this record, as far as the pass can tell.
    #[inline]
    pub fn may_begin(&self, id: i64) -> bool {
        id == NONE || u64::try_from(id).is_ok_and(|id| self.heads.has(id))
    }
}
