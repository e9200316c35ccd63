//! The routes, by audience.

pub mod acme;
pub mod audit;
pub mod pki;
