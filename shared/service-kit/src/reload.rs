//! SIGHUP: the settings are read again. What can change while the service runs does; what cannot is named.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::settings::{Given, Limits, LongRunning, Notices, SecretText, Source};
use crate::shutdown::Signals;
use crate::telemetry::LogLevel;

const LOG_LEVEL: &str = "log.level";
const METRICS_TOKEN: &str = "management.metrics_token";
const LIMITS: &str = "limits.";
const NOTICES: &str = "notices.";

/// What a service's running parts take from the settings anew.
pub(crate) struct Reload {
    /// The settings file, which is read again. The environment of a process does not change.
    pub(crate) file: Option<PathBuf>,
    /// What the service runs with.
    pub(crate) running: Given,
    /// What is logged.
    pub(crate) log_level: LogLevel,
    /// What the metrics ask for.
    pub(crate) metrics_token: watch::Sender<Option<SecretText>>,
    /// How much is let through.
    pub(crate) limits: watch::Sender<Limits>,
    /// By what people are told.
    pub(crate) notices: watch::Sender<Notices>,
}

impl Reload {
    /// Reads the settings again with each SIGHUP.
    pub(crate) async fn run<S: LongRunning>(mut self, signals: Signals) {
        let mut hangups = signals.reload.clone();
        while hangups.changed().await.is_ok() {
            self.reload::<S>();
        }
    }

    fn reload<S: LongRunning>(&mut self) {
        let loaded =
            Source::of_process(self.file.clone()).and_then(|source| S::load_given(&source));
        let (settings, given) = match loaded {
            Ok(loaded) => loaded,
            Err(faults) => {
                for fault in faults.to_string().lines() {
                    tracing::error!("settings are not valid, and nothing is changed: {fault}");
                }
                return;
            }
        };
        let base = settings.base();
        let mut waiting = Vec::new();
        for name in given.changed_since(&self.running) {
            match name.as_str() {
                LOG_LEVEL => {
                    if let Err(error) = self.log_level.set(&base.log) {
                        tracing::error!(%error, "the log level is not changed");
                        continue;
                    }
                }
                METRICS_TOKEN => {
                    self.metrics_token
                        .send_replace(base.management.metrics_token.clone());
                }
                limit if limit.starts_with(LIMITS) => {
                    self.limits.send_replace(settings.limits());
                }
                notice if notice.starts_with(NOTICES) => {
                    self.notices.send_replace(settings.notices());
                }
                _ => {
                    waiting.push(name);
                    continue;
                }
            }
            tracing::info!("{name} is changed");
            self.running.adopt(&name, &given);
        }
        if waiting.is_empty() {
            tracing::info!("the settings were read again");
        } else {
            tracing::warn!(
                "the settings were read again; these need a restart: {}",
                waiting.join(", ")
            );
        }
    }
}
