//! Who asks: the agent whose certificate is shown.

use axum::extract::FromRequestParts;
use certfleet_audit::{Act, Actor, Event, Sender};
use certfleet_domain::{Agent, AgentCertificate, AgentName, ProblemKind, Timestamp};
use certfleet_pki::{fingerprint_of_certificate, validity_of_certificate};
use certfleet_service_kit::{ClientIp, PeerCertificates, RequestId};
use http::request::Parts;

use crate::app::App;
use crate::error::ApiError;

/// An agent that is known by the certificate it shows.
pub struct ByAgent {
    /// The agent.
    pub agent: Agent,
    sender: Sender,
}

/// A certificate that somebody shows and has the key of, whoever they are.
pub struct Shown {
    /// Which, and until when it counts.
    pub certificate: AgentCertificate,
    /// From when on.
    pub not_before: Timestamp,
}

impl Shown {
    /// What is known of a certificate, DER.
    pub fn read(der: &[u8]) -> Result<Self, ApiError> {
        let (not_before, not_after) = validity_of_certificate(der)
            .map_err(|error| ApiError::new(ProblemKind::Malformed, error.to_string()))?;
        Ok(Self {
            certificate: AgentCertificate {
                fingerprint: fingerprint_of_certificate(der),
                not_after,
            },
            not_before,
        })
    }
}

impl FromRequestParts<App> for Shown {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let shown: Option<&PeerCertificates> = parts.extensions.get();
        let own = shown.and_then(|shown| shown.chain().first());
        let none = || {
            let detail = "no certificate was shown: agents are known by theirs, so that nothing may end TLS on the way";
            ApiError::new(ProblemKind::Unauthorized, detail)
        };
        Self::read(own.ok_or_else(none)?)
    }
}

impl FromRequestParts<App> for ByAgent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Shown { certificate, .. } = Shown::from_request_parts(parts, app).await?;
        let shown = certificate.fingerprint;
        let deliveries = &app.store.deliveries;
        let found = deliveries.agent_that_shows(shown).await?;
        let stranger = || {
            let detail = "this agent is not known, or not any more: `certfleet agent invite NAME --again`, then `certfleet-agent enrol`";
            ApiError::new(ProblemKind::Unauthorized, detail)
        };
        let known = found.filter(|agent| agent.is_shown_by(shown, app.now()));
        let agent = known.ok_or_else(stranger)?;
        let by = Self {
            sender: sender(parts, app, &agent.name),
            agent,
        };
        let Some(after) = by.agent.shows(shown) else {
            return Ok(by);
        };
        // From here on the former certificate counts no more.
        let event = by.event(app, Act::RenewAgent, format!("agent/{}", after.name), shown);
        let unit = deliveries.update_agent(&after)?.recording(&event)?;
        match app.store.commit(unit).await {
            Ok(()) => {}
            // Another request of its was faster.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(by)
    }
}

impl ByAgent {
    /// What is put on record of an act of its on `target`.
    pub fn event(
        &self,
        app: &App,
        act: Act,
        target: impl std::fmt::Display,
        detail: impl std::fmt::Display,
    ) -> Event {
        Event::new(&self.sender, act, target, app.clock.as_ref()).with_detail(detail)
    }
}

/// Who an agent is, for the record.
pub fn sender(parts: &Parts, app: &App, name: &AgentName) -> Sender {
    let address: Option<&ClientIp> = parts.extensions.get();
    let request: Option<&RequestId> = parts.extensions.get();
    Sender {
        server: app.server,
        actor: Actor::Agent(name.to_string()),
        address: address.map(|address| address.0),
        request: request.map(ToString::to_string),
    }
}
