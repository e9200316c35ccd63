//! What people and programs have done to the fleet, whichever way they ask: the command line and the REST API carry out the same
//! acts, with the same rules and the same words.
//!
//! An act is prepared as a [`Plan`]: what it will have made, and what is to be written. It is carried out as a whole and put on
//! record, or not at all. What cannot be done is [`Refused`], with what to do instead, and has changed nothing.

mod agents;
mod certificates;
mod discoveries;
mod notices;
mod placements;
mod plan;
mod projects;
mod refused;
mod solvers;
mod targets;
mod tokens;
mod upstreams;
pub mod views;
mod watches;

pub use agents::{Invitation, invite, remove as remove_agent};
pub use certificates::{
    CertificateChange, NewCertificate, NewImport, add as add_certificate,
    change as change_certificate, import as import_certificate, remove as remove_certificate,
    renew as renew_certificate,
};
pub use discoveries::{add as add_discoveries, adopt, remove as remove_discovery, sweep};
pub use notices::test as test_notices;
pub use placements::{again as deliver_again, deliver};
pub use plan::Plan;
pub use projects::{add as add_project, remove as remove_project};
pub use refused::Refused;
pub use solvers::{NewSolver, add as add_solver, key_from_base64, remove as remove_solver};
pub use targets::{NewTarget, add as add_target, parse_mode, parse_owner, remove as remove_target};
pub use tokens::{MadeToken, NewToken, ShownToken, add as add_token, revoke as revoke_token};
pub use upstreams::{
    NewBinding, NewUpstream, add as add_upstream, mac_key_from_base64url, remove as remove_upstream,
};
pub use watches::{NewWatch, add as add_watch, remove as remove_watch};
