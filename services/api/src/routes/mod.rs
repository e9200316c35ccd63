//! The routes, by audience.

pub mod acme;
pub mod agent;
pub mod audit;
pub mod challenge_answer;
pub mod pki;
pub mod rest;
