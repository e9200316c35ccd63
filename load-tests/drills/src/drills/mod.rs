//! The drills, one file each.

pub mod crash_points;
pub mod disk_full;
pub mod kills;
pub mod leader;
mod namespace;
pub mod partition;
pub mod paused_workers;
pub mod primary;
pub mod revocation;
pub mod rolling_restart;
pub mod rotation;
pub mod upgrade;
pub mod zone;
