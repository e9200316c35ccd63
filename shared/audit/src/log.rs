//! The end of the log: all that is needed to append.

use crate::hash::Hash;
use crate::tree::Frontier;

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last link of the chain.
    pub chain: Hash,
    /// The tree over all entries.
    pub tree: Frontier,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            chain: Hash::ZERO,
            tree: Frontier::default(),
        }
    }
}

impl Head {
    /// How many entries there are, which is the number of the next one.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Appends an entry; gives its link of the chain.
    pub fn append(&mut self, entry: &[u8]) -> Hash {
        let leaf = Hash::leaf(entry);
        self.tree.push(leaf);
        self.chain = Hash::link(self.chain, leaf);
        self.chain
    }
}
