//! A small ACME client. It does what it is told, right or wrong, and only when asked to does it retry as RFC 8555 has
//! it.

mod account;
mod answer;
mod client;
mod csr;
mod flow;

pub use account::Account;
pub use answer::Answer;
pub use client::{Acme, JOSE_JSON};
pub use csr::Csr;
pub use flow::{Issued, Proof, identifiers};
