//! What is measured: the steps of flows, the processes, the database and the machine.

pub(crate) mod machine;
pub(crate) mod mongo;
pub(crate) mod process;
pub(crate) mod steps;
pub(crate) mod tally;
