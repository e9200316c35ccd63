//! The replica set that this program and others beside it measure on.

pub mod ground;
