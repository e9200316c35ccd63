//! `flows`: load on one server that runs already.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cli::{ChallengeKind, FlowsArgs};
use crate::client::http::{Reach, tls};
use crate::load::{self, Extent, Plan};
use crate::measure::process::sample;
use crate::measure::tally::Summary;
use crate::responder::KeyAuthorizations;
use crate::{dns, report, responder};

/// What `--json` holds.
#[derive(Serialize)]
pub(crate) struct FlowsReport {
    pub(crate) directory: String,
    pub(crate) clients: u16,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Processor time of this program.
    pub(crate) client_cpu_ms_per_flow: f64,
}

/// Runs the load and tells its result. Gives whether every flow succeeded.
pub(crate) async fn run(arguments: FlowsArgs) -> Result<bool> {
    let plan = plan(&arguments).await?;
    let before = sample(std::process::id())?.cpu;
    let running = load::start(plan).await?;
    let seen = running.finish(None).await?;
    let spent = sample(std::process::id())?.cpu.saturating_sub(before);
    let summary = seen.tally.summary(seen.measured);
    let result = FlowsReport {
        directory: arguments.directory,
        clients: arguments.clients,
        client_cpu_ms_per_flow: millis(spent)
            / (summary.flows_per_second * summary.seconds).max(1.0),
        summary,
    };
    report::flows(&result)?;
    if let Some(path) = &arguments.load.json {
        report::write_json(path, &result)?;
    }
    Ok(result.summary.flows > 0 && result.summary.failed == 0)
}

async fn plan(arguments: &FlowsArgs) -> Result<Plan> {
    let roots = match (&arguments.root, arguments.insecure) {
        (Some(path), _) => {
            Some(std::fs::read(path).with_context(|| format!("the roots, {}", path.display()))?)
        }
        (None, true) => None,
        (None, false) if arguments.directory.starts_with("http://") => None,
        (None, false) => anyhow::bail!("--root or --insecure says which certificates to trust"),
    };
    let answers = KeyAuthorizations::default();
    match arguments.challenge {
        ChallengeKind::Http01 => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.http01_port));
            responder::start(address, answers.clone()).await?;
        }
    }
    if let Some(address) = arguments.dns {
        dns::start(address).await?;
    }
    let load = &arguments.load;
    Ok(Plan {
        directory: arguments.directory.clone(),
        tls: tls(roots.as_deref())?,
        reach: if arguments.allow_remote {
            Reach::Anywhere
        } else {
            Reach::Loopback
        },
        clients: arguments.clients.into(),
        extent: match arguments.flows {
            Some(flows) => Extent::Flows(flows),
            None => Extent::Time {
                warm_up: arguments.warm_up,
                measured: arguments.duration,
            },
        },
        names: load.names.into(),
        accounts: load.accounts,
        flow_timeout: load.flow_timeout,
        answers,
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
