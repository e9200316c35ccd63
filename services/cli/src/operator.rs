//! Who sits at the command line, for the record.

use std::fmt::Display;

use certfleet_audit::{Act, Actor, Event, Sender};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use nix::unistd::{Uid, User};

/// Who sits at the command line: the name that the system has for the user whose process this is. Whoever may write to
/// the database may call themselves what they like; it is a help for those who look back, and no proof.
pub struct Operator(Sender);

impl Operator {
    /// Whoever runs this process. Its id is of this run alone.
    pub fn here() -> Self {
        let uid = Uid::current();
        let name = match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            // Containers have users without a name.
            Ok(None) | Err(_) => format!("uid {uid}"),
        };
        Self(Sender {
            server: ServerId::generate(&SystemClock, &mut SystemRng),
            actor: Actor::Operator(name),
            address: None,
            request: None,
        })
    }

    /// Who they are, for the record.
    pub fn sender(&self) -> &Sender {
        &self.0
    }

    /// What is put on record of their act on `target`, such as `job/<key>`.
    pub fn event(&self, act: Act, target: impl Display) -> Event {
        Event::new(&self.0, act, target, &SystemClock)
    }
}
