//! Reading the log again, to see whether it is what it was.

use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::Head;

/// What was done to the log, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// Entries are not there.
    #[error("entry {from} is missing: the next one there is {to}")]
    Missing {
        /// The first.
        from: u64,
        /// The one that comes instead.
        to: u64,
    },
    /// There is something between two entries, or an entry a second time.
    #[error("entry {number}: what follows is numbered {found}: something was put in before it")]
    Inserted {
        /// The number that is due.
        number: u64,
        /// The number that is there.
        found: u64,
    },
    /// An entry is not what the chain holds it to be: it was changed, replaced or moved.
    #[error("entry {number} was changed, replaced or moved")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// The chain goes on, and yet the tree is not what was signed: entries were changed, and the chain made anew.
    #[error(
        "the log was rewritten: entry {from}, or one after it and before {size}, is not what was signed at {size} entries"
    )]
    Rewritten {
        /// The first that may be wrong: what was signed before is still so.
        from: u64,
        /// What the checkpoint is of.
        size: u64,
    },
    /// The log ends before it should.
    #[error("the log was cut: it ends before entry {end}, and there was one of number {last}")]
    Cut {
        /// The number of the first that is not there.
        end: u64,
        /// The last that there was.
        last: u64,
    },
    /// There is something after the end of the log.
    #[error("entry {number} is not of the log, which ends before it")]
    Beyond {
        /// The number that it is kept under.
        number: u64,
    },
    /// What the database holds for the end of the log is not its end.
    #[error("the log's head is not the end of the log, which has {size} entries")]
    Head {
        /// How many there are.
        size: u64,
    },
}

/// Reads the log, entry by entry.
pub struct Verifier {
    head: Head,
    /// What is due at which size.
    due: BTreeMap<u64, (Hash, Hash)>,
    /// What was signed and found right last.
    good: u64,
    /// Two checkpoints of one size that differ.
    split: Option<u64>,
}

impl Verifier {
    /// From `start`, which is the beginning or what a checkpoint holds to be right, and against these checkpoints.
    pub fn new(start: Head, checkpoints: impl IntoIterator<Item = Checkpoint>) -> Self {
        let mut due = BTreeMap::new();
        let mut split = None;
        for checkpoint in checkpoints {
            let signed = (checkpoint.root, checkpoint.chain);
            if due
                .insert(checkpoint.size, signed)
                .is_some_and(|before| before != signed)
            {
                split.get_or_insert(checkpoint.size);
            }
        }
        let good = start.size();
        Self {
            head: start,
            due,
            good,
            split,
        }
    }

    /// How many entries have been read, those before the start included.
    pub fn size(&self) -> u64 {
        self.head.size()
    }

    /// Takes entries that follow each other, of which the first has this number, with the links of the chain that are kept
    /// with them.
    ///
    /// # Errors
    /// The first that is wrong. Nothing can be said of what comes after it.
    pub fn take<'a>(
        &mut self,
        first: u64,
        entries: impl IntoIterator<Item = &'a [u8]>,
        links: &[Hash],
    ) -> Result<(), Tampering> {
        let due = self.size();
        if first > due {
            return Err(Tampering::Missing {
                from: due,
                to: first,
            });
        }
        if first < due {
            return Err(Tampering::Inserted {
                number: due,
                found: first,
            });
        }
        let mut links = links.iter();
        for entry in entries {
            let number = self.size();
            let link = self.head.append(entry);
            if links.next() != Some(&link) {
                return Err(Tampering::Changed { number });
            }
            self.check_signed()?;
        }
        match links.next() {
            // One was taken out.
            Some(_) => Err(Tampering::Changed {
                number: self.size(),
            }),
            None => Ok(()),
        }
    }

    fn check_signed(&mut self) -> Result<(), Tampering> {
        let size = self.size();
        // Most entries are not the last of anything.
        let Some((root, chain)) = self.due.get(&size) else {
            return Ok(());
        };
        let right = self.head.tree.root() == *root && self.head.chain == *chain;
        if !right || self.split == Some(size) {
            return Err(Tampering::Rewritten {
                from: self.good,
                size,
            });
        }
        self.good = size;
        Ok(())
    }

    /// Ends the reading: the log has to be as long as every checkpoint says, and to end where the database holds it to.
    ///
    /// # Errors
    /// If it is not.
    pub fn end(self, held: &Head) -> Result<Head, Tampering> {
        let size = self.size();
        let last = self.due.keys().next_back().copied().unwrap_or(0);
        let longest = last.max(held.size());
        if longest > size {
            return Err(Tampering::Cut {
                end: size,
                last: longest - 1,
            });
        }
        if *held == self.head {
            Ok(self.head)
        } else {
            Err(Tampering::Head { size })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The log as it lies in a database: blocks of entries with their links.
    #[derive(Debug, Clone)]
    struct Stored {
        blocks: Vec<(u64, Vec<Vec<u8>>, Vec<Hash>)>,
        head: Head,
        checkpoints: Vec<Checkpoint>,
    }

    /// A log of so many entries, in blocks of `block`, with a checkpoint every `every`.
    fn log(size: usize, block: usize, every: u64) -> Stored {
        let mut head = Head::default();
        let mut stored = Stored {
            blocks: Vec::new(),
            head: head.clone(),
            checkpoints: Vec::new(),
        };
        for number in 0..size {
            if number % block == 0 {
                stored.blocks.push((head.size(), Vec::new(), Vec::new()));
            }
            let entry = format!("entry {number}").into_bytes();
            let link = head.append(&entry);
            if let Some((_, entries, links)) = stored.blocks.last_mut() {
                entries.push(entry);
                links.push(link);
            }
            if head.size().is_multiple_of(every) {
                stored.checkpoints.push(Checkpoint::of("t", &head));
            }
        }
        stored.head = head;
        stored
    }

    impl Stored {
        fn verify(&self) -> Result<Head, Tampering> {
            let mut verifier = Verifier::new(Head::default(), self.checkpoints.clone());
            for (first, entries, links) in &self.blocks {
                verifier.take(*first, entries.iter().map(Vec::as_slice), links)?;
            }
            verifier.end(&self.head)
        }

        /// Numbers, links and head as if nothing had happened.
        fn made_anew(mut self) -> Self {
            let mut head = Head::default();
            for (first, entries, links) in &mut self.blocks {
                *first = head.size();
                *links = entries.iter().map(|entry| head.append(entry)).collect();
            }
            self.head = head;
            self
        }

        fn place(&self, number: usize) -> (usize, usize) {
            let mut left = number;
            for (index, (_, entries, _)) in self.blocks.iter().enumerate() {
                if left < entries.len() {
                    return (index, left);
                }
                left -= entries.len();
            }
            panic!("there is no entry {number}")
        }
    }

    #[test]
    fn a_whole_log_is_whole() {
        for size in [0, 1, 7, 8, 9, 100] {
            let stored = log(size, 8, 10);
            assert_eq!(stored.verify(), Ok(stored.head.clone()), "{size}");
        }
    }

    #[test]
    fn what_is_new_is_read_from_a_checkpoint_on() {
        let stored = log(96, 8, 1000);
        let begun = log(40, 8, 1000);
        let mut verifier = Verifier::new(begun.head, []);
        for (first, entries, links) in &stored.blocks[5..] {
            let entries = entries.iter().map(Vec::as_slice);
            verifier.take(*first, entries, links).unwrap();
        }
        assert_eq!(verifier.end(&stored.head), Ok(stored.head));
    }

    #[test]
    fn two_checkpoints_of_one_size_that_differ_are_a_fork() {
        let mut stored = log(20, 8, 10);
        let mut other = stored.checkpoints[0].clone();
        other.root = Hash::ZERO;
        stored.checkpoints.push(other);
        assert_eq!(
            stored.verify(),
            Err(Tampering::Rewritten { from: 0, size: 10 })
        );
    }

    proptest! {
        #[test]
        fn an_edit_is_found_where_it_is(number in 0_usize..100) {
            let mut stored = log(100, 8, 10);
            let (block, index) = stored.place(number);
            stored.blocks[block].1[index].push(b'!');
            let number = u64::try_from(number).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Changed { number }));
            // With the chain made anew, by what was signed.
            let from = number / 10 * 10;
            let rewritten = Tampering::Rewritten { from, size: from + 10 };
            prop_assert_eq!(stored.made_anew().verify(), Err(rewritten));
        }

        #[test]
        fn a_deletion_is_found_where_it_is(number in 0_usize..99) {
            let mut stored = log(100, 8, 10);
            let (block, index) = stored.place(number);
            stored.blocks[block].1.remove(index);
            let wide = u64::try_from(number).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Changed { number: wide }));
            let mut with_its_link = stored.clone();
            with_its_link.blocks[block].2.remove(index);
            let found = with_its_link.verify();
            let last_of_its_block = index + 1 == log(100, 8, 10).blocks[block].1.len();
            if last_of_its_block {
                prop_assert_eq!(found, Err(Tampering::Missing { from: wide, to: wide + 1 }));
            } else {
                prop_assert_eq!(found, Err(Tampering::Changed { number: wide }));
            }
            // Nothing was signed after the last, but that there are a hundred.
            let due = if number < 90 {
                let from = wide / 10 * 10;
                Tampering::Rewritten { from, size: from + 10 }
            } else {
                Tampering::Cut { end: 99, last: 99 }
            };
            prop_assert_eq!(stored.made_anew().verify(), Err(due));
        }

        #[test]
        fn a_whole_block_gone_is_found(block in 0_usize..12) {
            let mut stored = log(100, 8, 10);
            stored.blocks.remove(block);
            let from = u64::try_from(block * 8).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Missing { from, to: from + 8 }));
        }

        #[test]
        fn an_insertion_is_found_where_it_is(number in 0_usize..100) {
            let mut stored = log(100, 8, 10);
            let (block, index) = stored.place(number);
            stored.blocks[block].1.insert(index, b"new".to_vec());
            let wide = u64::try_from(number).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Changed { number: wide }));
            let found = matches!(
                stored.made_anew().verify(),
                Err(Tampering::Rewritten { from, .. }) if from == wide / 10 * 10
            );
            prop_assert!(found);
        }

        #[test]
        fn two_that_changed_places_are_found(one in 0_usize..99, apart in 1_usize..50) {
            let other = (one + apart).min(99);
            prop_assume!(one != other);
            let mut stored = log(100, 8, 10);
            let ((a, i), (b, j)) = (stored.place(one), stored.place(other));
            let (first, second) = (stored.blocks[a].1[i].clone(), stored.blocks[b].1[j].clone());
            stored.blocks[a].1[i] = second;
            stored.blocks[b].1[j] = first;
            let number = u64::try_from(one).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Changed { number }));
            let found = matches!(
                stored.made_anew().verify(),
                Err(Tampering::Rewritten { from, .. }) if from == number / 10 * 10
            );
            prop_assert!(found);
        }

        #[test]
        fn a_cut_tail_is_found(blocks in 1_usize..12) {
            let mut stored = log(100, 8, 10);
            stored.blocks.truncate(blocks);
            let end = u64::try_from(blocks * 8).unwrap();
            prop_assert_eq!(stored.verify(), Err(Tampering::Cut { end, last: 99 }));
            // With the head set back: by what was signed.
            prop_assert_eq!(stored.made_anew().verify(), Err(Tampering::Cut { end, last: 99 }));
        }
    }
}
