//! The routes, by audience.

pub mod acme;
