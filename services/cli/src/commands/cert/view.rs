//! A managed certificate as it is shown.

use certfleet_domain::{Clock as _, Managed, Next, Reason, SystemClock, Timestamp};
use serde::Serialize;

use crate::output::{Sheet, joined, moment, moment_or_none};

/// A managed certificate as it is shown.
#[derive(Debug, Serialize)]
pub struct ManagedView {
    /// Its id.
    pub id: String,
    names: Vec<String>,
    upstreams: Vec<String>,
    /// `valid`, `expired`, or `missing`.
    pub status: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    not_after: Option<Timestamp>,
    serial: Option<String>,
    /// Whom the current certificate is from.
    upstream: Option<String>,
    /// How far a renewal is: `resting`, `placing`, `ordered`.
    course: &'static str,
    /// Why it is to be renewed now, if it is.
    reason: Option<&'static str>,
    /// When it is to be looked at next.
    #[serde(with = "time::serde::rfc3339")]
    next_at: Timestamp,
    /// The moment in the window that its authority suggests.
    #[serde(with = "time::serde::rfc3339::option")]
    suggested: Option<Timestamp>,
    explanation_url: Option<String>,
    /// Failures in a row.
    failures: u32,
    trouble: Option<String>,
}

impl ManagedView {
    /// The view of one.
    pub fn of(managed: &Managed) -> Self {
        let now = SystemClock.now();
        let current = managed.current.as_ref();
        let advice = current.and_then(|current| current.advice.as_ref());
        let reason = match managed.course.attempt() {
            Some(attempt) => Some(attempt.reason),
            None => Reason::of(managed, now),
        };
        let next_at = match managed.next(now) {
            Next::Rest(until) => until.max(managed.next_at),
            Next::Ask | Next::Begin(_) | Next::Place | Next::Pursue => managed.next_at,
        };
        Self {
            id: managed.id.to_string(),
            names: managed.names.iter().map(ToString::to_string).collect(),
            upstreams: managed.upstreams.iter().map(ToString::to_string).collect(),
            status: match current {
                None => "missing",
                Some(current) if current.not_after <= now => "expired",
                Some(_) => "valid",
            },
            not_after: current.map(|current| current.not_after),
            serial: current.map(|current| current.serial.clone()),
            upstream: current.map(|current| current.upstream.to_string()),
            course: managed.course.name(),
            reason: reason.map(Reason::name),
            next_at,
            suggested: advice.map(|advice| advice.moment),
            explanation_url: advice.and_then(|advice| advice.explanation_url.clone()),
            failures: managed
                .setback
                .as_ref()
                .map_or(0, |setback| setback.failures),
            trouble: managed.setback.as_ref().map(|setback| setback.why.clone()),
        }
    }

    /// All of it.
    pub fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!("Managed certificate {}", self.id));
        sheet.pairs([
            ("names", joined(&self.names)),
            ("status", self.status.to_owned()),
            ("valid until", moment_or_none(self.not_after)),
            ("serial", self.serial.clone().unwrap_or_default()),
            ("from", self.upstream.clone().unwrap_or_default()),
            ("to be had from", joined(&self.upstreams)),
            ("renewal", self.course.to_owned()),
            ("because", self.reason.unwrap_or_default().to_owned()),
            ("next look", moment(self.next_at)),
            ("suggested", moment_or_none(self.suggested)),
            ("why", self.explanation_url.clone().unwrap_or_default()),
            ("failures", self.failures.to_string()),
            ("trouble", self.trouble.clone().unwrap_or_default()),
        ]);
    }

    /// A line of each.
    pub fn table(sheet: &mut Sheet, all: &[Self]) {
        let rows = all.iter().map(|one| {
            [
                one.id.clone(),
                joined(&one.names),
                one.status.to_owned(),
                moment_or_none(one.not_after),
                moment(one.next_at),
                one.trouble.clone().unwrap_or_default(),
            ]
        });
        let heads = [
            "id",
            "names",
            "status",
            "valid until",
            "next look",
            "trouble",
        ];
        sheet.table(heads, rows);
    }
}
