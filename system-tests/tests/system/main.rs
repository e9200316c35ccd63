//! The product as a whole, from outside: real processes, real mongods, real clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod accounts;
mod architecture;
mod audit;
mod authorities;
mod backup;
mod chart;
mod clients;
mod deliveries;
mod discoveries;
mod draining;
mod eab;
mod fairness;
mod fleet;
mod foreign_kek;
mod keks;
mod keys_elsewhere;
mod kubernetes;
mod limits;
mod metrics;
mod notices;
mod orders;
mod packaging;
mod pressure;
mod refusals;
mod reload;
mod renewal_info;
mod rest;
mod revocation;
mod secrets;
mod server_certificate;
mod siem;
mod solvers;
mod support;
mod switches;
mod traces;
mod up;
