//! Several workers, a clock that jumps, failovers and a person at the desk play the protocol, in any order. What may
//! happen is kept by an account of its own: who made the last claim of each job that still stands.

use certfleet_domain::{SystemClock, SystemRng};
use proptest::prelude::*;

use super::*;

const JOBS: usize = 3;
const WORKERS: usize = 3;
const LEASE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
enum Act {
    /// The clock of the next primary may be behind.
    Jump(i64),
    /// A worker takes what is due.
    Claim {
        worker: usize,
    },
    /// A worker renews all that it thinks it has.
    Renew {
        worker: usize,
    },
    /// A worker ends one of all claims it ever made: it may have been paused for long.
    End {
        worker: usize,
        which: usize,
        outcome: Outcome,
    },
    /// A failover undoes the last claim of a job, if nothing came after it.
    Undo {
        job: usize,
    },
    Retry {
        job: usize,
    },
    Discard {
        job: usize,
    },
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let error = "e".to_owned();
    let after = Duration::from_secs(30);
    prop_oneof![
        Just(Outcome::Done),
        Just(Outcome::Release),
        Just(Outcome::Fail {
            error: error.clone()
        }),
        Just(Outcome::Retry { after, error }),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (-30_000_i64..120_000).prop_map(Act::Jump),
        3 => (0..WORKERS).prop_map(|worker| Act::Claim { worker }),
        1 => (0..WORKERS).prop_map(|worker| Act::Renew { worker }),
        4 => (0..WORKERS, any::<usize>(), outcomes())
            .prop_map(|(worker, which, outcome)| Act::End { worker, which, outcome }),
        1 => (0..JOBS).prop_map(|job| Act::Undo { job }),
        1 => (0..JOBS).prop_map(|job| Act::Retry { job }),
        1 => (0..JOBS).prop_map(|job| Act::Discard { job }),
    ]
}

/// A claim, as a worker remembers it.
#[derive(Clone, Copy)]
struct Claim {
    job: usize,
    token: LeaseToken,
    fence: Fence,
}

struct World {
    now: Moment,
    entries: Vec<Entry>,
    claims: Vec<Vec<Claim>>,
    /// Whose claim of each job stands, by this account.
    holder: Vec<Option<LeaseToken>>,
    /// What each job was before its last claim, as long as a failover may undo that.
    before: Vec<Option<Entry>>,
    done: Vec<u32>,
    /// Claims less those that were handed back or undone, since the last retry.
    attempts: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let now = Moment(1_000_000);
        Self {
            now,
            entries: vec![Entry::enqueued(now); JOBS],
            claims: vec![Vec::new(); WORKERS],
            holder: vec![None; JOBS],
            before: vec![None; JOBS],
            done: vec![0; JOBS],
            attempts: vec![0; JOBS],
        }
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Jump(by) => self.now = Moment(self.now.0 + by),
            Act::Claim { worker } => self.claim(*worker),
            Act::Renew { worker } => self.renew(*worker),
            Act::End {
                worker,
                which,
                outcome,
            } => self.end(*worker, *which, outcome),
            Act::Undo { job } => {
                if let Some(before) = self.before[*job].take() {
                    self.entries[*job] = before;
                    self.holder[*job] = match before.standing {
                        Standing::Leased { by, .. } => Some(by),
                        _ => None,
                    };
                    self.attempts[*job] -= 1;
                }
            }
            Act::Retry { job } => {
                if let Some(entry) = self.entries[*job].retry(self.now) {
                    self.entries[*job] = entry;
                    self.attempts[*job] = 0;
                }
            }
            Act::Discard { job } => {
                if let Some(entry) = self.entries[*job].discard() {
                    self.entries[*job] = entry;
                }
            }
        }
        for (entry, attempts) in self.entries.iter().zip(&self.attempts) {
            assert_eq!(entry.attempt, *attempts);
        }
    }

    fn claim(&mut self, worker: usize) {
        // One token for all that is claimed together, as storage has it.
        let token = LeaseToken::generate(&SystemClock, &mut SystemRng);
        for job in 0..JOBS {
            let before = self.entries[job];
            if let Some(entry) = before.claim(token, self.now, LEASE) {
                assert_eq!(entry.fence.0, before.fence.0 + 1);
                self.entries[job] = entry;
                let fence = entry.fence;
                self.claims[worker].push(Claim { job, token, fence });
                self.holder[job] = Some(token);
                self.before[job] = Some(before);
                self.attempts[job] += 1;
            }
        }
    }

    fn renew(&mut self, worker: usize) {
        for claim in self.claims[worker].clone() {
            let renewed = self.entries[claim.job].renew(claim.token, self.now, LEASE);
            assert_eq!(
                renewed.is_some(),
                self.holder[claim.job] == Some(claim.token)
            );
            if let Some(entry) = renewed {
                self.entries[claim.job] = entry;
                // A renewal waits for a majority, and what came before it is then there as well.
                self.before[claim.job] = None;
            }
        }
    }

    fn end(&mut self, worker: usize, which: usize, outcome: &Outcome) {
        let claims = &self.claims[worker];
        if claims.is_empty() {
            return;
        }
        let claim = claims[which % claims.len()];
        let job = claim.job;
        let ended = self.entries[job].end(claim.token, claim.fence, outcome, self.now);
        let stands = self.holder[job] == Some(claim.token);
        assert_eq!(
            ended.is_some(),
            stands,
            "only the last claim's result counts"
        );
        if let Some(entry) = ended {
            assert_eq!(entry.fence, claim.fence);
            self.entries[job] = entry;
            self.holder[job] = None;
            self.before[job] = None;
            match outcome {
                Outcome::Done => self.done[job] += 1,
                Outcome::Release => self.attempts[job] -= 1,
                Outcome::Fail { .. } | Outcome::Retry { .. } => {}
            }
        }
    }

    /// Everybody comes back, time passes, and what can be done is done.
    fn finish(&mut self) {
        self.play(&Act::Jump(1_000_000));
        self.play(&Act::Claim { worker: 0 });
        for which in 0..self.claims[0].len() {
            self.end(0, which, &Outcome::Done);
        }
        for (entry, done) in self.entries.iter().zip(&self.done) {
            let due = match entry.standing {
                Standing::Done => 1,
                Standing::Dead | Standing::Discarded => 0,
                Standing::Queued { .. } | Standing::Leased { .. } => panic!("lost: {entry:?}"),
            };
            assert_eq!(*done, due, "done once, if it is done");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_done_twice_and_nothing_is_lost(acts in prop::collection::vec(acts(), 0..80)) {
        let mut world = World::new();
        for act in &acts {
            world.play(act);
        }
        world.finish();
    }
}
