//! Tree nodes: what both formats have in common, and the choice between them.

use std::fmt;

use super::dynamic::Dynamic;
use super::fixed::Fixed;
use super::meta::NodeFormat;
use super::page::{self, FIRST_USABLE, OutsidePage, page_type};
use super::pointer::{Generations, Pointer, PointerError, Target};

/// Whether a node holds entries or leads to nodes that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys and values.
    Leaf,
    /// Keys, and one child more than keys.
    Internal,
}

/// Which pointer of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerName {
    /// To the next node of the level.
    RightSibling,
    /// To the previous node of the level.
    LeftSibling,
    /// To the newer version of the node.
    Successor,
    /// To a child, by position.
    Child(usize),
}

impl fmt::Display for PointerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RightSibling => f.write_str("right sibling"),
            Self::LeftSibling => f.write_str("left sibling"),
            Self::Successor => f.write_str("successor"),
            Self::Child(position) => write!(f, "child({position})"),
        }
    }
}

/// A page is not the tree node that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A field does not fit the page.
    #[error(transparent)]
    Outside(#[from] OutsidePage),
    /// Another kind of page.
    #[error("the page is of type {0}, a tree node (1) was expected")]
    PageType(u8),
    /// Neither leaf nor internal.
    #[error("the node is of type {0}, neither internal (0) nor leaf (1)")]
    NodeType(u8),
    /// More keys than a node can hold, or less than none.
    #[error("the node has {found} keys, from 0 to {max} are possible")]
    KeyCount {
        /// What is stored.
        found: i32,
        /// What fits.
        max: usize,
    },
    /// No slot of a pointer can be used.
    #[error("the pointer {name} is unusable: {source}")]
    Pointer {
        /// Which one.
        name: PointerName,
        /// Why.
        source: Box<PointerError>,
    },
    /// A pointer to the meta page, to a state page or to nothing.
    #[error("the pointer {name} leads to page {page}, which is no tree node")]
    NullPointer {
        /// Which one.
        name: PointerName,
        /// Where it leads.
        page: u64,
    },
    /// An entry lies where none can be.
    #[error("the entry {position} at offset {offset} overlaps the end of the page or the header")]
    Entry {
        /// Position in the node.
        position: usize,
        /// Offset in the page.
        offset: usize,
    },
    /// Free and used space of a dynamic node don't add up.
    #[error("the space of the node does not add up: entries start at {alloc_offset}, {dead} bytes are dead")]
    Space {
        /// Where the entries start.
        alloc_offset: usize,
        /// Bytes of removed entries.
        dead: usize,
    },
    /// Entries of one node don't fit into two.
    #[error("the entries of the node cannot be distributed over two nodes")]
    Split,
}

/// The header of a tree node.
///
/// | Offset | Size | Field                                                  |
/// |-------:|-----:|--------------------------------------------------------|
/// |      0 |    1 | page type: 1                                           |
/// |      1 |    1 | 1 leaf, 0 internal                                     |
/// |      2 |    4 | generation in which the node was made                  |
/// |      6 |    4 | keys                                                   |
/// |     10 |   24 | pointer to the right sibling, page 0 in the last node  |
/// |     34 |   24 | pointer to the left sibling, page 0 in the first node  |
/// |     58 |   24 | pointer to the successor, page 0 in a node that is live |
/// |     82 |      | entries, see [`Fixed`] and [`Dynamic`]                 |
///
/// Specification: gbptree 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeHeader {
    /// Leaf or internal.
    pub kind: Kind,
    /// In which the node was made.
    pub generation: u32,
    /// Keys in the node.
    pub count: usize,
}

const KEY_COUNT: usize = 6;
const RIGHT_SIBLING: usize = 10;
const LEFT_SIBLING: usize = 34;
const SUCCESSOR: usize = 58;
/// Where the entries start.
pub(super) const BODY: usize = 82;

impl NodeHeader {
    /// Reads the header; `body` says how many keys are possible.
    pub(super) fn decode(page: &[u8], body: &Body) -> Result<Self, NodeError> {
        let [page_type, node_type] = *page::array(page, 0)?;
        if page_type != page_type::TREE_NODE {
            return Err(NodeError::PageType(page_type));
        }
        let kind = match node_type {
            0 => Kind::Internal,
            1 => Kind::Leaf,
            other => return Err(NodeError::NodeType(other)),
        };
        let (found, max) = (page::i32_at(page, KEY_COUNT)?, body.max_keys(kind));
        let count = usize::try_from(found).ok().filter(|&count| count <= max);
        let count = count.ok_or(NodeError::KeyCount { found, max })?;
        Ok(Self { kind, generation: page::u32_at(page, 2)?, count })
    }

    /// Starts a node without keys on a page of zeros: all three pointers lead nowhere.
    pub(super) fn start(page: &mut [u8], kind: Kind, generation: u32) -> Result<(), OutsidePage> {
        page::put(page, 0, &[page_type::TREE_NODE, u8::from(kind == Kind::Leaf)])?;
        set_generation(page, generation)?;
        for offset in [RIGHT_SIBLING, LEFT_SIBLING, SUCCESSOR] {
            page::put(page, offset, &Pointer::fresh(generation, 0).encode())?;
        }
        Ok(())
    }
}

pub(super) fn set_generation(page: &mut [u8], generation: u32) -> Result<(), OutsidePage> {
    page::put(page, 2, &generation.to_be_bytes())
}

pub(super) fn set_count(page: &mut [u8], count: usize) -> Result<(), OutsidePage> {
    // A node never has more keys than bytes.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    page::put(page, KEY_COUNT, &count.to_be_bytes())
}

/// An entry of a node: key and value of a leaf, key of an internal node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'p> {
    /// In the node itself.
    Inline {
        /// Key.
        key: &'p [u8],
        /// Value; empty in an internal node.
        value: &'p [u8],
    },
    /// On an offload page.
    Offloaded(u64),
}

/// How entries are stored in nodes of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Fixed(Fixed),
    Dynamic(Dynamic),
}

impl Body {
    /// `None` when a node could not hold two entries.
    pub fn new(format: NodeFormat, page_size: usize) -> Option<Self> {
        match format {
            NodeFormat::Fixed { key, value } => Fixed::new(page_size, key, value).map(Self::Fixed),
            NodeFormat::Dynamic => Some(Self::Dynamic(Dynamic::new(page_size))),
        }
    }

    /// The most keys that are possible in a node. Specification: gbptree 4.1, 4.2.
    pub fn max_keys(&self, kind: Kind) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.max_keys(kind),
            Self::Dynamic(dynamic) => dynamic.max_keys(),
        }
    }

    /// The key count from which on the structure check calls a node's count insane; the same for both kinds.
    pub fn sane_keys(&self) -> usize {
        self.max_keys(Kind::Leaf).max(self.max_keys(Kind::Internal))
    }

    pub fn entry<'p>(&self, page: &'p [u8], kind: Kind, position: usize) -> Result<Entry<'p>, NodeError> {
        match self {
            Self::Fixed(fixed) => Ok(fixed.entry(page, kind, position)?),
            Self::Dynamic(dynamic) => dynamic.entry(page, kind, position),
        }
    }

    /// Appends an entry as it is stored, without what leads to it.
    pub fn append_raw(
        &self,
        page: &[u8],
        kind: Kind,
        position: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NodeError> {
        match self {
            Self::Fixed(fixed) => Ok(fixed.append_raw(page, kind, position, out)?),
            Self::Dynamic(dynamic) => dynamic.append_raw(page, kind, position, out),
        }
    }

    /// Whether key and value are short enough to be stored in a node.
    pub fn is_inline(&self, key: usize, value: usize) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Dynamic(dynamic) => key + value <= dynamic.max_inline(),
        }
    }

    /// Whether key and value have sizes that can be stored at all.
    pub fn accepts(&self, key: usize, value: usize) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.accepts(key, value),
            Self::Dynamic(dynamic) => key.saturating_add(value) <= dynamic.max_offloaded(),
        }
    }

    /// Makes the stored form of an entry: inline, or of an entry that is on an offload page.
    pub fn encode_raw(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        out.clear();
        match (self, entry) {
            (Self::Dynamic(_), entry) => Dynamic::encode_raw(entry, out),
            (Self::Fixed(_), Entry::Inline { key, value }) => {
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            (Self::Fixed(_), Entry::Offloaded(_)) => {}
        }
    }

    /// Bytes of the stored form of a key of an internal node.
    pub fn raw_size(&self, key: usize) -> usize {
        match self {
            Self::Fixed(_) => key,
            Self::Dynamic(dynamic) => dynamic.raw_size(key),
        }
    }

    /// What an entry of `raw` bytes takes of a node's [`capacity`](Self::capacity).
    pub fn cost(&self, kind: Kind, raw: usize) -> usize {
        match self {
            Self::Fixed(_) => 1,
            Self::Dynamic(_) => Dynamic::cost(kind, raw),
        }
    }

    /// What a node holds: entries of fixed size, bytes of dynamic size.
    pub fn capacity(&self, kind: Kind) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.max_keys(kind),
            Self::Dynamic(dynamic) => dynamic.capacity(kind),
        }
    }

    /// How much of its capacity a node uses.
    pub fn used(&self, page: &[u8], header: NodeHeader) -> Result<usize, NodeError> {
        match self {
            Self::Fixed(_) => Ok(header.count),
            Self::Dynamic(dynamic) => dynamic.used(page, header),
        }
    }

    /// Inserts an entry into a leaf; `false`: it does not fit.
    pub fn insert(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        raw: &[u8],
    ) -> Result<bool, NodeError> {
        let fits = match self {
            Self::Fixed(fixed) => fixed.insert(page, header, position, raw)?,
            Self::Dynamic(dynamic) => dynamic.insert(page, header, position, raw, &[])?,
        };
        if fits {
            set_count(page, header.count + 1)?;
        }
        Ok(fits)
    }

    /// Inserts a key into an internal node and the child to its right; `false`: they don't fit.
    pub fn insert_child(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        raw: &[u8],
        child: &Pointer,
    ) -> Result<bool, NodeError> {
        let fits = match self {
            Self::Fixed(fixed) => fixed.insert_child(page, header, position, raw, child)?,
            Self::Dynamic(dynamic) => dynamic.insert(page, header, position, raw, &child.encode())?,
        };
        if fits {
            set_count(page, header.count + 1)?;
        }
        Ok(fits)
    }

    /// Removes an entry of a leaf.
    pub fn remove(&self, page: &mut [u8], header: NodeHeader, position: usize) -> Result<(), NodeError> {
        match self {
            Self::Fixed(fixed) => fixed.remove(page, header, position)?,
            Self::Dynamic(dynamic) => dynamic.remove(page, header, position, position)?,
        }
        Ok(set_count(page, header.count.saturating_sub(1))?)
    }

    /// Removes a key of an internal node and the child at `child`, which is the one to its left or to its right.
    pub fn remove_child(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        child: usize,
    ) -> Result<(), NodeError> {
        match self {
            Self::Fixed(fixed) => fixed.remove_child(page, header, position, child)?,
            Self::Dynamic(dynamic) => dynamic.remove(page, header, position, child)?,
        }
        Ok(set_count(page, header.count.saturating_sub(1))?)
    }

    /// Puts another value in the place of one; `false`: it has another size.
    pub fn overwrite(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        value: &[u8],
    ) -> Result<bool, NodeError> {
        match self {
            Self::Fixed(fixed) => Ok(fixed.overwrite(page, position, value)?),
            Self::Dynamic(dynamic) => dynamic.overwrite(page, header, position, value),
        }
    }

    /// Writes all entries of a node anew, and its children if it is an internal one, with pointers of `generation`.
    pub fn pack(
        &self,
        page: &mut [u8],
        kind: Kind,
        content: Content<'_>,
        generation: u32,
    ) -> Result<(), NodeError> {
        match self {
            Self::Fixed(fixed) => fixed.pack(page, kind, content)?,
            Self::Dynamic(dynamic) => dynamic.pack(page, kind, content)?,
        }
        for (position, &child) in content.children.iter().enumerate() {
            page::put(page, self.child_offset(position), &Pointer::fresh(generation, child).encode())?;
        }
        Ok(set_count(page, content.entries.len())?)
    }

    fn child_offset(&self, position: usize) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.child_offset(position),
            Self::Dynamic(_) => Dynamic::child_offset(position),
        }
    }

    fn pointer_offset(&self, name: PointerName) -> usize {
        match name {
            PointerName::RightSibling => RIGHT_SIBLING,
            PointerName::LeftSibling => LEFT_SIBLING,
            PointerName::Successor => SUCCESSOR,
            PointerName::Child(position) => self.child_offset(position),
        }
    }

    /// Both slots of a pointer as they are.
    pub fn pointer(&self, page: &[u8], name: PointerName) -> Result<Pointer, OutsidePage> {
        Ok(Pointer::decode(page::array(page, self.pointer_offset(name))?))
    }

    /// Writes both slots of a pointer.
    pub fn put_pointer(
        &self,
        page: &mut [u8],
        name: PointerName,
        pointer: &Pointer,
    ) -> Result<(), OutsidePage> {
        page::put(page, self.pointer_offset(name), &pointer.encode())
    }

    /// Where a pointer leads; page 0 = nowhere.
    pub fn target(
        &self,
        page: &[u8],
        name: PointerName,
        generations: Generations,
    ) -> Result<Target, NodeError> {
        let pointer = self.pointer(page, name)?;
        pointer.read(generations).map_err(|source| NodeError::Pointer { name, source: source.into() })
    }

    /// Page of a child.
    pub fn child(&self, page: &[u8], position: usize, generations: Generations) -> Result<u64, NodeError> {
        let name = PointerName::Child(position);
        let target = self.target(page, name, generations)?;
        if target.page < FIRST_USABLE {
            return Err(NodeError::NullPointer { name, page: target.page });
        }
        Ok(target.page)
    }

    /// Lets a pointer lead to another page.
    pub fn point(
        &self,
        page: &mut [u8],
        name: PointerName,
        generations: Generations,
        to: u64,
    ) -> Result<(), NodeError> {
        let mut pointer = self.pointer(page, name)?;
        pointer
            .write(generations, to)
            .map_err(|source| NodeError::Pointer { name, source: source.into() })?;
        Ok(self.put_pointer(page, name, &pointer)?)
    }
}

/// Entries in their stored form, in key order, and the children between them if they come from an internal node.
#[derive(Debug, Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    children: Vec<u64>,
}

impl Entries {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.children.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn push(&mut self, raw: &[u8]) {
        self.bytes.extend_from_slice(raw);
        self.ends.push(self.bytes.len());
    }

    pub fn push_child(&mut self, child: u64) {
        self.children.push(child);
    }

    pub fn children(&self) -> &[u64] {
        &self.children
    }

    /// Appends the entries of a node from `from` up to `to`.
    pub fn append(
        &mut self,
        body: &Body,
        page: &[u8],
        kind: Kind,
        range: std::ops::Range<usize>,
    ) -> Result<(), NodeError> {
        for position in range {
            body.append_raw(page, kind, position, &mut self.bytes)?;
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    /// Appends the children of an internal node.
    pub fn append_children(
        &mut self,
        body: &Body,
        page: &[u8],
        range: std::ops::Range<usize>,
        generations: Generations,
    ) -> Result<(), NodeError> {
        for position in range {
            self.children.push(body.child(page, position, generations)?);
        }
        Ok(())
    }

    /// Forgets the last entry.
    pub fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// The last child, taken out.
    pub fn pop_child(&mut self) -> Option<u64> {
        self.children.pop()
    }

    pub fn raw(&self, position: usize) -> &[u8] {
        let start = position.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(position).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// What the entries cost in a node, one after the other.
    pub fn costs(&self, body: &Body, kind: Kind) -> impl Iterator<Item = usize> {
        (0..self.len()).map(move |position| body.cost(kind, self.raw(position).len()))
    }

    /// Everything.
    pub fn content(&self) -> Content<'_> {
        Content { entries: Range { all: self, from: 0, to: self.len() }, children: &self.children }
    }

    /// Entries `from` up to `to`, and their children if there are any.
    pub fn part(&self, from: usize, to: usize) -> Content<'_> {
        let children = self.children.get(from..(to + 1).min(self.children.len())).unwrap_or_default();
        Content { entries: Range { all: self, from, to }, children }
    }

    /// Where to cut a leaf in two, so that both halves fit: the second one starts there.
    pub fn cut_leaf(&self, body: &Body, appended: bool) -> Result<usize, NodeError> {
        self.cut(body, Kind::Leaf, appended, 0).ok_or(NodeError::Split)
    }

    /// Which key of an internal node moves up, so that both sides of it fit.
    pub fn cut_internal(&self, body: &Body, appended: bool) -> Result<usize, NodeError> {
        self.cut(body, Kind::Internal, appended, 1).ok_or(NodeError::Split)
    }

    /// `lifted`: entries that go to neither side, from the cut on. An entry that was appended to the last node of its
    /// level gets a node of its own: whoever inserts in key order leaves full nodes. No side stays empty if that is
    /// possible.
    fn cut(&self, body: &Body, kind: Kind, appended: bool, lifted: usize) -> Option<usize> {
        let capacity = body.capacity(kind);
        let total: usize = self.costs(body, kind).sum();
        let mut left = 0;
        let mut best: Option<(bool, usize, usize)> = None;
        for (position, cost) in self.costs(body, kind).enumerate() {
            let right = total - left - cost * lifted;
            let empty = position == 0 || position + lifted == self.len();
            if left <= capacity && right <= capacity && (lifted > 0 || !empty) {
                let candidate = (empty, if appended { right } else { left.abs_diff(right) }, position);
                best = Some(best.map_or(candidate, |best| best.min(candidate)));
            }
            left += cost;
        }
        best.map(|(.., position)| position)
    }
}

/// A run of [`Entries`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'a> {
    all: &'a Entries,
    from: usize,
    to: usize,
}

impl<'a> Range<'a> {
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let all = self.all;
        (self.from..self.to).map(move |position| all.raw(position))
    }
}

/// What a node holds: entries, and children in an internal node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub entries: Range<'a>,
    pub children: &'a [u64],
}
