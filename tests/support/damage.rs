//! Random damage of stores: what a bad disk, a bug or a careless hand leaves behind.

mod files;
mod graph;
mod rules;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use neo4j_admin::gbptree::{Layout, Tree};

use super::random::Random;
use super::trees::{self, Entry, Visitor};

/// The files of a store by their paths.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A page of a tree, and of a store in the format `aligned`.
const PAGE: usize = 8192;

/// A record store: its file, the size of a record, offset and size of each field.
struct RecordFile {
    name: &'static str,
    size: usize,
    fields: &'static [(usize, usize)],
}

/// Header, previous, next; then four blocks: the whole, type, key, value.
const PROPERTY: &[(usize, usize)] = &[
    (0, 1),
    (1, 4),
    (5, 4),
    (9, 8),
    (13, 1),
    (14, 3),
    (9, 4),
    (17, 8),
    (21, 1),
    (22, 3),
    (17, 4),
    (25, 8),
    (29, 1),
    (30, 3),
    (33, 8),
    (37, 1),
    (38, 3),
];
/// Header, length, next, and what an array begins with.
const DYNAMIC: &[(usize, usize)] = &[(0, 1), (1, 3), (4, 4), (8, 1), (9, 1), (10, 1), (11, 4)];
/// The same, and words of the array: a node and its labels.
const LABELS: &[(usize, usize)] =
    &[(0, 1), (1, 3), (4, 4), (8, 1), (9, 1), (10, 1), (11, 4), (12, 1), (14, 1), (16, 4), (20, 8), (30, 8)];
const RELATIONSHIP: &[(usize, usize)] =
    &[(0, 1), (1, 4), (5, 4), (9, 2), (11, 2), (13, 4), (17, 4), (21, 4), (25, 4), (29, 4), (33, 1)];
const NODE: &[(usize, usize)] = &[(0, 1), (1, 4), (5, 4), (9, 4), (13, 1), (14, 1)];
const GROUP: &[(usize, usize)] =
    &[(0, 1), (1, 1), (2, 2), (4, 4), (8, 4), (12, 4), (16, 4), (20, 4), (24, 1)];
const TOKEN: &[(usize, usize)] = &[(0, 1), (1, 4)];
const KEY_TOKEN: &[(usize, usize)] = &[(0, 1), (1, 4), (5, 4)];

/// The large stores more than once: they are damaged more often.
const RECORD_FILES: &[RecordFile] = &[
    RecordFile { name: "neostore.nodestore.db", size: 15, fields: NODE },
    RecordFile { name: "neostore.nodestore.db", size: 15, fields: NODE },
    RecordFile { name: "neostore.nodestore.db", size: 15, fields: NODE },
    RecordFile { name: "neostore.relationshipstore.db", size: 34, fields: RELATIONSHIP },
    RecordFile { name: "neostore.relationshipstore.db", size: 34, fields: RELATIONSHIP },
    RecordFile { name: "neostore.relationshipstore.db", size: 34, fields: RELATIONSHIP },
    RecordFile { name: "neostore.propertystore.db", size: 41, fields: PROPERTY },
    RecordFile { name: "neostore.propertystore.db", size: 41, fields: PROPERTY },
    RecordFile { name: "neostore.propertystore.db", size: 41, fields: PROPERTY },
    RecordFile { name: "neostore.relationshipgroupstore.db", size: 25, fields: GROUP },
    RecordFile { name: "neostore.relationshipgroupstore.db", size: 25, fields: GROUP },
    RecordFile { name: "neostore.propertystore.db.strings", size: 128, fields: DYNAMIC },
    RecordFile { name: "neostore.propertystore.db.arrays", size: 128, fields: DYNAMIC },
    RecordFile { name: "neostore.nodestore.db.labels", size: 64, fields: LABELS },
    RecordFile { name: "neostore.schemastore.db", size: 8, fields: &[(0, 1), (1, 7)] },
    RecordFile { name: "neostore.labeltokenstore.db", size: 5, fields: TOKEN },
    RecordFile { name: "neostore.labeltokenstore.db.names", size: 38, fields: DYNAMIC },
    RecordFile { name: "neostore.relationshiptypestore.db", size: 5, fields: TOKEN },
    RecordFile { name: "neostore.relationshiptypestore.db.names", size: 38, fields: DYNAMIC },
    RecordFile { name: "neostore.propertystore.db.index", size: 9, fields: KEY_TOKEN },
    RecordFile { name: "neostore.propertystore.db.index.keys", size: 38, fields: DYNAMIC },
];

/// Damages a healthy store in one place or several and tells what it did.
pub fn damage(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    if random.once_in(12) {
        return format!("{}; {}", once(files, aligned, random), once(files, aligned, random));
    }
    once(files, aligned, random)
}

fn once(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    match random.below(100) {
        0..25 => record_fields(files, aligned, random),
        25..38 => graph::damage(files, aligned, random),
        38..49 => rules::damage(files, aligned, random),
        49..56 => rules::values(files, aligned, random),
        56..67 => tree_page(files, random),
        67..77 => tree_entries(files, random),
        77..83 => bit(files, random),
        83..87 => bytes(files, random),
        87..93 => files::pages(files, random),
        93..95 => files::whole(files, random),
        95..97 => files::metadata(files, random),
        _ => cut(files, random),
    }
}

/// Every run of bytes that is not the same in both, with what is in each: a recipe.
pub fn recipe(before: &Files, after: &Files) -> String {
    let mut text = String::new();
    for (path, old) in before {
        let Some(new) = after.get(path) else { continue };
        if old.len() != new.len() {
            let _ = writeln!(text, "  {} has {} bytes instead of {}", path.display(), new.len(), old.len());
        }
        let mut at = 0;
        while let Some(from) = (at..old.len().min(new.len())).find(|&at| old[at] != new[at]) {
            let end = (from + 16).min(old.len()).min(new.len());
            let to = (from..end).rev().find(|&at| old[at] != new[at]).map_or(end, |last| last + 1);
            let hex =
                |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            let (old, new) = (hex(&old[from..to]), hex(&new[from..to]));
            let _ = writeln!(text, "  {} @{from}: {old} -> {new}", path.display());
            at = to;
        }
    }
    text
}

fn record_fields(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let mut done = String::from("fields");
    let count = if random.once_in(3) { random.within(2..5) } else { 1 };
    for _ in 0..count {
        let store = &RECORD_FILES[random.below(RECORD_FILES.len())];
        let bytes = files.get_mut(Path::new(store.name)).expect("a store");
        let record = any_record(bytes, store.size, aligned, random);
        let &(at, size) = &store.fields[random.below(store.fields.len())];
        let at = place(record, store.size, aligned) + at;
        if at + size > bytes.len() {
            continue;
        }
        let other =
            place(any_record(bytes, store.size, aligned, random), store.size, aligned) + at % store.size;
        let copied = bytes.get(other..other + size).map(<[u8]>::to_vec);
        // An id that may be one of the store.
        let id = random.below(bytes.len() / store.size + 3) as u64;
        change(&mut bytes[at..at + size], copied, id, random);
        let _ = write!(done, " {} {record} @{}", store.name, at);
    }
    done
}

/// Where a record begins.
fn place(record: usize, size: usize, aligned: bool) -> usize {
    if aligned { record / (PAGE / size) * PAGE + record % (PAGE / size) * size } else { record * size }
}

/// A record, mostly one that is not empty.
fn any_record(bytes: &[u8], size: usize, aligned: bool, random: &mut Random) -> usize {
    let count = bytes.len() / size;
    let wants_content = !random.once_in(8);
    let mut record = random.below(count);
    for _ in 0..200 {
        let at = place(record, size, aligned);
        let empty = bytes.get(at..at + size).is_none_or(|record| record.iter().all(|&byte| byte == 0));
        if empty != wants_content {
            break;
        }
        record = random.below(count);
    }
    record
}

/// Changes a field.
fn change(field: &mut [u8], copied: Option<Vec<u8>>, id: u64, random: &mut Random) {
    let number = field.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let new = match random.below(10) {
        0..3 => number ^ 1 << random.below(8 * field.len()),
        3 => number.wrapping_add(1),
        4 => number.wrapping_sub(1),
        5 => 0,
        6 => u64::MAX,
        7 => random.next(),
        8 if copied.is_some() => {
            field.copy_from_slice(&copied.unwrap_or_default());
            return;
        }
        _ => id,
    };
    let new = new.to_be_bytes();
    let from = new.len() - field.len();
    field.copy_from_slice(&new[from..]);
}

/// The names of trees; those of id files, of which there are fourteen, make up a quarter.
fn any_tree(files: &Files, random: &mut Random) -> PathBuf {
    let is_id_file = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "id");
    let is_tree = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ["neostore.counts.db", "neostore.relationshipgroupstore.degrees.db", "neostore.indexstats.db"]
            .contains(&&*name)
            || name.ends_with("scanstore.db")
            || name.starts_with("index-")
    };
    let wanted: Vec<_> = if random.once_in(4) {
        files.keys().filter(is_id_file).collect()
    } else {
        files.keys().filter(is_tree).collect()
    };
    wanted[random.below(wanted.len())].clone()
}

/// Header fields of a node: kind of page, kind of node, generation, keys.
const NODE_HEADER: [(usize, usize); 4] = [(0, 1), (1, 1), (2, 4), (6, 4)];
/// Right sibling, left sibling and successor: two slots of generation, page and checksum each.
const POINTERS: std::ops::Range<usize> = 10..82;
const SLOT: usize = 12;

fn tree_page(files: &mut Files, random: &mut Random) -> String {
    let path = any_tree(files, random);
    let bytes = files.get_mut(&path).expect("a tree");
    let pages = bytes.len() / PAGE;
    if pages == 0 {
        return "nothing".to_owned();
    }
    let page = if random.once_in(6) { random.below(pages.min(3)) } else { random.below(pages) };
    let at = page * PAGE;
    let node = &mut bytes[at..at + PAGE];
    if page < 3 {
        let field = random.below(120);
        change(&mut node[field..=field], None, 0, random);
        return format!("page {page} @{field} of {}", path.display());
    }
    let what = match random.below(8) {
        0..3 => {
            let (field, size) = NODE_HEADER[random.below(NODE_HEADER.len())];
            change(&mut node[field..field + size], None, random.below(12) as u64, random);
            format!("@{field}")
        }
        3 => {
            let field = random.within(POINTERS);
            change(&mut node[field..=field], None, 0, random);
            format!("@{field}")
        }
        4 | 5 => {
            let slots: Vec<_> = POINTERS
                .step_by(SLOT)
                .chain((POINTERS.end..PAGE - SLOT).filter(|&at| is_pointer(&node[at..at + SLOT], pages)))
                .collect();
            let slot = slots[random.below(slots.len())];
            point(&mut node[slot..slot + SLOT], pages, random);
            // The other slot of the pointer, as it may be, has the same, or nothing.
            if random.once_in(3) && slot + 2 * SLOT <= PAGE {
                node.copy_within(slot..slot + SLOT, slot + SLOT);
            } else if random.once_in(4) {
                node[slot..slot + SLOT].fill(0);
            }
            format!("pointer @{slot}")
        }
        _ => {
            // Keys are at both ends of what is left of the page.
            let field = if random.once_in(2) { random.within(82..400) } else { random.within(82..PAGE - 8) };
            let size = random.within(1..9).min(PAGE - field);
            change(&mut node[field..field + size], None, random.below(2000) as u64, random);
            format!("@{field}")
        }
    };
    format!("page {page} {what} of {}", path.display())
}

/// Whether a slot has a generation, a page of the file, and the checksum of both.
fn is_pointer(slot: &[u8], pages: usize) -> bool {
    let page = u32::from_be_bytes([slot[4], slot[5], slot[6], slot[7]]) as usize;
    slot[..4] != [0; 4] && (3..pages).contains(&page) && checksum(slot) == [slot[10], slot[11]]
}

/// Lets a slot point elsewhere or at another time, with the checksum of that.
fn point(slot: &mut [u8], pages: usize, random: &mut Random) {
    if random.once_in(2) {
        let page = random.below(pages + 2) as u32;
        slot[4..8].copy_from_slice(&page.to_be_bytes());
    }
    if random.once_in(2) {
        let generation = random.below(8) as u32;
        slot[..4].copy_from_slice(&generation.to_be_bytes());
    }
    let checksum = checksum(slot);
    slot[10..12].copy_from_slice(&checksum);
}

/// The 16-bit words of generation and page, exclusively or.
fn checksum(slot: &[u8]) -> [u8; 2] {
    let words = slot[..10].chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    words.fold(0, |sum, word| sum ^ word).to_be_bytes()
}

/// Removes and inserts entries of a tree, which stays sound, or changes its header.
fn tree_entries(files: &mut Files, random: &mut Random) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    write(files, directory.path());
    let count = trees::visit_all(directory.path(), &mut Skip);
    // Id files are visited first; what they hold is not checked by Neo4j, but for the high id in the header.
    let header = random.once_in(4);
    let wanted = random.within(if header { 0..count } else { 14..count });
    let mut changes = Changes { random, left: wanted, header, done: String::new() };
    trees::visit_all(directory.path(), &mut changes);
    let done = changes.done;
    *files = read(directory.path());
    done
}

struct Skip;

impl Visitor for Skip {
    fn visit<L: Layout + Copy>(&mut self, _: Tree<L>, _: fn(&mut Random, &[Entry]) -> Entry) {}
}

/// Changes one tree of those that are visited.
struct Changes<'a> {
    random: &'a mut Random,
    /// Trees to pass by.
    left: usize,
    /// Whether to change the header instead of the entries.
    header: bool,
    done: String,
}

impl Visitor for Changes<'_> {
    fn visit<L: Layout + Copy>(&mut self, mut tree: Tree<L>, strange: fn(&mut Random, &[Entry]) -> Entry) {
        if self.left != 0 {
            self.left = self.left.wrapping_sub(1);
            return;
        }
        self.left = usize::MAX;
        if self.header {
            let mut header = tree.header().to_vec();
            self.done = format!("header of {}", tree.path().file_name().unwrap_or_default().display());
            // A number, or the state of an index.
            let size = header.len().min(8);
            if tree.path().extension().is_some_and(|extension| extension == "id") && self.random.once_in(2) {
                // A high id that is too low, or a little too high.
                let high = u64::from_be_bytes(*header.first_chunk().expect("a high id"));
                let high = self.random.below(high as usize + 10) as u64;
                header[..size].copy_from_slice(&high.to_be_bytes());
                tree.finish(Some(&header)).expect("finished");
            } else if size > 0 {
                change(&mut header[..size], None, self.random.below(300) as u64, self.random);
                tree.finish(Some(&header)).expect("finished");
            }
            return;
        }
        let own = trees::entries(&tree);
        self.done = format!("entries of {}", tree.path().file_name().unwrap_or_default().display());
        if own.is_empty() {
            return;
        }
        for _ in 0..self.random.within(1..4) {
            let (key, value) = &own[self.random.below(own.len())];
            match self.random.below(4) {
                0 => {
                    tree.remove(key).expect("removed");
                }
                // Two keys of values change their entities.
                1 if value.is_empty() => {
                    let (other, _) = &own[self.random.below(own.len())];
                    let (mut one, mut two) = (key.clone(), other.clone());
                    one[..8].swap_with_slice(&mut two[..8]);
                    tree.remove(key).expect("removed");
                    tree.remove(other).expect("removed");
                    tree.insert(&one, &[]).expect("inserted");
                    tree.insert(&two, &[]).expect("inserted");
                }
                1 | 2 => {
                    let (key, value) = strange(self.random, &own);
                    tree.insert(&key, &value).expect("inserted");
                }
                // Another value of the same key, or another key of the same value.
                _ if value.is_empty() => {
                    let (other, _) = strange(self.random, &own);
                    tree.remove(key).expect("removed");
                    tree.insert(&other, value).expect("inserted");
                }
                _ => {
                    let mut value = value.clone();
                    let at = self.random.below(value.len());
                    value[at] ^= 1 << self.random.below(8);
                    tree.remove(key).expect("removed");
                    tree.insert(key, &value).expect("inserted");
                }
            }
        }
        tree.finish(None).expect("finished");
    }
}

/// A file that is not empty. Logs are read at their ends only and are damaged elsewhere in the tests of logs.
fn any_file(files: &Files, random: &mut Random) -> PathBuf {
    let names: Vec<_> = files
        .iter()
        .filter(|(path, bytes)| !bytes.is_empty() && !path.to_string_lossy().contains("transaction.db."))
        .map(|(path, _)| path.clone())
        .collect();
    names[random.below(names.len())].clone()
}

fn bit(files: &mut Files, random: &mut Random) -> String {
    let path = any_file(files, random);
    let bytes = files.get_mut(&path).expect("a file");
    // Most of most files is zero; half of the bits are next to something that is not.
    let near = random.once_in(2);
    let mut at = random.below(bytes.len());
    for _ in 0..200 {
        if !near || bytes[at] != 0 {
            break;
        }
        at = random.below(bytes.len());
    }
    bytes[at] ^= 1 << random.below(8);
    format!("a bit of {} @{at}", path.display())
}

fn bytes(files: &mut Files, random: &mut Random) -> String {
    let path = any_file(files, random);
    let bytes = files.get_mut(&path).expect("a file");
    let from = random.below(bytes.len());
    let to = (from + random.within(1..65)).min(bytes.len());
    let fill = [None, Some(0), Some(0xff)][random.below(3)];
    for byte in &mut bytes[from..to] {
        *byte = fill.unwrap_or_else(|| random.next() as u8);
    }
    format!("bytes {from} to {to} of {}", path.display())
}

/// Cuts a file off, between pages or anywhere.
fn cut(files: &mut Files, random: &mut Random) -> String {
    let path = any_file(files, random);
    let bytes = files.get_mut(&path).expect("a file");
    let length = if random.once_in(2) {
        random.below(bytes.len() / PAGE + 1) * PAGE
    } else {
        random.below(bytes.len())
    };
    bytes.truncate(length);
    format!("{} cut to {length} bytes", path.display())
}

/// Writes files below a directory.
pub fn write(files: &Files, directory: &Path) {
    for (path, bytes) in files {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    }
}

/// All files below a directory.
pub fn read(directory: &Path) -> Files {
    let mut files = Files::new();
    read_below(directory, Path::new(""), &mut files);
    files
}

fn read_below(root: &Path, below: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(root.join(below)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            read_below(root, &path, files);
        } else {
            files.insert(path, std::fs::read(entry.path()).expect("a file"));
        }
    }
}
