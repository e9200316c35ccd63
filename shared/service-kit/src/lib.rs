//! Settings, telemetry, probes, shutdown and TLS: what every service starts with.
//!
//! A service's `main` is a call of [`run`], which reads arguments and [`settings`], starts the logs and
//! the management port, and gives the service a [`Context`]. What the service serves itself, it serves
//! with a [`Server`], its routes wrapped in an [`Edge`].
//!
//! Nothing here knows the database: what can be ill registers a [`Check`] with [`Health`].

mod cli;
mod client_certificates;
mod client_ip;
mod connection;
pub mod edge;
mod health;
mod listener;
mod metrics;
mod probes;
mod reload;
mod request_id;
mod run;
mod serve;
mod server_id;
pub mod settings;
mod shutdown;
pub mod telemetry;
pub mod tls;
mod traces;

pub use client_certificates::{Anybody, Believe};
pub use client_ip::{ClientIp, client_ip};
pub use edge::Edge;
pub use health::{Check, CheckFuture, Condition, Health, Importance, Report, Status};
pub use listener::{BindError, bind};
pub use metrics::{Metrics, Source, SourceFuture};
pub use probes::{management, probes};
pub use request_id::{HEADER as REQUEST_ID_HEADER, RequestId};
pub use run::{Context, Program, run};
pub use serve::Server;
pub use server_id::{ServerIdError, server_id};
pub use shutdown::{Signals, drain};
pub use tls::PeerCertificates;

#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod test_client;
