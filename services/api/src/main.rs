//! certfleet-api: what faces the internet. It takes ACME requests, writes what is to be done, and holds no signing
//! key.

mod app;
mod body;
mod error;
mod limits;
mod metrics;
mod nonce_key;
mod routes;
mod server_certificate;
mod signed;
mod start;
mod ticket;
mod urls;

use std::process::ExitCode;

use certfleet_service_kit::{Program, run};

fn main() -> ExitCode {
    let program = Program {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        about: env!("CARGO_PKG_DESCRIPTION"),
    };
    run(program, start::serve)
}
