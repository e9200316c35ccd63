use certfleet_domain::Discovery;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::texts;

/// A place that is looked at for what it serves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Discovery)]
pub struct DiscoveryView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project: String,
    /// Where.
    pub endpoint: String,
    /// `waiting` for a look, `managed`, `unmanaged`, or `unseen`.
    pub status: &'static str,
    /// The names of what is served, as far as a certificate can be had for them.
    pub names: Vec<String>,
    /// Who has issued it, as it says itself.
    pub issuer: Option<String>,
    /// Its serial number, in hexadecimal.
    pub serial: Option<String>,
    /// Its SHA-256 digest.
    pub fingerprint: Option<String>,
    /// Until when it is valid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// Since when this one is seen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_seen: Option<OffsetDateTime>,
    /// The managed certificate that it is one of.
    pub certificate: Option<String>,
    /// Why nothing was seen at the last look.
    pub trouble: Option<String>,
    /// When it was looked at last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub looked_at: Option<OffsetDateTime>,
}

impl From<&Discovery> for DiscoveryView {
    fn from(discovery: &Discovery) -> Self {
        let served = discovery.served.as_ref();
        let managed = served.and_then(|served| served.managed);
        Self {
            id: discovery.id.to_string(),
            project: discovery.project.to_string(),
            endpoint: discovery.endpoint.to_string(),
            status: discovery.status(),
            names: served
                .map(|served| texts(&served.names))
                .unwrap_or_default(),
            issuer: served.map(|served| served.issuer.clone()),
            serial: served.map(|served| served.serial.clone()),
            fingerprint: served.map(|served| served.fingerprint.to_string()),
            not_after: served.map(|served| served.not_after),
            first_seen: served.map(|served| served.first_seen),
            certificate: managed.map(|managed| managed.to_string()),
            trouble: discovery.trouble.clone(),
            looked_at: discovery.looked_at,
        }
    }
}
