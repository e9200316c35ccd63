//! What people are told without having asked (OPS-7): each thing once, whoever finds it, by each channel that there is.

mod expiry;

use std::fmt;

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::clock::Timestamp;
use crate::drift::Watch;
use crate::fleet::Managed;
use crate::ids::{EventId, ManagedId};
use crate::names::ProjectName;

pub use expiry::{Stage, first_notice};

/// How long to wait before the second try; each wait is twice the one before.
const FIRST_WAIT: Duration = Duration::MINUTE;
/// What could not be told for so long is not tried any more.
const PATIENCE: Duration = Duration::days(7);

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Topic {
    /// A certificate expires soon, or has, and was not renewed.
    Expiry,
    /// A renewal has failed so often that a person should look.
    Failure,
    /// Something else is served than should be, or nothing.
    Drift,
    /// Nothing: somebody wants to know whether notices arrive.
    Test,
}

impl Topic {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Failure => "failure",
            Self::Drift => "drift",
            Self::Test => "test",
        }
    }
}

/// By what people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// By mail.
    Mail,
    /// By a request to a URL.
    Webhook,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that people are to be told, or were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is known by: the same thing is one, however many find it.
    pub id: String,
    /// What it is about.
    pub topic: Topic,
    /// Whose it is.
    pub project: ProjectName,
    /// Which managed certificate, if it is about one.
    pub managed: Option<ManagedId>,
    /// In one line.
    pub subject: String,
    /// More of it.
    pub text: String,
    /// By what it is to be told yet. A channel that nobody has set up is passed over; it is on record all the same.
    pub waiting: Vec<Channel>,
    /// By what it was told.
    pub told: Vec<Channel>,
    /// Tries that have failed.
    pub attempts: u32,
    /// When it is to be tried next; `None` if there is nothing to try.
    pub next_at: Option<Timestamp>,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// When it was found.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

impl Notice {
    fn new(
        (topic, id): (Topic, String),
        project: ProjectName,
        (subject, text): (String, String),
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            topic,
            project,
            managed: None,
            subject,
            text,
            waiting: Channel::ALL.to_vec(),
            told: Vec::new(),
            attempts: 0,
            next_at: Some(now),
            trouble: None,
            created_at: now,
            version: 0,
        }
    }

    fn about(self, managed: &Managed) -> Self {
        Self {
            managed: Some(managed.id),
            ..self
        }
    }

    /// That a certificate was not renewed yet, though it is time.
    pub fn of_expiry(managed: &Managed, stage: Stage, now: Timestamp) -> Self {
        let current = managed.current.as_ref();
        let version = current.map_or_else(String::new, |current| current.version.to_string());
        let id = format!("expiry/{}/{version}/{}", managed.id, stage.name());
        let when = current.map(|current| current.not_after);
        let words = match stage {
            Stage::Left(_) => "expires",
            Stage::Over => "has expired",
        };
        let subject = format!("{} {words}{}", names(managed), at(when));
        let why = managed.setback.as_ref().map(|setback| setback.why.as_str());
        let text = format!(
            "It was not renewed: {}.\ncertfleet cert show {}",
            why.unwrap_or("nothing is known to be wrong"),
            managed.id
        );
        let what = (Topic::Expiry, id);
        Self::new(what, managed.project.clone(), (subject, text), now).about(managed)
    }

    /// That a renewal has failed so often that a person should look.
    pub fn of_failure(managed: &Managed, now: Timestamp) -> Option<Self> {
        let setback = managed
            .setback
            .as_ref()
            .filter(|one| one.wants_a_person())?;
        let current = managed.current.as_ref();
        let version =
            current.map_or_else(|| "none".to_owned(), |current| current.version.to_string());
        let id = format!("failure/{}/{version}", managed.id);
        let subject = match current {
            None => format!("{} cannot be had", names(managed)),
            Some(current) => format!(
                "{} is not renewed; it is valid until{}",
                names(managed),
                at(Some(current.not_after))
            ),
        };
        let text = format!(
            "{} tries have failed, the last one: {}.\ncertfleet cert show {}",
            setback.failures, setback.why, managed.id
        );
        let what = (Topic::Failure, id);
        Some(Self::new(what, managed.project.clone(), (subject, text), now).about(managed))
    }

    /// That something else is served somewhere than should be, if it is.
    pub fn of_drift(watch: &Watch, managed: &Managed, now: Timestamp) -> Option<Self> {
        let finding = watch.finding.as_ref()?;
        let id = format!("drift/{}/{}", watch.id, finding.first_seen.unix_timestamp());
        let subject = format!("{} at {}: {}", watch.name, watch.endpoint, finding.drift);
        let text = format!("{}\ncertfleet cert drift", finding.detail);
        let what = (Topic::Drift, id);
        Some(Self::new(what, managed.project.clone(), (subject, text), now).about(managed))
    }

    /// That somebody wants to know whether notices arrive.
    pub fn of_test(id: EventId, now: Timestamp) -> Self {
        let what = (Topic::Test, format!("test/{id}"));
        let words = "this is a test";
        let text = "Somebody wanted to know whether notices arrive.".to_owned();
        let told = (words.to_owned(), text);
        Self::new(what, ProjectName::default(), told, now)
    }

    /// It was told by this channel.
    #[must_use]
    pub fn told(mut self, channel: Channel) -> Self {
        self.told.push(channel);
        self.passed_over(channel)
    }

    /// Nobody has set up this channel.
    #[must_use]
    pub fn passed_over(self, channel: Channel) -> Self {
        let mut waiting = self.waiting;
        waiting.retain(|one| *one != channel);
        Self {
            next_at: self.next_at.filter(|_| !waiting.is_empty()),
            trouble: self.trouble.filter(|_| !waiting.is_empty()),
            waiting,
            ..self
        }
    }

    /// It could not be told. The next try waits twice as long, `longest` at the most; what could not be told for a week is not
    /// tried any more.
    #[must_use]
    pub fn not_told(self, why: String, longest: Duration, now: Timestamp) -> Self {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.attempts.min(20));
        let gives_up = self.created_at + PATIENCE <= now;
        Self {
            attempts: self.attempts.saturating_add(1),
            next_at: (!gives_up).then_some(now + doubled.min(longest)),
            trouble: Some(why),
            ..self
        }
    }

    /// `waiting`, `told`, `recorded` where nobody has set up a channel, or `givenUp`.
    pub fn status(&self) -> &'static str {
        match (self.waiting.is_empty(), self.next_at) {
            (false, Some(_)) => "waiting",
            (false, None) => "givenUp",
            (true, _) if self.told.is_empty() => "recorded",
            (true, _) => "told",
        }
    }
}

/// The first of its names, and how many more there are.
fn names(managed: &Managed) -> String {
    match managed.names.as_slice() {
        [] => "a certificate".to_owned(),
        [one] => one.to_string(),
        [one, more @ ..] => format!("{one} and {} more", more.len()),
    }
}

fn at(when: Option<Timestamp>) -> String {
    use time::format_description::well_known::Rfc3339;
    let text = when.and_then(|when| when.replace_nanosecond(0).ok()?.format(&Rfc3339).ok());
    text.map(|text| format!(" {text}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock, SystemRng};

    fn test_notice(now: Timestamp) -> Notice {
        let id = EventId::generate(&SystemClock, &mut SystemRng);
        Notice::of_test(id, now)
    }

    #[test]
    fn each_channel_is_told_and_what_fails_is_tried_ever_later_for_a_week() {
        let now = SystemClock.now();
        let notice = test_notice(now);
        assert_eq!((notice.status(), notice.next_at), ("waiting", Some(now)));
        let nobody = notice.clone().passed_over(Channel::Mail);
        let nobody = nobody.passed_over(Channel::Webhook);
        assert_eq!((nobody.status(), nobody.next_at), ("recorded", None));
        let half = notice.clone().told(Channel::Mail);
        assert_eq!(half.waiting, [Channel::Webhook]);
        assert_eq!(half.status(), "waiting");
        let done = half.clone().told(Channel::Webhook);
        assert_eq!((done.status(), done.next_at), ("told", None));

        let hour = Duration::HOUR;
        let mut failed = half;
        let mut at = now;
        let mut waits = Vec::new();
        while let Some(next) = failed.next_at {
            at = next.max(at);
            failed = failed.not_told("away".to_owned(), hour, at);
            waits.extend(failed.next_at.map(|next| next - at));
        }
        let minutes: Vec<i64> = waits.iter().map(|wait| wait.whole_minutes()).collect();
        assert_eq!(minutes[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(at - now >= PATIENCE && at - now <= PATIENCE + hour);
        assert_eq!(failed.status(), "givenUp");
        assert_eq!(failed.trouble.as_deref(), Some("away"));
    }
}
