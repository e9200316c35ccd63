//! Proofs that an entry is in the log, and that a longer log begins as a shorter one was (RFC 6962 §2.1.1, §2.1.2;
//! checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say).

use crate::hash::Hash;

/// The largest power of two that is less than `n`, which is at least 2.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_nothing(),
        [leaf] => *leaf,
        leaves => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Hash::node(root(left), root(right))
        }
    }
}

/// The proof that the leaf at `index` is one of `leaves`: PATH of RFC 6962 §2.1.1. `None` if there is no such leaf.
pub fn inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    match leaves.len() {
        n if index >= n => None,
        1 => Some(Vec::new()),
        n => {
            let (left, right) = leaves.split_at(split(n));
            let (mut path, other) = if index < left.len() {
                (inclusion(left, index)?, right)
            } else {
                (inclusion(right, index - left.len())?, left)
            };
            path.push(root(other));
            Some(path)
        }
    }
}

/// The proof that the tree of the first `size` leaves is a beginning of the whole one: PROOF of RFC 6962 §2.1.2. `None`
/// unless there are so many, and at least one.
pub fn consistency(leaves: &[Hash], size: usize) -> Option<Vec<Hash>> {
    (1..=leaves.len())
        .contains(&size)
        .then(|| subproof(leaves, size, true))
}

fn subproof(leaves: &[Hash], size: usize, known: bool) -> Vec<Hash> {
    if size == leaves.len() {
        // Whoever has the old root need not be told it.
        return if known {
            Vec::new()
        } else {
            vec![root(leaves)]
        };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if size <= left.len() {
        let mut proof = subproof(left, size, known);
        proof.push(root(right));
        proof
    } else {
        let mut proof = subproof(right, size - left.len(), false);
        proof.push(root(left));
        proof
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

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count)
            .map(|number| Hash::leaf(number.to_string().as_bytes()))
            .collect()
    }

    fn wide(number: usize) -> u64 {
        u64::try_from(number).unwrap()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
        for size in 1..40 {
            let leaves = leaves(size);
            let top = root(&leaves);
            for index in 0..size {
                let proof = inclusion(&leaves, index).unwrap();
                let holds = |leaf, index: usize, proof: &[Hash], top| {
                    proves_inclusion(leaf, wide(index), wide(size), proof, top)
                };
                assert!(
                    holds(leaves[index], index, &proof, top),
                    "{index} of {size}"
                );
                assert!(!holds(Hash::leaf(b"other"), index, &proof, top));
                assert!(!holds(leaves[index], index, &proof, Hash::ZERO));
                assert!(!holds(leaves[index], size, &proof, top));
                let mut longer = proof.clone();
                longer.push(Hash::ZERO);
                assert!(!holds(leaves[index], index, &longer, top));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!holds(leaves[index], index, shorter, top));
                }
            }
            assert!(inclusion(&leaves, size).is_none());
        }
    }

    #[test]
    fn every_beginning_is_proven_and_no_other() {
        for new in 1..40 {
            let all = leaves(new);
            let top = root(&all);
            for old in 1..=new {
                let proof = consistency(&all, old).unwrap();
                let begin = root(&all[..old]);
                let holds =
                    |begin, top| proves_consistency((wide(old), begin), (wide(new), top), &proof);
                assert!(holds(begin, top), "{old} of {new}");
                assert!(!holds(Hash::ZERO, top), "{old} of {new}");
                assert!(!holds(begin, Hash::ZERO), "{old} of {new}");
            }
            assert!(consistency(&all, 0).is_none() && consistency(&all, new + 1).is_none());
        }
    }

    /// From RFC 6962 §2.1.3, by the letters of its picture.
    #[test]
    #[expect(clippy::many_single_char_names, reason = "as in RFC 6962")]
    fn the_examples_of_the_rfc() {
        let d = leaves(7);
        let (g, h) = (Hash::node(d[0], d[1]), Hash::node(d[2], d[3]));
        let (i, j) = (Hash::node(d[4], d[5]), d[6]);
        let (k, l) = (Hash::node(g, h), Hash::node(i, j));
        assert_eq!(inclusion(&d, 0).unwrap(), [d[1], h, l]);
        assert_eq!(inclusion(&d, 3).unwrap(), [d[2], g, l]);
        assert_eq!(inclusion(&d, 4).unwrap(), [d[5], j, k]);
        assert_eq!(inclusion(&d, 6).unwrap(), [i, k]);
        assert_eq!(consistency(&d, 3).unwrap(), [d[2], d[3], g, l]);
        assert_eq!(consistency(&d, 4).unwrap(), [l]);
        assert_eq!(consistency(&d, 6).unwrap(), [i, j, k]);
    }
}
