//! Settings, telemetry, probes, shutdown and TLS: what every service starts with.

pub mod settings;
