//! The election by the clock: time stands still but for the waits.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use certfleet_storage::{StorageError, Term};
use prometheus::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::election::{Elector, Office, Role};
use crate::metrics::Metrics;

const TTL: Duration = Duration::from_secs(15);

enum Answer {
    Held(i64),
    /// By another, for so long.
    Taken(Duration),
    Trouble,
    Silence,
}

/// Gives one answer after the other, then shuts down; keeps book.
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    shutdown: CancellationToken,
    asked: Mutex<Vec<Duration>>,
    stepped_down: Mutex<Vec<Term>>,
    epoch: Instant,
}

impl Role for Scripted {
    async fn held_by_another(&self) -> Result<Option<Duration>, StorageError> {
        let mut answers = self.answers.lock().expect("a lock");
        let Some(Answer::Taken(left)) = answers.front() else {
            return Ok(None);
        };
        let left = *left;
        answers.pop_front();
        self.note();
        Ok(Some(left))
    }

    async fn hold(&self) -> Result<Option<Term>, StorageError> {
        self.note();
        let next = self.answers.lock().expect("a lock").pop_front();
        match next {
            Some(Answer::Held(term)) => Ok(Some(Term(term))),
            Some(Answer::Taken(_)) => Ok(None),
            Some(Answer::Trouble) => Err(StorageError::ShuttingDown),
            Some(Answer::Silence) => std::future::pending().await,
            None => {
                self.shutdown.cancel();
                Ok(None)
            }
        }
    }

    async fn step_down(&self, term: Term) -> Result<(), StorageError> {
        self.stepped_down.lock().expect("a lock").push(term);
        Ok(())
    }
}

impl Scripted {
    fn note(&self) {
        let at = self.epoch.elapsed();
        self.asked.lock().expect("a lock").push(at);
    }
}

/// An office that was held: its term, from when to when.
type Held = (i64, Duration, Duration);

/// Keeps book of when it was held.
struct Offices {
    held: Mutex<Vec<Held>>,
    epoch: Instant,
}

struct InOffice<'a> {
    offices: &'a Offices,
    term: Term,
    since: Duration,
}

impl Drop for InOffice<'_> {
    fn drop(&mut self) {
        let until = self.offices.epoch.elapsed();
        let held = (self.term.0, self.since, until);
        self.offices.held.lock().expect("a lock").push(held);
    }
}

impl Office for Offices {
    async fn fill(&self, term: Term) {
        let _in_office = InOffice {
            offices: self,
            term,
            since: self.epoch.elapsed(),
        };
        std::future::pending::<()>().await;
    }
}

async fn play(answers: Vec<Answer>) -> (Vec<Held>, Scripted) {
    play_until(CancellationToken::new(), answers).await
}

async fn play_until(shutdown: CancellationToken, answers: Vec<Answer>) -> (Vec<Held>, Scripted) {
    let epoch = Instant::now();
    let offices = Offices {
        held: Mutex::default(),
        epoch,
    };
    let elector = Elector {
        role: Scripted {
            answers: Mutex::new(answers.into()),
            shutdown: shutdown.clone(),
            asked: Mutex::default(),
            stepped_down: Mutex::default(),
            epoch,
        },
        ttl: TTL,
        renew_every: TTL / 3,
        metrics: Metrics::register(&Registry::new()).expect("a registry of its own"),
    };
    elector.run(&offices, &shutdown).await;
    (offices.held.into_inner().expect("a lock"), elector.role)
}

fn seconds(text: u64) -> Duration {
    Duration::from_secs(text)
}

#[tokio::test(start_paused = true)]
async fn a_standby_looks_again_and_again_and_a_leader_renews() {
    use Answer::{Held, Taken};
    let long = Taken(seconds(12));
    // Not a moment later than the lease ends.
    let nearly_over = Taken(Duration::from_millis(250));
    let (offices, role) = play(vec![long, nearly_over, Held(4), Held(4), Held(4)]).await;
    let begin = Duration::from_millis(1_250);
    // The answer after the last of these is that another has it.
    assert_eq!(offices, [(4, begin, begin + seconds(15))]);
    let asked = role.asked.into_inner().expect("a lock");
    let due = [0, 1_000, 1_250, 6_250, 11_250, 16_250].map(Duration::from_millis);
    assert_eq!(asked, due);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_before_its_lease_can_have_ended() {
    use Answer::{Held, Silence, Trouble};
    for failure in [|| Silence, || Trouble] {
        let mut answers = vec![Held(1), Held(1)];
        answers.extend(std::iter::repeat_with(failure).take(12));
        let (offices, _) = play(answers).await;
        let (term, since, until) = offices[0];
        // Renewed last at 5 s, so the lease ends at 20 s at the earliest.
        assert_eq!((term, since), (1, seconds(0)));
        assert!(until <= seconds(18), "it led until {until:?}");
        assert!(until >= seconds(15), "it gave up at {until:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn passing_trouble_does_not_end_an_office() {
    use Answer::{Held, Trouble};
    let (offices, _) = play(vec![Held(1), Trouble, Trouble, Held(1), Held(1)]).await;
    assert_eq!(offices.len(), 1);
    let (_, since, until) = offices[0];
    assert!(until > since + TTL, "{since:?} to {until:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_term_is_a_new_office() {
    use Answer::Held;
    // The lease had run out unnoticed: what was done in between does not count, and all begins anew.
    let (offices, _) = play(vec![Held(1), Held(2), Held(2)]).await;
    let terms: Vec<i64> = offices.iter().map(|(term, ..)| *term).collect();
    assert_eq!(terms, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_go_steps_down_at_once() {
    let shutdown = CancellationToken::new();
    let answers = std::iter::repeat_with(|| Answer::Held(7))
        .take(100)
        .collect();
    let stop = {
        let shutdown = shutdown.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(12_500)).await;
            shutdown.cancel();
        }
    };
    let ((offices, role), ()) = tokio::join!(play_until(shutdown, answers), stop);
    assert_eq!(offices, [(7, seconds(0), Duration::from_millis(12_500))]);
    assert_eq!(*role.stepped_down.lock().expect("a lock"), [Term(7)]);
}
