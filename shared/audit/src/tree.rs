//! A Merkle tree that grows (RFC 6962 §2.1), of which only the right edge is kept.

use crate::hash::Hash;

/// The roots of the full subtrees that a tree is made of, the largest first: as many as `size` has bits set. All that is
/// needed to append, and to tell the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of so many leaves, with these peaks; `None` if that is another number of peaks than such a tree has.
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let due = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == due).then_some(Self { size, peaks })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root of the full subtree over the leaves from `from` on and before `to`, if that is one of the peaks.
    pub(crate) fn peak(&self, from: u64, to: u64) -> Option<Hash> {
        let (mut begin, mut left) = (0, self.size);
        for peak in &self.peaks {
            let length = 1 << left.ilog2();
            if (from, to) == (begin, begin + length) {
                return Some(*peak);
            }
            (begin, left) = (begin + length, left - length);
        }
        None
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each subtree as large as what has come together so far is one with it.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::node(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        match peaks.next() {
            None => Hash::of_nothing(),
            Some(last) => peaks.fold(last, |right, left| Hash::node(left, right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries and roots that Certificate Transparency's own implementations are tested with.
    const ENTRIES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut tree = Frontier::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(tree.root().0), empty);
        for (entry, root) in ENTRIES.iter().zip(ROOTS) {
            tree.push(Hash::leaf(&hex::decode(entry).unwrap()));
            assert_eq!(hex::encode(tree.root().0), root, "{}", tree.size());
        }
    }

    #[test]
    fn a_frontier_has_a_peak_for_each_bit() {
        assert!(Frontier::new(5, vec![Hash::ZERO; 2]).is_some());
        assert!(Frontier::new(5, vec![Hash::ZERO; 3]).is_none());
        assert!(Frontier::new(0, Vec::new()).is_some());
    }
}
