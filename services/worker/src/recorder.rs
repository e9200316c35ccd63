//! What a worker puts on record of its acts.

use std::fmt::Display;
use std::sync::Arc;

use certfleet_audit::{Act, Event, Outcome, Sender};
use certfleet_domain::{
    AuthorityName, Authorization, Certificate, ChallengeId, Clock, EventId, IssuerId, ServerId,
    SystemRng, Timestamp,
};
use certfleet_validation::ValidationError;

/// What a worker puts on record of its acts.
pub struct Recorder {
    /// The worker, as it stands on record.
    pub sender: Sender,
    clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Of the process with this id.
    pub fn new(server: ServerId, clock: Arc<dyn Clock>) -> Self {
        let sender = Sender::service(server, "worker");
        Self { sender, clock }
    }

    /// A certificate was signed.
    pub fn issued(&self, certificate: &Certificate) -> Event {
        self.of_certificate(certificate, Outcome::Done, "")
    }

    /// A certificate is not to be signed.
    pub fn not_issued(&self, certificate: &Certificate, why: &str) -> Event {
        self.of_certificate(certificate, Outcome::Refused, why)
    }

    fn of_certificate(&self, certificate: &Certificate, outcome: Outcome, why: &str) -> Event {
        let names: Vec<String> = certificate
            .identifiers
            .iter()
            .map(ToString::to_string)
            .collect();
        let (serial, names) = (certificate.serial, names.join(" "));
        let target = format!("certificate/{}", certificate.id);
        let detail = format!("serial {serial}, {names} {why}");
        self.event(Act::IssueCertificate, target, outcome, detail.trim_end())
    }

    /// An issuer has got another OCSP responder.
    pub fn responder_made(&self, authority: &AuthorityName, issuer: IssuerId) -> Event {
        let target = format!("authority/{authority}");
        let detail = format!("issuer {issuer}");
        self.event(Act::CreateResponder, target, Outcome::Done, detail)
    }

    /// The audit trail begins with another entry, because those before it are of before this moment.
    pub fn trimmed(&self, begins: u64, before: Timestamp) -> Event {
        let target = format!("audit/{begins}");
        let detail = format!("entries of before {before}");
        self.event(Act::TrimAudit, target, Outcome::Done, detail)
    }

    /// It is known whether a challenge is met.
    pub fn decided<E: Display>(
        &self,
        authorization: &Authorization,
        challenge: ChallengeId,
        verdict: &Result<E, ValidationError>,
    ) -> Event {
        let (outcome, why) = match verdict {
            Ok(evidence) => (Outcome::Done, evidence.to_string()),
            Err(error) => (Outcome::Refused, error.to_string()),
        };
        let target = format!("challenge/{}/{challenge}", authorization.id);
        let detail = format!("{}: {why}", authorization.identifier);
        self.event(Act::DecideChallenge, target, outcome, detail)
    }

    /// A name that nothing else has.
    pub fn new_id(&self) -> EventId {
        EventId::generate(self.clock.as_ref(), &mut SystemRng)
    }

    /// An act on `target`, such as `certificate/<id>`, that ended so.
    /// What is put on record of an act.
    pub fn event(
        &self,
        act: Act,
        target: impl Display,
        outcome: Outcome,
        detail: impl Display,
    ) -> Event {
        Event::new(&self.sender, act, target, self.clock.as_ref())
            .with_outcome(outcome)
            .with_detail(detail)
    }
}
