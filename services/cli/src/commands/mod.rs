//! The commands, one file each.

pub mod agent;
pub mod audit;
pub mod backup;
pub mod ca;
pub mod cert;
pub mod completion;
pub mod config;
pub mod crl;
pub mod db;
pub mod discover;
pub mod dr;
pub mod eab;
pub mod health;
pub mod inspect;
pub mod jobs;
pub mod kek;
pub mod limits;
pub mod maintenance;
pub mod notice;
pub mod plan;
pub mod project;
pub mod rollout;
pub mod solver;
pub mod target;
pub mod token;
pub mod upstream;

use certfleet_domain::Timestamp;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::up;

/// Carries out a command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let out = Output::new(cli.json);
    let config = cli.config();
    match cli.command {
        Command::Up(args) => up::run(args, config, out).await,
        Command::Config(config::ConfigCommand::Validate) => config::validate(config, out),
        Command::Db(command) => db::run(command, config, out).await,
        Command::Agent(command) => agent::run(command, config, out).await,
        Command::Solver(command) => solver::run(command, config, out).await,
        Command::Target(command) => target::run(command, config, out).await,
        Command::Ca(command) => ca::run(command, config, out).await,
        Command::Backup(command) => backup::run(command, config, out).await,
        Command::Rollout(command) => rollout::run(command, config, out).await,
        Command::Cert(command) => cert::run(command, config, out).await,
        Command::Dr(command) => dr::run(command, config, out).await,
        Command::Eab(command) => eab::run(command, config, out).await,
        Command::Crl(command) => crl::run(command, config, out).await,
        Command::Inspect(command) => inspect::run(command, config, out).await,
        Command::Health => health::run(config, out).await,
        Command::Jobs(command) => jobs::run(command, config, out).await,
        Command::Audit(command) => audit::run(command, config, out).await,
        Command::Kek(command) => kek::run(command, config, out).await,
        Command::Limits(command) => limits::run(command, config, out).await,
        Command::Plan(args) => plan::run(args, config, out).await,
        Command::Maintenance(command) => maintenance::run(command, config, out).await,
        Command::Upstream(command) => upstream::run(command, config, out).await,
        Command::Token(command) => token::run(command, config, out).await,
        Command::Discover(command) => discover::run(command, config, out).await,
        Command::Notice(command) => notice::run(command, config, out).await,
        Command::Project(command) => project::run(command, config, out).await,
        Command::Completion { shell } => completion::print(shell),
    }
}

/// A time on the command line (RFC 3339).
pub fn parse_moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text, &Rfc3339)
        .map_err(|_| "a time such as 2026-11-26T12:00:00Z is due".to_owned())
}
