//! Where a KEK may live, behind the one port [`KekProvider`]: in this process's memory, out of a file or the environment;
//! in a PKCS#11 token; in the transit engine of Vault or OpenBao; in AWS KMS.
//!
//! [`open`] asks nothing of a token or a service yet: one that is away at the start is waited for like one that goes away
//! later, and is asked for whenever it is used.

mod answer;
mod aws;
mod open;
mod vault;

pub use aws::{AwsAccess, AwsKek};
pub use open::{Access, KekOpenError, open};
pub use vault::{VaultAccess, VaultKek};
