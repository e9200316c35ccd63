//! The fleet's side of ACME (RFC 8555): one account at one authority, and what is asked of it, a request at a time.
//!
//! * [`Server`]: an authority's directory, with connections and nonces that all requests share.
//! * [`Member`]: the fleet's account there. Each method is one step of a renewal, and can be repeated: what a step has done
//!   already, it finds.
//! * [`UpstreamError`]: what went wrong, and whether it is the authority's last word.
//!
//! Nothing here knows a database, sleeps or decides: that is the brain's, in `certfleet-domain`.

mod advice;
mod answer;
mod error;
mod member;
mod server;

pub use advice::Advised;
pub use error::UpstreamError;
pub use member::{Member, NewOrder, Progress, Proof};
pub use server::Server;
