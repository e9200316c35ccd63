//! The bodies of requests and answers, one file per resource (RFC 8555 §7.1).
//!
//! The server and its clients share them, so each goes both ways. Members that are not known are ignored (§7.3,
//! §7.4), optional ones that are absent are not written. URLs are text: who makes them is the API's concern, and a
//! client takes them as they come. Whatever becomes part of the domain is checked on the way, by methods that give
//! domain types or a [`Problem`](certfleet_domain::Problem) for the client.

mod account;
mod authorization;
mod challenge;
mod directory;
mod identifier;
mod order;
mod renewal_info;
mod revocation;
mod timestamp;

#[cfg(test)]
mod tests;

pub use account::{AccountResponse, AccountUpdate, MAX_CONTACTS, NewAccount, OrdersList};
pub use authorization::{AuthorizationResponse, AuthorizationUpdate, NewAuthorization};
pub use challenge::{ChallengeResponse, ChallengeStatus};
pub use directory::{Directory, DirectoryMeta};
pub use identifier::Identifier;
pub use order::{Finalize, NewOrder, OrderResponse, OrderUrls};
pub use renewal_info::{RenewalInfo, SuggestedWindow};
pub use revocation::RevokeCertificate;

/// The status with which a client gives an account or an authorization up (RFC 8555 §7.3.6, §7.5.2).
const DEACTIVATED: &str = "deactivated";
