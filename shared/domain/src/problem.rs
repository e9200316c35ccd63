//! What went wrong, in the words of the protocol (RFC 8555 §6.7): kept with orders and challenges, and told to clients.

use serde::{Deserialize, Serialize};

use crate::identifier::Identifier;

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal;)*) => {
        /// The error types of RFC 8555 §6.7, RFC 9773 §7.4 and the registry beside them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The last part of the type URN, such as `badNonce`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The HTTP status that goes with the kind unless the case calls for another.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$kind => $status,)*
                }
            }
        }
    };
}

problem_kinds! {
    /// The account named does not exist and `onlyReturnExisting` was set.
    AccountDoesNotExist = "accountDoesNotExist", 400;
    /// The certificate to be replaced has a replacement already (RFC 9773).
    AlreadyReplaced = "alreadyReplaced", 409;
    /// The certificate is revoked already.
    AlreadyRevoked = "alreadyRevoked", 400;
    /// The CSR is not acceptable.
    BadCsr = "badCSR", 400;
    /// The nonce is forged, spent or too old.
    BadNonce = "badNonce", 400;
    /// The account's public key is not acceptable.
    BadPublicKey = "badPublicKey", 400;
    /// The revocation reason is not allowed.
    BadRevocationReason = "badRevocationReason", 400;
    /// The JWS algorithm is not supported.
    BadSignatureAlgorithm = "badSignatureAlgorithm", 400;
    /// CAA records forbid the authority to issue.
    Caa = "caa", 403;
    /// Several things are wrong; see the subproblems.
    Compound = "compound", 400;
    /// No connection to the validation target.
    Connection = "connection", 400;
    /// A DNS query failed during validation.
    Dns = "dns", 400;
    /// An external account binding is due.
    ExternalAccountRequired = "externalAccountRequired", 403;
    /// The answer to a challenge was not the one that is due.
    IncorrectResponse = "incorrectResponse", 403;
    /// A contact URL is not valid.
    InvalidContact = "invalidContact", 400;
    /// The profile is not one the authority offers.
    InvalidProfile = "invalidProfile", 400;
    /// The request message is malformed.
    Malformed = "malformed", 400;
    /// The order is not ready to be finalized.
    OrderNotReady = "orderNotReady", 403;
    /// A rate limit is exceeded.
    RateLimited = "rateLimited", 429;
    /// The authority will not issue for the identifier.
    RejectedIdentifier = "rejectedIdentifier", 400;
    /// The server failed.
    ServerInternal = "serverInternal", 500;
    /// A TLS error during validation.
    Tls = "tls", 400;
    /// The client lacks the authorization for this.
    Unauthorized = "unauthorized", 403;
    /// A contact URL's scheme is not supported.
    UnsupportedContact = "unsupportedContact", 400;
    /// An identifier's type is not supported.
    UnsupportedIdentifier = "unsupportedIdentifier", 400;
    /// A visit to the instance URL is due before this can go on.
    UserActionRequired = "userActionRequired", 403;
}

impl ProblemKind {
    /// The type URN.
    pub fn urn(self) -> String {
        format!("urn:ietf:params:acme:error:{}", self.name())
    }
}

/// One thing that went wrong, for the person at the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The error type.
    pub kind: ProblemKind,
    /// What was wrong and what to do, in a sentence. Nothing internal.
    pub detail: String,
    /// The identifier that this is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    /// The several problems that make up a compound one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Problem>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            identifier: None,
            subproblems: Vec::new(),
        }
    }

    /// The same problem, about this identifier.
    #[must_use]
    pub fn about(mut self, identifier: Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    /// One problem out of several: the only one there is, or a compound one of the first's kind.
    pub fn of_several(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 => None,
            1 => problems.pop(),
            count => {
                let first = problems.first()?;
                let detail = format!("{count} problems, the first of which: {}", first.detail);
                let kind = if problems.iter().all(|p| p.kind == first.kind) {
                    first.kind
                } else {
                    ProblemKind::Compound
                };
                Some(Self {
                    kind,
                    detail,
                    identifier: None,
                    subproblems: problems,
                })
            }
        }
    }
}
