use certfleet_domain::{Managed, Next, Placement, Reason, Version, Watch, WatchPolicy};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::texts;

/// A managed certificate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project: String,
    /// The names that it is to have.
    pub names: Vec<String>,
    /// From whom it is to be had, in order of preference.
    pub upstreams: Vec<String>,
    /// `valid`, `expired`, or `missing`.
    pub status: &'static str,
    /// Until when the current certificate is valid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// Its serial number, in hexadecimal.
    pub serial: Option<String>,
    /// Whom the current certificate is from.
    pub upstream: Option<String>,
    /// How far a renewal is: `resting`, `placing`, `ordered`.
    pub course: &'static str,
    /// Why it is to be renewed now, if it is.
    pub reason: Option<&'static str>,
    /// When it is to be looked at next.
    #[serde(with = "time::serde::rfc3339")]
    pub next_at: OffsetDateTime,
    /// The moment in the window that its authority suggests (RFC 9773).
    #[serde(with = "time::serde::rfc3339::option")]
    pub suggested: Option<OffsetDateTime>,
    /// What the authority says of that.
    pub explanation_url: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl CertificateView {
    /// The view of one, at this moment.
    pub fn of(managed: &Managed, now: OffsetDateTime) -> Self {
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
        let setback = managed.setback.as_ref();
        Self {
            id: managed.id.to_string(),
            project: managed.project.to_string(),
            names: texts(&managed.names),
            upstreams: texts(&managed.upstreams),
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
            failures: setback.map_or(0, |setback| setback.failures),
            trouble: setback.map(|setback| setback.why.clone()),
            created_at: managed.created_at,
        }
    }
}

/// A certificate that a managed one has had.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub struct VersionView {
    /// Its id.
    pub id: String,
    /// Whom it is from.
    pub upstream: String,
    /// From when on it is valid.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Version> for VersionView {
    fn from(version: &Version) -> Self {
        Self {
            id: version.id.to_string(),
            upstream: version.upstream.to_string(),
            not_before: version.not_before,
            not_after: version.not_after,
            created_at: version.created_at,
        }
    }
}

/// A managed certificate at a target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Placement)]
pub struct PlacementView {
    /// Its id.
    pub id: String,
    /// Where.
    pub target: String,
    /// What it is called there.
    pub name: String,
    /// `waiting` for a certificate, `due`, `failing` or `placed`.
    pub status: &'static str,
    /// The version that is there.
    pub version: Option<String>,
    /// Whether the host was seen to serve it.
    pub seen: bool,
    /// Since when it is there.
    #[serde(with = "time::serde::rfc3339::option")]
    pub placed_at: Option<OffsetDateTime>,
    /// When it is to be delivered.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
    /// What went wrong last.
    pub trouble: Option<String>,
}

impl From<&Placement> for PlacementView {
    fn from(placement: &Placement) -> Self {
        let placed = placement.placed.as_ref();
        Self {
            id: placement.id.to_string(),
            target: placement.target.to_string(),
            name: placement.name.to_string(),
            status: placement.status(),
            version: placed.map(|placed| placed.version.to_string()),
            seen: placed.is_some_and(|placed| placed.seen),
            placed_at: placed.map(|placed| placed.at),
            next_at: placement.next_at,
            trouble: placement
                .setback
                .as_ref()
                .map(|setback| setback.why.clone()),
        }
    }
}

/// A place where a managed certificate should be served.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watch)]
pub struct WatchView {
    /// Its id.
    pub id: String,
    /// Which certificate.
    pub managed: String,
    /// Where.
    pub endpoint: String,
    /// The name that is asked for there.
    pub name: String,
    /// Whether it is delivered anew when something else is served.
    pub repair: bool,
    /// What is wrong there: `unreachable`, `expired`, `wrongName`, `formerVersion`, `otherIssuer`, `otherCertificate` or
    /// `incompleteChain`.
    pub drift: Option<&'static str>,
    /// More of that.
    pub detail: Option<String>,
    /// Since when that is so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_seen: Option<OffsetDateTime>,
    /// When that was seen last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_seen: Option<OffsetDateTime>,
    /// When it was looked at last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub looked_at: Option<OffsetDateTime>,
    /// When it was delivered anew because of that.
    #[serde(with = "time::serde::rfc3339::option")]
    pub repaired_at: Option<OffsetDateTime>,
}

impl From<&Watch> for WatchView {
    fn from(watch: &Watch) -> Self {
        let finding = watch.finding.as_ref();
        Self {
            id: watch.id.to_string(),
            managed: watch.managed.to_string(),
            endpoint: watch.endpoint.to_string(),
            name: watch.name.to_string(),
            repair: watch.policy == WatchPolicy::Repair,
            drift: finding.map(|finding| finding.drift.name()),
            detail: finding.map(|finding| finding.detail.clone()),
            first_seen: finding.map(|finding| finding.first_seen),
            last_seen: finding.map(|finding| finding.last_seen),
            looked_at: watch.looked_at,
            repaired_at: watch.repaired_at,
        }
    }
}
