//! Contents of chains of dynamic records that a command carries.

use crate::store::id::DynamicId;
use crate::txlog::command::dynamic::DynamicRecords;

/// What became of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// All of it was appended.
    Complete,
    /// Records are missing; nothing was appended.
    Incomplete,
    /// It has more bytes than are wanted; nothing was appended.
    Long,
}

/// Appends what the chain that starts with `first` holds, if it is not more than `most` bytes. Its records mostly lie in
/// the order of the chain.
pub(super) fn read_chain(
    records: DynamicRecords<'_>,
    first: DynamicId,
    most: usize,
    out: &mut Vec<u8>,
) -> Chain {
    let start = out.len();
    let mut chain = read_ordered(records, first, most, out);
    if chain == Chain::Incomplete {
        out.truncate(start);
        chain = read_unordered(records, first, most, out);
    }
    if chain != Chain::Complete {
        out.truncate(start);
    }
    chain
}

fn read_ordered(records: DynamicRecords<'_>, first: DynamicId, most: usize, out: &mut Vec<u8>) -> Chain {
    let (start, mut wanted) = (out.len(), Some(first));
    for record in &records {
        if record.flags.in_use() && Some(record.id) == wanted {
            out.extend_from_slice(record.data);
            wanted = record.next;
            if out.len() - start > most {
                return Chain::Long;
            }
        }
    }
    if wanted.is_none() { Chain::Complete } else { Chain::Incomplete }
}

/// The same for records in any order.
fn read_unordered(records: DynamicRecords<'_>, first: DynamicId, most: usize, out: &mut Vec<u8>) -> Chain {
    let mut sorted: Vec<_> = records.iter().filter(|record| record.flags.in_use()).collect();
    sorted.sort_by_key(|record| record.id);
    let (start, mut wanted) = (out.len(), Some(first));
    // A chain of more records than there are goes round.
    for _ in 0..sorted.len() {
        let Some(id) = wanted else { break };
        let found = sorted.binary_search_by_key(&id, |record| record.id);
        let Some(record) = found.ok().and_then(|position| sorted.get(position)) else { break };
        out.extend_from_slice(record.data);
        wanted = record.next;
        if out.len() - start > most {
            return Chain::Long;
        }
    }
    if wanted.is_none() { Chain::Complete } else { Chain::Incomplete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::bytes::Reader;
    use crate::txlog::command::RecordFlags;
    use crate::txlog::command::dynamic::DynamicRecord;

    fn encoded(records: &[(u64, u8, Option<u64>, &str)]) -> Vec<u8> {
        let mut bytes = u32::try_from(records.len()).unwrap().to_be_bytes().to_vec();
        for &(id, flags, next, data) in records {
            let (id, next) = (DynamicId(id), next.map(DynamicId));
            let record =
                DynamicRecord { id, kind: 9, flags: RecordFlags(flags), next, data: data.as_bytes() };
            record.encode(&mut bytes);
        }
        bytes
    }

    fn read(records: &[(u64, u8, Option<u64>, &str)], first: u64) -> Option<String> {
        let (chain, text) = read_up_to(records, first, usize::MAX);
        assert!(chain == Chain::Complete || text.is_empty());
        (chain == Chain::Complete).then_some(text)
    }

    fn read_up_to(records: &[(u64, u8, Option<u64>, &str)], first: u64, most: usize) -> (Chain, String) {
        let bytes = encoded(records);
        let records = DynamicRecords::decode(&mut Reader::new(&bytes)).unwrap();
        let mut out = b"before".to_vec();
        let chain = read_chain(records, DynamicId(first), most, &mut out);
        assert!(out.starts_with(b"before"));
        (chain, String::from_utf8(out.split_off(6)).unwrap())
    }

    #[test]
    fn of_a_chain_no_more_is_kept_than_wanted() {
        let mut records = [(9, 0x23, Some(4), "ab"), (4, 0x03, Some(7), "cd"), (7, 0x03, None, "e")];
        for _ in 0..2 {
            assert_eq!(read_up_to(&records, 9, 5), (Chain::Complete, "abcde".to_owned()));
            assert_eq!(read_up_to(&records, 9, 4), (Chain::Long, String::new()));
            records.reverse();
        }
    }

    #[test]
    fn a_chain_is_read_in_its_order_whatever_the_order_of_the_records() {
        let in_order = [(9, 0x23, Some(4), "ab"), (4, 0x03, Some(7), "cd"), (7, 0x03, None, "e")];
        assert_eq!(read(&in_order, 9).as_deref(), Some("abcde"));
        let turned: Vec<_> = in_order.into_iter().rev().collect();
        assert_eq!(read(&turned, 9).as_deref(), Some("abcde"));
        assert_eq!(read(&in_order, 4).as_deref(), Some("cde"));
    }

    #[test]
    fn a_chain_with_a_record_that_is_missing_free_or_met_twice_is_not_complete() {
        assert_eq!(read(&[], 9), None);
        assert_eq!(read(&[(9, 0x23, Some(4), "ab")], 9), None);
        assert_eq!(read(&[(9, 0x23, Some(4), "ab"), (4, 0x00, None, "")], 9), None);
        assert_eq!(read(&[(9, 0x23, Some(4), "ab"), (4, 0x03, Some(9), "cd")], 9), None);
    }
}
