//! Keys of internal nodes: shorter than the keys that they part.

use std::cmp::Ordering;

use super::slot::{ArrayHead, CRS_SIZE, Elements, KeyKind, Scalar, SlotType, ValueType, split_slot};

/// The entity of a separator between different values.
const NO_ENTITY: i64 = -1;

/// Writes a key `k` with `left < k <= right`, the one that Neo4j would write; all of `right` if one of the two is no key.
///
/// Slots up to the first that differs are those of `right`. From there on a text keeps one byte more than tells it from
/// the left one, also in the middle of a character, an array keeps the elements up to the first that differs. The entity
/// is -1 if the values differ. Specification: indexes 3.5, 4.
pub(super) fn write(keys: KeyKind, slots: usize, left: &[u8], right: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if cut(keys, slots, left, right, out).is_none() {
        out.truncate(start);
        out.extend_from_slice(right);
    }
}

fn cut(keys: KeyKind, slots: usize, left: &[u8], right: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (_, mut left) = left.split_first_chunk::<8>()?;
    let (entity, mut right) = right.split_first_chunk::<8>()?;
    let start = out.len();
    out.extend_from_slice(entity);
    let mut differ = false;
    for _ in 0..slots {
        let (left_slot, right_slot);
        (left_slot, left) = split_slot(keys, left)?;
        (right_slot, right) = split_slot(keys, right)?;
        differ = differ || compare_slots(keys, left_slot, right_slot) != Ordering::Equal;
        if differ && keys != KeyKind::Point {
            cut_slot(keys, left_slot, right_slot, out)?;
        } else {
            out.extend_from_slice(right_slot);
        }
    }
    // A damaged key may have an entity that is less.
    if differ && i64::from_be_bytes(*entity) > NO_ENTITY {
        out.get_mut(start..)?.first_chunk_mut()?.clone_from(&NO_ENTITY.to_be_bytes());
    }
    (left.is_empty() && right.is_empty()).then_some(())
}

/// The order of single slots.
fn compare_slots(keys: KeyKind, left: &[u8], right: &[u8]) -> Ordering {
    if keys == KeyKind::Point {
        let of = ValueType::Point;
        return match (Scalar::read(of, keys, left), Scalar::read(of, keys, right)) {
            (Some((left, _)), Some((right, _))) => left.compare(&right),
            _ => left.cmp(right),
        };
    }
    super::slot::compare_slot(keys, left, right).err().unwrap_or(Ordering::Equal)
}

fn cut_slot(keys: KeyKind, left: &[u8], right: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (left_type, left_rest) = SlotType::read(left)?;
    let (right_type, right_rest) = SlotType::read(right)?;
    let same_type = left_type == right_type;
    if right_type.is_array {
        let (head, elements) = ArrayHead::read(right_type.of, right_rest)?;
        let (left_head, left_elements) = if same_type {
            ArrayHead::read(left_type.of, left_rest)?
        } else {
            (ArrayHead { count: 0, ..head }, left)
        };
        return cut_array(keys, right, (head, elements), (left_head, left_elements), out);
    }
    if right_type.of == ValueType::Text {
        let text = |bytes| match Scalar::read(ValueType::Text, keys, bytes) {
            Some((Scalar::Text { bytes, .. }, _)) => Some(bytes),
            _ => None,
        };
        let text_right = text(right_rest)?;
        let length = if same_type {
            let common = text(left_rest)?.iter().zip(text_right).take_while(|(l, r)| l == r).count();
            text_right.len().min(common + 2)
        } else {
            0
        };
        out.push(ValueType::Text.id());
        out.extend_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
        out.extend_from_slice(text_right.get(..length)?);
        return Some(());
    }
    out.extend_from_slice(right);
    Some(())
}

/// Writes an array with its elements up to the first that is not equal to the one of the other array.
fn cut_array(
    keys: KeyKind,
    slot: &[u8],
    (head, mut elements): (ArrayHead, &[u8]),
    (left_head, mut left): (ArrayHead, &[u8]),
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut count = 0;
    while count < head.count {
        let element;
        (element, elements) = head.element(keys, elements)?;
        let is_equal = count < left_head.count && {
            let left_element;
            (left_element, left) = left_head.element(keys, left)?;
            left_element.compare(&element) == Ordering::Equal
        };
        count += 1;
        if !is_equal {
            break;
        }
    }
    let kept = slot.get(..slot.len() - elements.len())?;
    let start = out.len();
    out.extend_from_slice(kept);
    // The count is the last thing before the elements; text arrays have their mark in it.
    let (at, mark) = match head.elements {
        Elements::Points(_) => (1 + CRS_SIZE, 0),
        Elements::Texts { are_characters } => (1, if are_characters { super::slot::CHARACTER } else { 0 }),
        Elements::Numbers(_) => (2, 0),
        Elements::Plain(_) => (1, 0),
    };
    let field = u16::try_from(count).ok()? | mark;
    out.get_mut(start + at..)?.first_chunk_mut()?.clone_from(&field.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::slot::compare;
    use super::*;
    use crate::index::value::testing::{key, text};
    use crate::store::value::{Array, Value};

    fn separator(slots: usize, left: &[u8], right: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(KeyKind::Btree, slots, left, right, &mut out);
        assert_eq!(compare(KeyKind::Btree, slots, left, &out), Ordering::Less, "{left:?} {out:?}");
        assert_ne!(compare(KeyKind::Btree, slots, &out, right), Ordering::Greater, "{out:?} {right:?}");
        out
    }

    #[test]
    fn texts_are_cut_behind_the_first_difference() {
        let between = |left: (&str, u64), right: (&str, u64)| {
            separator(1, &key(left.1, &[text(left.0)]), &key(right.1, &[text(right.0)]))
        };
        let none = u64::MAX;
        assert_eq!(between(("abcde", 10), ("abcxyz", 11)), key(none, &[text("abcxy")]));
        assert_eq!(between(("same", 10), ("same", 11)), key(11, &[text("same")]));
        assert_eq!(between(("abc", 10), ("abcxyz", 11)), key(none, &[text("abcxy")]));
        assert_eq!(between(("", 10), ("x", 1)), key(none, &[text("x")]));
        // In the middle of a character.
        let cut = between(("aaa", 10), ("aä漢", 1));
        assert_eq!(cut, [&key(none, &[text("")])[..9], &[0, 3, b'a', 0xc3, 0xa4]].concat());
    }

    #[test]
    fn other_values_are_cut_where_they_can_be() {
        let longs = |values: &[i64]| Value::Array(Array::Long(values.to_vec()));
        let none = u64::MAX;
        let time = Value::LocalTime(7);
        for (left, right, expected) in [
            (vec![time.clone()], vec![text("abc")], vec![text("")]),
            (vec![Value::Long(3)], vec![Value::Int(4)], vec![Value::Int(4)]),
            (vec![longs(&[1, 2, 3])], vec![longs(&[1, 5, 6, 7])], vec![longs(&[1, 5])]),
            (vec![longs(&[1, 2])], vec![longs(&[1, 2, 3, 4])], vec![longs(&[1, 2, 3])]),
            (vec![Value::Array(Array::Bool(vec![]))], vec![longs(&[1, 2])], vec![longs(&[1])]),
            (vec![Value::Array(Array::Bool(vec![true]))], vec![longs(&[])], vec![longs(&[])]),
            // All slots behind the first that differs.
            (
                vec![text("same"), Value::Long(1), text("abcdef"), longs(&[1, 2])],
                vec![text("same"), Value::Long(2), text("aaaaaa"), longs(&[7, 2])],
                vec![text("same"), Value::Long(2), text("aaa"), longs(&[7])],
            ),
        ] {
            let slots = left.len();
            let separator = separator(slots, &key(4, &left), &key(3, &right));
            assert_eq!(separator, key(none, &expected), "{left:?} {right:?}");
        }
    }

    #[test]
    fn an_entity_that_can_not_be_stays_behind_its_separator() {
        separator(1, &key(1, &[Value::Long(3)]), &key(i64::MIN.cast_unsigned(), &[Value::Long(4)]));
    }

    #[test]
    fn what_is_no_key_is_left_as_it_is() {
        let (left, right) = (key(1, &[text("a")]), b"no key".to_vec());
        let mut out = Vec::new();
        write(KeyKind::Btree, 1, &left, &right, &mut out);
        assert_eq!(out, right);
    }
}
