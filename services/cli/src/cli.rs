//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::{
    agent, audit, backup, ca, cert, config, crl, db, discover, dr, eab, inspect, jobs, kek, limits,
    maintenance, notice, plan, project, rollout, solver, target, token, upstream,
};
use crate::up::UpArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; standard error says why, in one line
  2    bad usage, or settings that are not valid
  3    there is no such thing (authority, order, certificate, account, key, job, pause)
  4    the audit trail is not what it was; standard error names the first entry that is wrong
  130  interrupted before it was done

Settings come from the environment (CERTFLEET_<SECTION>_<KEY>) over the file of --config.";

/// certfleet, the ACME authority: the operator's command.
#[derive(Debug, Parser)]
#[command(name = "certfleet", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// The settings file (YAML).
    #[arg(long, global = true, env = "CERTFLEET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print JSON for machines.
    #[arg(long, global = true)]
    pub json: bool,

    /// Log on standard error what is done meanwhile.
    #[arg(long, short, global = true)]
    pub verbose: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The settings file, if there is one; an empty name is none.
    pub fn config(&self) -> Option<PathBuf> {
        self.config
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster on this machine until Ctrl-C.
    Up(UpArgs),
    /// Look at the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Look at the database's schema, and bring it up to date.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Make certificate authorities, and look at them.
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Make keys that bind accounts to somebody you know (EAB), and take them away.
    #[command(subcommand)]
    Eab(eab::EabCommand),
    /// Say who may do what over the REST API.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Keep apart what belongs to whom.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Say whom the fleet has certificates from.
    #[command(subcommand)]
    Upstream(upstream::UpstreamCommand),
    /// Keep certificates renewed, look at them, take them out; revoke certificates of your own authority.
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Say which zones the fleet may change, to prove names in them by dns-01.
    #[command(subcommand)]
    Solver(solver::SolverCommand),
    /// Say where certificates are delivered to.
    #[command(subcommand)]
    Target(target::TargetCommand),
    /// Invite the agents of hosts, and look at them.
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Find certificates that nobody has told the fleet of.
    #[command(subcommand)]
    Discover(discover::DiscoverCommand),
    /// Look at what people were told without having asked: what was not renewed, what keeps failing, what is served wrongly.
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    /// Have the lists of what is revoked signed anew.
    #[command(subcommand)]
    Crl(crl::CrlCommand),
    /// Show all that is known of one order, certificate or account.
    #[command(subcommand)]
    Inspect(inspect::InspectCommand),
    /// Show how the cluster is: processes, leader, queue, switches, authorities. Exit code 1 if something that counts is
    /// bad.
    Health,
    /// Look at jobs, give dead ones another chance, pause and resume kinds of them.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Look at the audit trail, and find out whether it is what it was.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Look at the key encryption keys, and have another one seal.
    #[command(subcommand)]
    Kek(kek::KekCommand),
    /// Back up the database, and restore it.
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Rehearse the recovery from a disaster.
    #[command(subcommand)]
    Dr(dr::DrCommand),
    /// Look at names that are paused because their validations kept failing, and lift that.
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Calculate what a fleet costs its authority per hour, and how long replacing all of it would take.
    Plan(plan::PlanArgs),
    /// Take no new orders for a while.
    #[command(subcommand)]
    Maintenance(maintenance::MaintenanceCommand),
    /// Do one thing after the other while a cluster is brought to another version: what pods do of themselves.
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}
