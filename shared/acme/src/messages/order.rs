//! Orders (RFC 8555 §7.1.3, §7.4), with profiles and `replaces` (RFC 9773 §5).

use std::collections::BTreeSet;

use certfleet_domain::{
    self as domain, MAX_IDENTIFIERS, OrderState, OrderStatus, Problem, ProblemKind, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Identifier, timestamp};
use crate::base64url::Base64Url;
use crate::problem::ProblemDocument;

/// The payload of newOrder (§7.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// What to certify.
    pub identifiers: Vec<Identifier>,
    /// When validity is to start.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_before: Option<Timestamp>,
    /// When validity is to end.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<Timestamp>,
    /// The name of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The `CertID` of the certificate that this one is to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl NewOrder {
    /// The identifiers as an order has them: checked, sorted, each once.
    ///
    /// # Errors
    /// `malformed` for none or more than [`MAX_IDENTIFIERS`]; else what [`Identifier::parse`] says of each that is
    /// not acceptable, as subproblems if there are several.
    pub fn parse_identifiers(&self) -> Result<Vec<domain::Identifier>, Problem> {
        let malformed = |detail: String| Err(Problem::new(ProblemKind::Malformed, detail));
        if self.identifiers.is_empty() {
            return malformed("an order needs at least one identifier".to_owned());
        }
        let count = self.identifiers.len();
        if count > MAX_IDENTIFIERS {
            return malformed(format!(
                "{count} identifiers are more than the {MAX_IDENTIFIERS} allowed"
            ));
        }
        let mut identifiers = BTreeSet::new();
        let mut problems = Vec::new();
        for identifier in &self.identifiers {
            match identifier.parse() {
                Ok(identifier) => {
                    identifiers.insert(identifier);
                }
                Err(problem) => problems.push(problem),
            }
        }
        match Problem::of_several(problems) {
            Some(problem) => Err(problem),
            None => Ok(identifiers.into_iter().collect()),
        }
    }
}

/// An order (§7.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderResponse {
    /// How far it is.
    #[serde(with = "WireStatus")]
    pub status: OrderStatus,
    /// When an order that is not finalized by then becomes invalid.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Timestamp>,
    /// What it asks for.
    pub identifiers: Vec<Identifier>,
    /// The start of validity that was asked for.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_before: Option<Timestamp>,
    /// The end of validity that was asked for.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<Timestamp>,
    /// What kind of certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The `CertID` of the certificate that this one is to replace (RFC 9773 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDocument>,
    /// URLs of what has to be proven.
    pub authorizations: Vec<String>,
    /// Where the CSR goes.
    pub finalize: String,
    /// Where the certificate is, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// The URLs of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderUrls {
    /// Its authorizations', in its order.
    pub authorizations: Vec<String>,
    /// Where the CSR goes.
    pub finalize: String,
    /// The certificate's, which is shown only of a valid order.
    pub certificate: Option<String>,
}

impl OrderResponse {
    /// The order with its status at this moment, which is [`domain::Order::status`].
    pub fn new(order: &domain::Order, status: OrderStatus, urls: OrderUrls) -> Self {
        let error = match &order.state {
            OrderState::Invalid { error } => Some(ProblemDocument::from(error)),
            OrderState::Open | OrderState::Processing { .. } | OrderState::Valid { .. } => None,
        };
        Self {
            status,
            expires: Some(order.expires_at),
            identifiers: order.identifiers.iter().map(Identifier::from).collect(),
            not_before: order.not_before,
            not_after: order.not_after,
            profile: Some(order.profile.as_str().to_owned()),
            replaces: order
                .replaces
                .as_ref()
                .map(|replaced| replaced.cert_id.clone()),
            error,
            authorizations: urls.authorizations,
            finalize: urls.finalize,
            certificate: urls.certificate.filter(|_| status == OrderStatus::Valid),
        }
    }
}

/// The payload of finalize (§7.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// The CSR in DER.
    pub csr: Base64Url,
}

/// The names of [`OrderStatus`], for clients too.
#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderStatus", rename_all = "lowercase")]
enum WireStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
}
