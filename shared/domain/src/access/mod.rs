//! Who may do what over the REST API: roles, each for one project or for all of them, held by tokens (ADM-2).

mod role;
mod token;

pub use role::{Grant, Permission, Role, Scope, Sight, UnknownRole};
pub use token::{ApiToken, ApiTokenState, NotAdmitted};
