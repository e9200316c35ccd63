//! certfleet-scheduler: of all its replicas one holds the lease and runs the duties.

mod condition;
mod duties;
mod election;
mod metrics;
mod office;
mod slot;
mod start;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use certfleet_service_kit::{Program, run};

fn main() -> ExitCode {
    let program = Program {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        about: env!("CARGO_PKG_DESCRIPTION"),
    };
    run(program, start::schedule)
}
