//! A managed certificate: what the fleet is to have under some names, through all its renewals (FLT-2).

use time::Duration;

use super::reason::old_at;
use super::{Advice, Attempt, Course, Current, Reason, Setback};
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::{ManagedId, VersionId};
use crate::notice::first_notice;
use crate::transition::InvalidTransition;
use crate::{ProjectName, UpstreamName};

/// How soon after a renewal was enqueued it is looked at again, in case it was lost.
const LOOK_AGAIN: Duration = Duration::minutes(15);
/// The shares of an authority's word on when to ask again that are believed.
const ASK_WITHIN: (Duration, Duration) = (Duration::MINUTE, Duration::DAY);
/// When an authority is asked again that does not say when, or says nothing: a silent one is not asked more than one that speaks.
const ASK_AGAIN: Duration = Duration::hours(6);
/// So often one fails at an authority before the next is tried, if there is no certificate that could expire.
const PATIENCE: u32 = 2;

/// A managed certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// Its id.
    pub id: ManagedId,
    /// Whose it is.
    pub project: ProjectName,
    /// The names it is to have, sorted, each once.
    pub names: Vec<Identifier>,
    /// Whom to get it from, in order of preference; at least one.
    pub upstreams: Vec<UpstreamName>,
    /// The certificate that it has now.
    pub current: Option<Current>,
    /// How far a renewal is.
    pub course: Course,
    /// What went wrong since the last success.
    pub setback: Option<Setback>,
    /// Under what a key is kept that was made for an attempt which came to nothing: the next one has it.
    pub spare: Option<VersionId>,
    /// Whether somebody asked for a renewal that has not come yet.
    pub forced: bool,
    /// When it is to be looked at next.
    pub next_at: Timestamp,
    /// When somebody is to be told that it was not renewed, if it is not until then.
    pub notice_at: Option<Timestamp>,
    /// How often a look at it has ended: each look is a job of its own, and there is one at a time.
    pub round: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until this moment.
    Rest(Timestamp),
    /// Ask the authority of the current certificate what it suggests.
    Ask,
    /// Begin a renewal, for this reason.
    Begin(Reason),
    /// Place the order, unless it was.
    Place,
    /// See the order through.
    Pursue,
}

impl Managed {
    /// A new one, to be looked at at once.
    pub fn new(
        id: ManagedId,
        names: Vec<Identifier>,
        upstreams: Vec<UpstreamName>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            project: ProjectName::default(),
            names,
            upstreams,
            current: None,
            course: Course::Resting,
            setback: None,
            spare: None,
            forced: false,
            next_at: now,
            notice_at: None,
            round: 0,
            created_at: now,
            version: 0,
        }
    }

    /// One that somebody else has had until now, with the certificate that they had.
    pub fn imported(
        id: ManagedId,
        current: Current,
        upstreams: Vec<UpstreamName>,
        now: Timestamp,
    ) -> Self {
        let new = Self::new(id, current.names.clone(), upstreams, now);
        let imported = Self {
            notice_at: Some(first_notice(current.not_before, current.not_after)),
            current: Some(current),
            ..new
        };
        imported.rest(now)
    }

    /// The same, of this project.
    #[must_use]
    pub fn in_project(self, project: ProjectName) -> Self {
        Self { project, ..self }
    }

    /// What is to be done next.
    pub fn next(&self, now: Timestamp) -> Next {
        match &self.course {
            Course::Placing(_) => return Next::Place,
            Course::Ordered { .. } => return Next::Pursue,
            Course::Resting => {}
        }
        let held_back = self.setback.as_ref().map(|setback| setback.retry_at);
        match Reason::of(self, now) {
            // Whoever asks for it does so to have it tried now.
            Some(reason) if self.forced || held_back.is_none_or(|until| until <= now) => {
                Next::Begin(reason)
            }
            Some(_) => Next::Rest(held_back.unwrap_or(now)),
            None if self.wants_to_ask(now) => Next::Ask,
            None => Next::Rest(self.rest_until(now)),
        }
    }

    fn wants_to_ask(&self, now: Timestamp) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.cert_id.is_some() && current.ask_at <= now)
    }

    /// When there will be something to do, if nothing happens until then.
    fn rest_until(&self, now: Timestamp) -> Timestamp {
        let Some(current) = &self.current else {
            return now;
        };
        let suggested = current.advice.as_ref().map(|advice| advice.moment);
        let ask = current.cert_id.as_ref().map(|_| current.ask_at);
        [Some(old_at(current)), suggested, ask]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now)
    }

    /// From whom: the first choice, as long as there is time. One whose certificate would expire first, or that has none and
    /// has failed [some times](PATIENCE), goes to the others in turn (FLT-5).
    pub fn choose(&self, now: Timestamp) -> Option<&UpstreamName> {
        let setback = self.setback.as_ref();
        let failures = setback.map_or(0, |setback| setback.failures);
        let put_off = setback.map_or(0, |setback| setback.put_off);
        let presses = match &self.current {
            // Half of the time that is kept for failures is over.
            Some(current) => {
                let old = old_at(current);
                now >= old + (current.not_after - old) / 2
            }
            None => failures >= PATIENCE,
        };
        let turn = if presses {
            let turns = failures.saturating_add(put_off);
            usize::try_from(turns).unwrap_or(usize::MAX) % self.upstreams.len().max(1)
        } else {
            0
        };
        self.upstreams.get(turn).or(self.upstreams.first())
    }

    /// A renewal begins, under this version.
    pub fn begin(
        self,
        reason: Reason,
        upstream: UpstreamName,
        version: VersionId,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let Course::Resting = self.course else {
            return Err(self.cannot("begun to be renewed"));
        };
        let says_replaces = self.current.as_ref().is_some_and(|current| {
            current.upstream == upstream
                && current.cert_id.is_some()
                && current.names.iter().any(|name| self.names.contains(name))
        });
        Ok(Self {
            course: Course::Placing(Attempt {
                reason,
                upstream,
                version,
                since: now,
                says_replaces,
            }),
            spare: None,
            ..self
        })
    }

    /// The order is placed.
    pub fn placed(self, order: String) -> Result<Self, InvalidTransition> {
        match self.course {
            Course::Placing(attempt) => Ok(Self {
                course: Course::Ordered { attempt, order },
                ..self
            }),
            Course::Resting | Course::Ordered { .. } => Err(self.cannot("ordered")),
        }
    }

    /// The authority does not take an order that says what it replaces: once more without.
    pub fn place_plainly(self) -> Result<Self, InvalidTransition> {
        match self.course {
            Course::Placing(attempt) if attempt.says_replaces => Ok(Self {
                course: Course::Placing(Attempt {
                    says_replaces: false,
                    ..attempt
                }),
                ..self
            }),
            Course::Placing(_) | Course::Resting | Course::Ordered { .. } => {
                Err(self.cannot("ordered without saying what it replaces"))
            }
        }
    }

    /// The certificate is there, and kept.
    pub fn obtained(self, current: Current, now: Timestamp) -> Result<Self, InvalidTransition> {
        let Course::Ordered { .. } = self.course else {
            return Err(self.cannot("obtained"));
        };
        let obtained = Self {
            notice_at: Some(first_notice(current.not_before, current.not_after)),
            current: Some(current),
            course: Course::Resting,
            setback: None,
            forced: false,
            ..self
        };
        Ok(obtained.rest(now))
    }

    /// The authority's budget is used up, for so long. Nothing was ordered, and nothing has failed.
    pub fn put_off(
        self,
        why: String,
        wait: Duration,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let Course::Placing(attempt) = &self.course else {
            return Err(self.cannot("put off"));
        };
        let spare = attempt.version;
        let setback = Setback::put_off(self.setback.as_ref(), why, wait, now);
        Ok(self.stopped(setback, Some(spare)))
    }

    /// The attempt came to nothing.
    pub fn failed(
        self,
        why: String,
        at_least: Option<Duration>,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let Some(attempt) = self.course.attempt() else {
            return Err(self.cannot("failed"));
        };
        let spare = attempt.version;
        let setback = self.one_more_failure(why, at_least, now);
        Ok(self.stopped(setback, Some(spare)))
    }

    /// Whatever was under way, nobody goes on with it.
    #[must_use]
    pub fn given_up(self, why: String, now: Timestamp) -> Self {
        let spare = self.course.attempt().map(|attempt| attempt.version);
        let setback = self.one_more_failure(why, None, now);
        let spare = spare.or(self.spare);
        self.stopped(setback, spare)
    }

    fn one_more_failure(&self, why: String, at_least: Option<Duration>, now: Timestamp) -> Setback {
        let end = self.current.as_ref().map(|current| current.not_after);
        Setback::after(self.setback.as_ref(), why, end, at_least, now)
    }

    fn stopped(self, setback: Setback, spare: Option<VersionId>) -> Self {
        Self {
            course: Course::Resting,
            next_at: setback.retry_at,
            setback: Some(setback),
            spare,
            forced: false,
            round: self.round + 1,
            ..self
        }
    }

    /// What the current certificate's authority suggests was asked: nothing, or this. `again_in` is its word on when to ask
    /// again, of which a minute to a day is believed (FLT-4).
    #[must_use]
    pub fn advised(
        self,
        advice: Option<Advice>,
        again_in: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let (least, most) = ASK_WITHIN;
        let again_in = again_in.unwrap_or(ASK_AGAIN).clamp(least, most);
        let current = self.current.map(|current| Current {
            // The moment that was drawn stays, as long as the window does: else each answer would draw anew.
            advice: match (current.advice, advice) {
                (Some(before), Some(new)) if before.window == new.window => Some(before),
                (_, new) => new,
            },
            ask_at: now + again_in,
            ..current
        });
        Self { current, ..self }
    }

    /// The current certificate's authority was asked, and gave no answer: what it said before counts on.
    #[must_use]
    pub fn not_advised(self, now: Timestamp) -> Self {
        let current = self.current.map(|current| Current {
            ask_at: now + ASK_AGAIN,
            ..current
        });
        Self { current, ..self }
    }

    /// The look at it has ended: nothing is to be done for now.
    #[must_use]
    pub fn rest(self, now: Timestamp) -> Self {
        let next_at = match self.next(now) {
            Next::Rest(until) => until.max(now),
            Next::Ask | Next::Begin(_) | Next::Place | Next::Pursue => now,
        };
        Self {
            next_at,
            round: self.round + 1,
            ..self
        }
    }

    /// A look at it is enqueued.
    #[must_use]
    pub fn looked_after(self, now: Timestamp) -> Self {
        Self {
            next_at: now + LOOK_AGAIN,
            ..self
        }
    }

    /// Somebody asks for a renewal, now.
    #[must_use]
    pub fn force(self, now: Timestamp) -> Self {
        Self {
            forced: true,
            next_at: now,
            ..self
        }
    }

    /// It is to have these names from now on.
    #[must_use]
    pub fn rename(self, names: Vec<Identifier>, now: Timestamp) -> Self {
        Self {
            names,
            next_at: now,
            ..self
        }
    }

    /// It is to be had from these from now on, in order of preference.
    #[must_use]
    pub fn from_now_on_from(self, upstreams: Vec<UpstreamName>, now: Timestamp) -> Self {
        Self {
            upstreams,
            next_at: now,
            ..self
        }
    }

    fn cannot(&self, step: &'static str) -> InvalidTransition {
        InvalidTransition {
            entity: "managed certificate",
            id: self.id.to_string(),
            state: self.course.name(),
            step,
        }
    }
}
