//! certfleet-metrics-adapter: tells Kubernetes how much work waits, so that it can have as many workers as that takes.
//!
//! It is an extension API server of Kubernetes: the cluster's own API server hands on to it what is asked under
//! `/apis/external.metrics.k8s.io/v1beta1`, and says for whom. It answers nobody else, and nothing that it does not know:
//! with the database away each answer is an error, by which a `HorizontalPodAutoscaler` leaves everything as it is.

mod access;
mod client_certificates;
mod front_proxy;
mod kubernetes;
mod metric;
mod reading;
mod refusal;
mod routes;
mod selector;
mod start;
mod wire;

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
