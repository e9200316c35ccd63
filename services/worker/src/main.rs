//! certfleet-worker: claims jobs and carries them out. It alone opens the authorities' keys.

mod budget;
mod checkpoint_file;
mod claim_loop;
mod crew;
mod handlers;
mod issuer_keys;
mod issuing;
mod metrics;
mod obtained;
mod recorder;
mod revoking;
mod start;
mod teller;
mod upstreams;

use std::process::ExitCode;

use certfleet_service_kit::{Program, run};

fn main() -> ExitCode {
    let program = Program {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        about: env!("CARGO_PKG_DESCRIPTION"),
    };
    run(program, start::work)
}
