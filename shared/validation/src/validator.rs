//! The door to this crate: one attempt to prove control of one identifier.

use certfleet_domain::{ChallengeKind, Identifier, ProblemKind, Token};
use hyper::header::HeaderValue;

use crate::address::AddressPolicy;
use crate::connect::Dialer;
use crate::deadline::Deadline;
use crate::error::{InvalidSettings, ValidationError};
use crate::evidence::Evidence;
use crate::http01::Http01;
use crate::resolve::Resolver;
use crate::settings::ValidationSettings;
use crate::tls::Tls;
use crate::{dns01, tls_alpn01};

/// What is to be proven, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What the applicant claims to control.
    pub identifier: Identifier,
    /// How it is to be shown.
    pub kind: ChallengeKind,
    /// The challenge's token.
    pub token: Token,
    /// The token, a dot, and the thumbprint of the account's key (RFC 8555 §8.1).
    pub key_authorization: String,
}

/// Looks at what applicants show. One per process; validations run side by side.
pub struct Validator {
    dialer: Dialer,
    tls: Tls,
    user_agent: HeaderValue,
    settings: ValidationSettings,
}

impl Validator {
    /// A validator with these settings. Reads the system's resolver configuration, if the settings name no resolver.
    pub fn new(settings: ValidationSettings) -> Result<Self, InvalidSettings> {
        let user_agent = HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| InvalidSettings::UserAgent(settings.user_agent.clone()))?;
        let dialer = Dialer {
            resolver: Resolver::new(&settings.resolvers, settings.dns_timeout)?,
            policy: AddressPolicy::new(settings.allowed_networks.clone()),
            connect_timeout: settings.connect_timeout,
        };
        Ok(Self {
            dialer,
            tls: Tls::new()?,
            user_agent,
            settings,
        })
    }

    /// Looks, once, whether control is shown. Ends within the total timeout, and a second for asking whether our
    /// resolvers are alive when they stayed silent.
    ///
    /// Can be dropped at any point; its connections are closed with it.
    pub async fn validate(&self, attempt: &Attempt) -> Result<Evidence, ValidationError> {
        let Attempt {
            identifier,
            kind,
            token,
            key_authorization,
        } = attempt;
        let deadline = Deadline::after(self.settings.total_timeout);
        match (kind, identifier) {
            (ChallengeKind::Dns01, Identifier::Dns(name) | Identifier::Wildcard(name)) => {
                dns01::prove(&self.dialer.resolver, name, key_authorization, deadline).await
            }
            (ChallengeKind::Http01, Identifier::Dns(_) | Identifier::Ip(_)) => {
                let http01 = Http01 {
                    dialer: &self.dialer,
                    tls: &self.tls,
                    user_agent: &self.user_agent,
                    http_port: self.settings.http_port,
                    https_port: self.settings.https_port,
                    deadline,
                };
                http01.prove(identifier, token, key_authorization).await
            }
            (ChallengeKind::TlsAlpn01, Identifier::Dns(_) | Identifier::Ip(_)) => {
                let port = self.settings.tls_alpn_port;
                let (dialer, tls) = (&self.dialer, &self.tls);
                tls_alpn01::prove(dialer, tls, port, identifier, key_authorization, deadline).await
            }
            (ChallengeKind::Dns01, Identifier::Ip(_))
            | (ChallengeKind::Http01 | ChallengeKind::TlsAlpn01, Identifier::Wildcard(_)) => {
                let detail = format!("{kind} cannot prove control of {identifier}");
                Err(ValidationError::failed(ProblemKind::Malformed, detail))
            }
        }
    }
}
