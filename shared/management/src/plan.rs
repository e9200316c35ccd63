//! An act, prepared.

use std::fmt::Display;

use certfleet_audit::{Act, Event, Sender};
use certfleet_domain::SystemClock;
use certfleet_storage::collections::IDEMPOTENCY;
use certfleet_storage::{CommitError, Store, Unit};

use crate::refused::Refused;

/// An act, prepared: what it will have made, and what is to be written.
#[must_use = "a plan does nothing until it is carried out"]
pub struct Plan<T> {
    /// What there will be afterwards.
    pub made: T,
    unit: Unit,
    acts: Vec<Recorded>,
    taken: &'static str,
}

struct Recorded {
    act: Act,
    target: String,
    detail: Option<String>,
}

impl<T> Plan<T> {
    /// A plan to make this, by these writes.
    pub(crate) fn new(made: T, unit: Unit) -> Self {
        Self {
            made,
            unit,
            acts: Vec::new(),
            taken: "there is one of this name already",
        }
    }

    /// What is put on record of it: an act on `target`.
    pub(crate) fn recording(mut self, act: Act, target: impl Display) -> Self {
        self.acts.push(Recorded {
            act,
            target: target.to_string(),
            detail: None,
        });
        self
    }

    /// More on the act that was named last. Nothing secret.
    pub(crate) fn with_detail(mut self, detail: impl Display) -> Self {
        if let Some(last) = self.acts.last_mut() {
            last.detail = Some(detail.to_string());
        }
        self
    }

    /// What is said if there is one already.
    pub(crate) fn if_taken(mut self, words: &'static str) -> Self {
        self.taken = words;
        self
    }

    /// More is to be written with it.
    pub(crate) fn and(mut self, unit: Unit) -> Self {
        self.unit = self.unit.and(unit);
        self
    }

    /// Carries it out, by `sender`.
    pub async fn carry_out(self, store: &Store, sender: &Sender) -> Result<T, Refused> {
        self.carry_out_beside(store, sender, Unit::default()).await
    }

    /// Carries it out, and writes something else beside it, or neither.
    pub async fn carry_out_beside(
        self,
        store: &Store,
        sender: &Sender,
        beside: Unit,
    ) -> Result<T, Refused> {
        let mut unit = self.unit.and(beside);
        for recorded in self.acts {
            let event = Event::new(sender, recorded.act, recorded.target, &SystemClock);
            let event = match recorded.detail {
                Some(detail) => event.with_detail(detail),
                None => event,
            };
            unit = unit.recording(&event)?;
        }
        match store.commit(unit).await {
            Ok(()) => Ok(self.made),
            Err(CommitError::Storage(error)) => Err(error.into()),
            Err(CommitError::Changed { .. }) => Err(Refused::Meanwhile),
            Err(CommitError::Duplicate { collection, .. }) if collection == IDEMPOTENCY => {
                Err(Refused::Before)
            }
            Err(CommitError::Duplicate { .. }) => Err(Refused::Conflict(self.taken.to_owned())),
        }
    }
}
