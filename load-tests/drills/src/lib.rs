//! The drills: each starts a cluster as `certfleet up` does, breaks it while clients order certificates, and then checks
//! the database against the clients' own records.
//!
//! * [`drills`]: one file each; what they do, and what they measure.
//! * [`load`]: the clients, and what each of them was given.
//! * [`checks`]: nothing lost, nothing stuck, nothing twice, nothing changed behind a client's back.
//! * [`Drill::run`] runs one; its logs are kept if it fails, and it says how to repeat it.

pub mod checks;
mod drill;
pub mod drills;
mod figures;
mod ground;
pub mod load;
mod points;
mod trail;

pub use drill::{Drill, Scale, Setting};
pub use figures::{Figures, Spread};
pub use ground::Ground;
