//! The arguments that every service takes.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches};

/// The arguments that every service takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceArgs {
    /// The settings file (YAML).
    #[arg(long, env = "CERTFLEET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check the settings without connecting anywhere, say whether they are valid, and exit with 0 if
    /// they are and 2 if not.
    #[arg(long)]
    pub(crate) validate_only: bool,
}

impl ServiceArgs {
    /// Reads the arguments of this process; `--help`, `--version` and mistakes end it here.
    pub(crate) fn of_process(
        name: &'static str,
        version: &'static str,
        about: &'static str,
    ) -> Self {
        let command = Command::new(name).version(version).about(about);
        let matches = Self::augment_args(command).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The settings file, if there is one; an empty name is none.
    pub(crate) fn config(&self) -> Option<PathBuf> {
        self.config
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
    }
}
