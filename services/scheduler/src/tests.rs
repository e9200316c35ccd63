//! The election and the office, with a lease that does as it is told and with that of a real replica set.

mod database;
mod scripted;
