//! An order: the request for one certificate, from the names asked for to the certificate issued (RFC 8555 §7.1.3).

use serde::{Deserialize, Serialize};

use crate::authorization::{Authorization, AuthorizationStatus};
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::{AccountId, AuthorizationId, CertificateId, OrderId};
use crate::names::{AuthorityName, ProfileName};
use crate::problem::Problem;
use crate::transition::InvalidTransition;

/// What is stored of an order's state. Whether an open order is pending, ready or invalid follows from its
/// authorizations and its time, and is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum OrderState {
    /// Not finalized.
    Open,
    /// Finalized: this CSR, and no other, is to be signed.
    Processing {
        /// The certificate that will come of it, fixed here so that there can be only one.
        certificate: CertificateId,
    },
    /// Signed.
    Valid {
        /// The certificate.
        certificate: CertificateId,
    },
    /// Failed for good.
    Invalid {
        /// Why.
        error: Problem,
    },
}

/// What the protocol says of an order at a moment (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Some authorization is yet to be proven.
    Pending,
    /// May be finalized.
    Ready,
    /// Being signed.
    Processing,
    /// The certificate is there.
    Valid,
    /// Failed, or not finished in time.
    Invalid,
}

/// The certificate that an order's is to replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// The certificate.
    pub certificate: CertificateId,
    /// Its `CertID` (RFC 9773 §4.1), as the order gave it.
    pub cert_id: String,
}

/// The request for one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who is to issue.
    pub authority: AuthorityName,
    /// Who asked.
    pub account: AccountId,
    /// The names asked for: sorted, each once, 1 to [`crate::MAX_IDENTIFIERS`].
    pub identifiers: Vec<Identifier>,
    /// What has to be proven; in the order of the identifiers.
    pub authorizations: Vec<AuthorizationId>,
    /// What kind of certificate.
    pub profile: ProfileName,
    /// The start of validity that was asked for.
    pub not_before: Option<Timestamp>,
    /// The end of validity that was asked for.
    pub not_after: Option<Timestamp>,
    /// The certificate that this order's is to replace, if it says so (RFC 9773 §5).
    pub replaces: Option<Replaced>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When an order that is not finalized by then becomes invalid.
    pub expires_at: Timestamp,
    /// What is stored of its state.
    pub state: OrderState,
    /// Grows by one with each write.
    pub version: i64,
}

impl Order {
    /// What the protocol says at this moment, given all of the order's authorizations.
    pub fn status(&self, authorizations: &[Authorization], now: Timestamp) -> OrderStatus {
        match self.state {
            OrderState::Processing { .. } => OrderStatus::Processing,
            OrderState::Valid { .. } => OrderStatus::Valid,
            OrderState::Invalid { .. } => OrderStatus::Invalid,
            OrderState::Open if self.expires_at <= now => OrderStatus::Invalid,
            OrderState::Open => {
                let mut status = OrderStatus::Ready;
                for id in &self.authorizations {
                    let found = authorizations
                        .iter()
                        .find(|authorization| authorization.id == *id);
                    match found.map(|authorization| authorization.status(now)) {
                        Some(AuthorizationStatus::Valid) => {}
                        Some(AuthorizationStatus::Pending) => status = OrderStatus::Pending,
                        Some(
                            AuthorizationStatus::Invalid
                            | AuthorizationStatus::Deactivated
                            | AuthorizationStatus::Expired
                            | AuthorizationStatus::Revoked,
                        )
                        | None => return OrderStatus::Invalid,
                    }
                }
                status
            }
        }
    }

    /// The one finalization: from here on `certificate` is the only certificate this order can have.
    pub fn finalize(self, certificate: CertificateId) -> Result<Self, InvalidTransition> {
        match self.state {
            OrderState::Open => Ok(Self {
                state: OrderState::Processing { certificate },
                ..self
            }),
            OrderState::Processing { .. }
            | OrderState::Valid { .. }
            | OrderState::Invalid { .. } => Err(self.refuse("finalized")),
        }
    }

    /// The certificate is signed.
    pub fn complete(self) -> Result<Self, InvalidTransition> {
        match self.state {
            OrderState::Processing { certificate } => Ok(Self {
                state: OrderState::Valid { certificate },
                ..self
            }),
            OrderState::Open | OrderState::Valid { .. } | OrderState::Invalid { .. } => {
                Err(self.refuse("completed"))
            }
        }
    }

    /// The order failed for good, before or during signing.
    pub fn fail(self, error: Problem) -> Result<Self, InvalidTransition> {
        match self.state {
            OrderState::Open | OrderState::Processing { .. } => Ok(Self {
                state: OrderState::Invalid { error },
                ..self
            }),
            OrderState::Valid { .. } | OrderState::Invalid { .. } => Err(self.refuse("failed")),
        }
    }

    fn refuse(&self, step: &'static str) -> InvalidTransition {
        let state = match self.state {
            OrderState::Open => "open",
            OrderState::Processing { .. } => "processing",
            OrderState::Valid { .. } => "valid",
            OrderState::Invalid { .. } => "invalid",
        };
        InvalidTransition {
            entity: "order",
            id: self.id.to_string(),
            state,
            step,
        }
    }
}
