//! What certfleet's own calls to others have in common: whom they trust over TLS, and who they are.

mod trust;

pub use trust::{Trust, TrustError};
