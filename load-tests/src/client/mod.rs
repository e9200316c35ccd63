//! An ACME client that does one thing: get certificates, measuring each step.

pub(crate) mod account;
pub(crate) mod certificate;
pub(crate) mod failure;
pub(crate) mod flow;
pub(crate) mod http;
pub(crate) mod jws;
pub(crate) mod session;
mod wire;
