//! What proves control of a name, seen from the server: http-01, dns-01 (RFC 8555 §8) and tls-alpn-01 (RFC 8737),
//! for DNS names and, where the method allows it, IP addresses (RFC 8738).
//!
//! A [`Validator`] looks at what the applicant shows, once, from here and now. It promises:
//!
//! - **Only allowed addresses are connected to.** Without settings that is global unicast. The address itself is
//!   judged where the socket is opened, for the first connection and each redirect alike, so a name that changes its
//!   address between two lookups gains nothing ([`AddressPolicy`]).
//! - **It ends.** One deadline covers a whole validation; what is read of a hostile server is bounded.
//! - **Fresh DNS.** Nothing is cached; the hosts file and search domains are ignored.
//! - **Whose fault it is.** [`ValidationError::Failed`] is the applicant's to mend and carries the problem that the
//!   client is told; [`ValidationError::Retry`] is trouble on our side and decides nothing.
//!
//! Nothing is stored and nothing is logged here: the caller has the [`Evidence`] or the error.
//!
//! Which kind a problem has follows one rule. What could not be reached or spoken to is `connection`, `dns` or `tls`;
//! where nothing for this challenge is shown at all (a status other than 200, no TXT record, no `acme-tls/1`) it is
//! `unauthorized`, as other authorities have it; where something is shown and it is the wrong thing it is
//! `incorrectResponse`.

mod acme_certificate;
mod address;
mod connect;
mod deadline;
mod dns01;
mod error;
mod evidence;
mod host;
mod http01;
mod quote;
mod resolve;
mod settings;
#[cfg(test)]
mod testing;
mod tls;
mod tls_alpn01;
mod validator;

pub use address::{AddressPolicy, RefusedAddress};
pub use error::{InvalidSettings, ValidationError};
pub use evidence::{Evidence, HttpHop};
pub use settings::ValidationSettings;
pub use validator::{Attempt, Validator};
