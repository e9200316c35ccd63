//! Storage against a real replica set of three members: what it promises, raced for from several stores at once.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

mod access;
mod audit;
mod corruption;
mod deliveries;
mod desk;
mod entities;
mod faults;
mod feed;
mod fleet;
mod group_commit;
mod inventory;
mod jobs;
mod keks;
mod leadership;
mod leases;
mod limits;
mod nonces;
mod notices;
mod processes;
mod protocol;
mod queries;
mod recovery;
mod repositories;
mod retention;
mod revocation;
mod rooms;
mod support;
mod totals;
