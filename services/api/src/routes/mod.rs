//! The routes, by audience.

pub mod acme;
pub mod pki;
