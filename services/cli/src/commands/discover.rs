//! `certfleet discover`: certificates that nobody has told the fleet of (DEP-5).

use std::path::PathBuf;

use anyhow::Context as _;
use certfleet_domain::{
    Clock as _, DiscoveryId, Endpoint, ProjectName, Sight, SystemClock, UpstreamName,
};
use certfleet_management::views::{CertificateView, DiscoveryView};
use certfleet_management::{Refused, add_discoveries, adopt, remove_discovery, sweep};
use certfleet_storage::Store;
use clap::{Args, Subcommand};
use ipnet::IpNet;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, joined, moment_or_none};

/// Find certificates that nobody has told the fleet of.
#[derive(Debug, Subcommand)]
pub enum DiscoverCommand {
    /// Have places looked at for what they serve, within ten seconds and daily.
    Add(AddArgs),
    /// List what is served where.
    List(ListArgs),
    /// Have what is served somewhere from these authorities from now on, and watch whether it is served.
    Adopt {
        /// The place's id.
        id: DiscoveryId,
        /// From whom, in order of preference. May be given several times.
        #[arg(long = "upstream", value_name = "NAME", required = true)]
        upstreams: Vec<UpstreamName>,
    },
    /// Look at a place no more.
    Remove {
        /// Its id.
        id: DiscoveryId,
    },
}

/// Which places.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The places.
    #[arg(value_name = "HOST:PORT", required_unless_present_any = ["file", "network"])]
    endpoints: Vec<Endpoint>,
    /// A file with a place on each line; what follows a # is not read.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// All addresses of this network, of up to 4,096: where nothing answers there is nothing.
    #[arg(long, value_name = "CIDR", conflicts_with_all = ["endpoints", "file"])]
    network: Option<IpNet>,
    /// The ports at these addresses.
    #[arg(long, value_name = "PORT", default_value = "443", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// Whose they are.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
}

/// Which of them.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that nobody has told the fleet of.
    #[arg(long)]
    unmanaged: bool,
    /// At most so many are looked through.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// Those that were added after this one.
    #[arg(long, value_name = "ID")]
    after: Option<DiscoveryId>,
}

/// Carries out a `discover` command.
pub async fn run(
    command: DiscoverCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        DiscoverCommand::Add(args) => {
            let swept = args.network.is_some();
            let endpoints = places(&args)?;
            let store = open(config).await?;
            let plan = add_discoveries(&store, args.project, endpoints, swept).await?;
            let added = plan.carry_out(&store, Operator::here().sender()).await?;
            let all: Vec<DiscoveryView> = added.iter().map(DiscoveryView::from).collect();
            out.show(&all, |sheet| {
                sheet.line(format_args!(
                    "{} places are looked at: certfleet discover list",
                    all.len()
                ));
            })
        }
        DiscoverCommand::List(args) => list(&open(config).await?, &args, out).await,
        DiscoverCommand::Adopt { id, upstreams } => {
            let store = open(config).await?;
            let found = store.discoveries.find(id).await?;
            let discovery = found.ok_or_else(|| Failure::not_found("discovery", id))?;
            let plan = adopt(&store, &discovery, upstreams).await?;
            let managed = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = CertificateView::of(&managed, SystemClock.now());
            out.show(&view, |sheet| {
                sheet.line(format_args!(
                    "a worker gets it: certfleet cert show {}; where it goes, certfleet cert deliver says",
                    view.id
                ));
            })
        }
        DiscoverCommand::Remove { id } => {
            let store = open(config).await?;
            loop {
                let found = store.discoveries.find(id).await?;
                let discovery = found.ok_or_else(|| Failure::not_found("discovery", id))?;
                let plan = remove_discovery(&store, discovery);
                match plan.carry_out(&store, Operator::here().sender()).await {
                    Ok(removed) => {
                        let view = DiscoveryView::from(&removed);
                        return out.show(&view, |sheet| {
                            sheet.line(format_args!("{} is looked at no more", view.endpoint));
                        });
                    }
                    // A worker looks at it at this moment.
                    Err(Refused::Meanwhile) => {}
                    Err(refused) => return Err(refused.into()),
                }
            }
        }
    }
}

fn places(args: &AddArgs) -> Result<Vec<Endpoint>, Failure> {
    if let Some(network) = args.network {
        return Ok(sweep(network, &args.ports)?);
    }
    let mut endpoints = args.endpoints.clone();
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for (number, line) in text.lines().enumerate() {
            let place = line.split('#').next().unwrap_or_default().trim();
            if place.is_empty() {
                continue;
            }
            let endpoint = place.parse().map_err(|error| {
                let at = number + 1;
                Failure::Invalid(format!(
                    "{}:{at}: {error}; nothing was done",
                    file.display()
                ))
            })?;
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

async fn list(store: &Store, args: &ListArgs, out: Output) -> Result<(), Failure> {
    let found = store
        .discoveries
        .list(&Sight::Everything, args.after, args.limit);
    let all: Vec<DiscoveryView> = found
        .await?
        .iter()
        .map(DiscoveryView::from)
        .filter(|one| !args.unmanaged || one.status == "unmanaged")
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is none; `certfleet discover add HOST:PORT` has a place looked at");
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.id.clone(),
                one.endpoint.clone(),
                one.status.to_owned(),
                joined(&one.names),
                one.issuer.clone().unwrap_or_default(),
                moment_or_none(one.not_after),
                one.trouble.clone().unwrap_or_default(),
            ]
        });
        let heads = [
            "id",
            "where",
            "status",
            "names",
            "issuer",
            "valid until",
            "trouble",
        ];
        sheet.table(heads, rows);
    })
}
