//! What can go wrong with a tree file.

use std::path::Path;
use std::sync::Arc;

use super::meta::MetaError;
use super::node::NodeError;
use super::offload::OffloadError;
use super::page::OutsidePage;
use super::state::StateError;
use crate::io::disk::DiskError;
use crate::store::page_cache::PageCacheError;

/// A tree file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A page could not be had.
    #[error(transparent)]
    Cache(#[from] PageCacheError),
    /// The file is not the tree that it should be.
    #[error("{source} | GBPTree[file:{}]", path.display())]
    Meta {
        /// The file.
        path: Arc<Path>,
        /// What is wrong.
        source: MetaError,
    },
    /// The tree has no state that counts.
    #[error("{source} | GBPTree[file:{}]", path.display())]
    State {
        /// The file.
        path: Arc<Path>,
        /// What is wrong.
        source: StateError,
    },
    /// The file ends before a page that is in use.
    #[error("{}: page {page} is in use, but the file has {pages} pages only", path.display())]
    MissingPage {
        /// The file.
        path: Arc<Path>,
        /// Page id.
        page: u64,
        /// Pages of the file.
        pages: u64,
    },
    /// A page is not the tree node that it should be.
    #[error("{}, page {page}: {source}", path.display())]
    Node {
        /// The file.
        path: Arc<Path>,
        /// Page id.
        page: u64,
        /// What is wrong.
        source: NodeError,
    },
    /// A page is not the offload page that it should be.
    #[error("{}, page {page}: {source}", path.display())]
    Offload {
        /// The file.
        path: Arc<Path>,
        /// Page id.
        page: u64,
        /// What is wrong.
        source: OffloadError,
    },
    /// The list of free pages leads astray.
    #[error("{}, page {page} of the free list leads to page {leads_to}, pages 3 to {last_id} are possible", path.display())]
    FreeList {
        /// The file.
        path: Arc<Path>,
        /// Page of the free list; a state page if the list can't even be entered.
        page: u64,
        /// Where it leads.
        leads_to: u64,
        /// Highest page in use.
        last_id: u64,
    },
    /// Pointers form a loop, or keys are not in order.
    #[error("{}, page {page}: its keys are not where the order of the tree wants them", path.display())]
    Order {
        /// The file.
        path: Arc<Path>,
        /// Page id of the node where it was noticed.
        page: u64,
    },
    /// An entry that the tree cannot hold.
    #[error(
        "{}: an entry of {key} bytes key and {value} bytes value does not fit the layout of the tree",
        path.display()
    )]
    EntrySize {
        /// The file.
        path: Arc<Path>,
        /// Bytes of the key.
        key: usize,
        /// Bytes of the value.
        value: usize,
    },
    /// Entries of a tree that is built did not come in strictly increasing order of keys.
    #[error("{}: the keys to build the tree from are not in strictly increasing order", path.display())]
    NotSorted {
        /// The file.
        path: Arc<Path>,
    },
    /// Two entries do not fit a node.
    #[error(
        "{}: pages of {page_size} bytes can't hold nodes of this layout, 256 to 8192 are possible",
        path.display()
    )]
    PageSize {
        /// The file.
        path: Arc<Path>,
        /// Bytes of a page.
        page_size: usize,
    },
    /// The header is too long for the page of the state.
    #[error("{}: a header of {length} bytes is too long", path.display())]
    HeaderSize {
        /// The file.
        path: Arc<Path>,
        /// Bytes of the header.
        length: usize,
    },
    /// All numbers of generations or of pages were used.
    #[error("{}: the tree has used up its generations or page ids, it must be built anew", path.display())]
    UsedUp {
        /// The file.
        path: Arc<Path>,
    },
}

impl TreeError {
    /// Whether the file was never completed as a tree of the layout, so that nothing in it counts: what Neo4j calls a
    /// metadata mismatch. Specification: gbptree 1.2, 1.3.
    pub fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::Meta { .. } | Self::State { source: StateError::Missing | StateError::Empty, .. }
        )
    }

    /// Whether the file is one of a later format, of which nothing else can be told.
    pub fn is_later_format(&self) -> bool {
        matches!(self, Self::Meta { source: MetaError::ReservedSlot { .. }, .. })
    }

    /// Adds the place to what is wrong with a node.
    pub(super) fn node(path: &Arc<Path>, page: u64, source: impl Into<NodeError>) -> Self {
        Self::Node { path: Arc::clone(path), page, source: source.into() }
    }
}

/// Adds file and page to errors about the content of a page.
pub(super) trait OnPage<T> {
    fn on(self, path: &Arc<Path>, page: u64) -> Result<T, TreeError>;
}

impl<T> OnPage<T> for Result<T, NodeError> {
    fn on(self, path: &Arc<Path>, page: u64) -> Result<T, TreeError> {
        self.map_err(|source| TreeError::node(path, page, source))
    }
}

impl<T> OnPage<T> for Result<T, OutsidePage> {
    fn on(self, path: &Arc<Path>, page: u64) -> Result<T, TreeError> {
        self.map_err(|source| TreeError::node(path, page, source))
    }
}

impl<T> OnPage<T> for Result<T, OffloadError> {
    fn on(self, path: &Arc<Path>, page: u64) -> Result<T, TreeError> {
        self.map_err(|source| TreeError::Offload { path: Arc::clone(path), page, source })
    }
}
