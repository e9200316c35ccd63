//! `certfleet completion SHELL`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::Output;

/// Prints the completion script of a shell.
pub fn print(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "certfleet", &mut script);
    Output::raw(&String::from_utf8_lossy(&script))
}
