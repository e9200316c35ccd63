//! `log`: what is logged, and for whom.

use std::fmt::Display;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::section::{Complaint, Section};

/// For whom the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// What is logged, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or a filter such as `info,certfleet_api=debug`.
    pub level: String,
    /// Text or JSON; when not given, text on a terminal and JSON elsewhere.
    pub format: Option<LogFormat>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: None,
        }
    }
}

impl Section for Log {
    const NAME: &'static str = "log";

    fn check(&self) -> Result<(), Complaint> {
        let wrong = |why: &dyn Display| {
            let due = "is not a filter such as info or info,certfleet_api=debug";
            Err(("level", format!("{:?} {due}: {why}", self.level)))
        };
        // A bare word that is no level would be taken for a module's name, and silence all others.
        for part in self.level.split(',') {
            let bare = !part.contains(['=', '[']);
            if bare && part.trim().parse::<LevelFilter>().is_err() {
                return wrong(&format_args!("{part:?} is not a level"));
            }
        }
        match EnvFilter::try_new(&self.level) {
            Ok(_) => Ok(()),
            Err(error) => wrong(&error),
        }
    }
}
