//! Proofs that an entry is in the log, and that a longer log begins as a shorter one was (RFC 6962 §2.1.1, §2.1.2;
//! checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say).

use crate::hash::Hash;
use crate::tree::Frontier;

/// The leaves of a tree, from some size on: of what was before, which is no longer kept, the right edge of its tree is
/// enough to prove anything that came after.
#[derive(Debug, Clone)]
pub struct Leaves {
    start: Frontier,
    kept: Vec<Hash>,
}

/// The largest power of two that is less than `n`, which is at least 2.
fn split(n: u64) -> u64 {
    n.next_power_of_two() / 2
}

impl Leaves {
    /// Of a tree whose leaves are kept from the end of `start` on.
    pub fn after(start: Frontier) -> Self {
        Self {
            start,
            kept: Vec::new(),
        }
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.kept.push(leaf);
    }

    /// Leaves this many, those that are not kept included.
    pub fn truncate(&mut self, size: u64) {
        let kept = size.saturating_sub(self.start.size());
        self.kept
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    /// How many there are, those that are not kept included.
    pub fn size(&self) -> u64 {
        self.start.size() + u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    /// The leaf of this number, if it is kept.
    fn leaf(&self, number: u64) -> Option<Hash> {
        let index = number.checked_sub(self.start.size())?;
        self.kept.get(usize::try_from(index).ok()?).copied()
    }

    /// The root over the leaves from `from` on and before `to`; `None` where it takes some that are not kept.
    fn root(&self, from: u64, to: u64) -> Option<Hash> {
        if to <= self.start.size()
            && let Some(peak) = self.start.peak(from, to)
        {
            return Some(peak);
        }
        match to - from {
            0 => Some(Hash::of_nothing()),
            1 => self.leaf(from),
            n => {
                let middle = from + split(n);
                Some(Hash::node(self.root(from, middle)?, self.root(middle, to)?))
            }
        }
    }

    /// The proof that the leaf at `index` is one of these: PATH of RFC 6962 §2.1.1. `None` if there is no such leaf, or it is
    /// not kept.
    pub fn inclusion(&self, index: u64) -> Option<Vec<Hash>> {
        self.leaf(index)?;
        let (mut from, mut to) = (0, self.size());
        let mut path = Vec::new();
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.root(middle, to)?);
                to = middle;
            } else {
                path.push(self.root(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the tree of the first `size` leaves is a beginning of the whole one: PROOF of RFC 6962 §2.1.2. `None`
    /// unless there are so many, and at least one, and none is asked for before those that are kept.
    pub fn consistency(&self, size: u64) -> Option<Vec<Hash>> {
        let least = self.start.size().max(1);
        if !(least..=self.size()).contains(&size) {
            return None;
        }
        let (mut from, mut to) = (0, self.size());
        // Whoever has the old root need not be told it.
        let mut known = true;
        let mut proof = Vec::new();
        while size != to {
            let middle = from + split(to - from);
            if size <= middle {
                proof.push(self.root(middle, to)?);
                to = middle;
            } else {
                proof.push(self.root(from, middle)?);
                from = middle;
                known = false;
            }
        }
        if !known {
            proof.push(self.root(from, to)?);
        }
        proof.reverse();
        Some(proof)
    }
}

/// Whether `proof` shows that `leaf` is at `index` in the tree of this size and root.
pub fn proves_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            hash = Hash::node(*sibling, hash);
            while place.is_multiple_of(2) && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::node(hash, *sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `old` leaves and root `old_root` is a beginning of that of `new` and `new_root`.
pub fn proves_consistency(
    (old, old_root): (u64, Hash),
    (new, new_root): (u64, Hash),
    proof: &[Hash],
) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 || old > new {
        return false;
    }
    let mut path = proof.iter().copied();
    let Some(seed) = (if old.is_power_of_two() {
        Some(old_root)
    } else {
        path.next()
    }) else {
        return false;
    };
    let shift = (old - 1).trailing_ones();
    let (mut place, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let (mut of_old, mut of_new) = (seed, seed);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            of_old = Hash::node(sibling, of_old);
            of_new = Hash::node(sibling, of_new);
            while place.is_multiple_of(2) && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            of_new = Hash::node(of_new, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == old_root && of_new == new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Hash {
        Hash::leaf(number.to_string().as_bytes())
    }

    /// A tree of so many leaves, of which those before `start` are gone.
    fn leaves(start: u64, size: u64) -> Leaves {
        let mut frontier = Frontier::default();
        (0..start).for_each(|number| frontier.push(leaf(number)));
        let mut leaves = Leaves::after(frontier);
        (start..size).for_each(|number| leaves.push(leaf(number)));
        leaves
    }

    fn root(size: u64) -> Hash {
        let mut frontier = Frontier::default();
        (0..size).for_each(|number| frontier.push(leaf(number)));
        frontier.root()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
        for size in 1..40 {
            let (leaves, top) = (leaves(0, size), root(size));
            for index in 0..size {
                let proof = leaves.inclusion(index).unwrap();
                let holds = |leaf, index, proof: &[Hash], top| {
                    proves_inclusion(leaf, index, size, proof, top)
                };
                assert!(holds(leaf(index), index, &proof, top), "{index} of {size}");
                assert!(!holds(Hash::leaf(b"other"), index, &proof, top));
                assert!(!holds(leaf(index), index, &proof, Hash::ZERO));
                assert!(!holds(leaf(index), size, &proof, top));
                let mut longer = proof.clone();
                longer.push(Hash::ZERO);
                assert!(!holds(leaf(index), index, &longer, top));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!holds(leaf(index), index, shorter, top));
                }
            }
            assert!(leaves.inclusion(size).is_none());
        }
    }

    #[test]
    fn every_beginning_is_proven_and_no_other() {
        for new in 1..40 {
            let (all, top) = (leaves(0, new), root(new));
            for old in 1..=new {
                let proof = all.consistency(old).unwrap();
                let begin = root(old);
                let holds = |begin, top| proves_consistency((old, begin), (new, top), &proof);
                assert!(holds(begin, top), "{old} of {new}");
                assert!(!holds(Hash::ZERO, top), "{old} of {new}");
                assert!(!holds(begin, Hash::ZERO), "{old} of {new}");
            }
            assert!(all.consistency(0).is_none() && all.consistency(new + 1).is_none());
        }
    }

    /// The right edge of what is gone is enough, and gives the same proofs.
    #[test]
    fn what_is_kept_is_proven_without_what_is_gone() {
        for size in 1..40 {
            let all = leaves(0, size);
            for start in 0..=size {
                let kept = leaves(start, size);
                assert_eq!(kept.size(), size);
                for number in 0..size {
                    let due = all.inclusion(number).filter(|_| number >= start);
                    assert_eq!(kept.inclusion(number), due, "{number} of {start}..{size}");
                    let due = all.consistency(number).filter(|_| number >= start);
                    assert_eq!(kept.consistency(number), due, "{number} of {start}..{size}");
                }
            }
        }
    }

    /// From RFC 6962 §2.1.3, by the letters of its picture.
    #[test]
    #[expect(clippy::many_single_char_names, reason = "as in RFC 6962")]
    fn the_examples_of_the_rfc() {
        let tree = leaves(0, 7);
        let d: Vec<Hash> = (0..7).map(leaf).collect();
        let (g, h) = (Hash::node(d[0], d[1]), Hash::node(d[2], d[3]));
        let (i, j) = (Hash::node(d[4], d[5]), d[6]);
        let (k, l) = (Hash::node(g, h), Hash::node(i, j));
        assert_eq!(tree.inclusion(0).unwrap(), [d[1], h, l]);
        assert_eq!(tree.inclusion(3).unwrap(), [d[2], g, l]);
        assert_eq!(tree.inclusion(4).unwrap(), [d[5], j, k]);
        assert_eq!(tree.inclusion(6).unwrap(), [i, k]);
        assert_eq!(tree.consistency(3).unwrap(), [d[2], d[3], g, l]);
        assert_eq!(tree.consistency(4).unwrap(), [l]);
        assert_eq!(tree.consistency(6).unwrap(), [i, j, k]);
    }
}
