//! One server under load for a while, and what that cost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::Instant;

use crate::load::{self, Plan, Seen};
use crate::measure::mongo::{Counters, Mongo};
use crate::measure::process::{Watched, executable, sample};
use crate::measure::steps::as_f64;
use crate::measure::tally::{Summary, Tally};
use crate::peers::Peer;

/// A server's figures in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Round {
    pub(crate) summary: Summary,
    /// Processor time for each flow, by service, in milliseconds; all processes of a service together.
    pub(crate) cpu_ms_per_flow: BTreeMap<String, f64>,
    /// The same of this program, with its DNS and HTTP-01 responders.
    pub(crate) client_cpu_ms_per_flow: f64,
    /// At the end of the round, with all clients at work.
    pub(crate) resident: Vec<Resident>,
    /// What the database did for each flow; only for a server that has one beside it.
    pub(crate) database_per_flow: Option<BTreeMap<String, f64>>,
    /// Whether the server stopped answering; what is told here was measured until then.
    pub(crate) hung: bool,
    /// Cores that the other servers used meanwhile.
    pub(crate) other_servers_cores: f64,
}

/// A process's memory.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resident {
    pub(crate) service: String,
    pub(crate) mib: f64,
}

/// A program of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) mib: f64,
}

/// Everything looked at, at one moment.
struct Look {
    peer: BTreeMap<String, Duration>,
    own: Duration,
    others: Duration,
    at: Instant,
    counters: Option<Counters>,
}

impl Look {
    async fn now(watched: &[Watched], mongo: Option<&Mongo>, others: &[Watched]) -> Result<Self> {
        let mut peer = BTreeMap::new();
        for process in watched {
            *peer.entry(process.service.clone()).or_default() += sample(process.pid)?.cpu;
        }
        let mut of_others = Duration::ZERO;
        for process in others {
            of_others += sample(process.pid)?.cpu;
        }
        Ok(Self {
            peer,
            own: sample(std::process::id())?.cpu,
            others: of_others,
            at: Instant::now(),
            counters: match mongo {
                Some(mongo) => Some(mongo.counters().await?),
                None => None,
            },
        })
    }
}

/// A server that may hang has hung when no flow has succeeded for so long.
const PATIENCE: Duration = Duration::from_secs(3);
/// A server that hangs has to have been measured for so many seconds before, to tell anything.
const SHORTEST: f64 = 1.0;

/// Loads `peer` as planned. The processes in `others` are expected to do nothing meanwhile.
pub(crate) async fn measure(peer: &Peer, plan: Plan, others: &[Watched]) -> Result<(Round, Tally)> {
    let patience = peer.kind.may_hang().then_some(PATIENCE);
    let running = load::start(plan).await?;
    let window = running.window;
    running.until(window.start, patience).await;
    let before = Look::now(&peer.watched, peer.mongo.as_ref(), others).await?;
    if let Some(end) = window.end {
        running.until(end, patience).await;
    }
    let after = Look::now(&peer.watched, peer.mongo.as_ref(), others).await?;
    let resident = memory(&peer.watched)?;
    let seen = running.finish(patience).await?;
    let round = Round {
        resident,
        ..round(&before, &after, &seen)
    };
    Ok((round, seen.tally))
}

impl Round {
    /// Whether there was enough to measure.
    pub(crate) fn is_telling(&self) -> bool {
        !self.hung || self.summary.seconds >= SHORTEST
    }
}

fn round(before: &Look, after: &Look, seen: &Seen) -> Round {
    let summary = seen.tally.summary(seen.measured);
    let flows = as_f64(summary.flows).max(1.0);
    let spent = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64();
    let cpu_ms_per_flow = after
        .peer
        .iter()
        .map(|(service, &now)| {
            let then = before.peer.get(service).copied().unwrap_or_default();
            (service.clone(), spent(now, then) * 1e3 / flows)
        })
        .collect();
    let database_per_flow = match (&after.counters, &before.counters) {
        (Some(after), Some(before)) => after.per_flow(before, summary.flows),
        _ => None,
    };
    let elapsed = after.at - before.at;
    Round {
        cpu_ms_per_flow,
        client_cpu_ms_per_flow: spent(after.own, before.own) * 1e3 / flows,
        resident: Vec::new(),
        database_per_flow,
        other_servers_cores: spent(after.others, before.others) / elapsed.as_secs_f64(),
        hung: seen.hung,
        summary,
    }
}

/// The processes' memory now.
pub(crate) fn memory(watched: &[Watched]) -> Result<Vec<Resident>> {
    let resident = watched.iter().map(|process| {
        Ok(Resident {
            service: process.service.clone(),
            mib: mib(sample(process.pid)?.resident),
        })
    });
    resident.collect()
}

/// The programs behind the processes, each once.
pub(crate) fn programs(watched: &[Watched]) -> Result<Vec<Program>> {
    let mut programs: Vec<Program> = Vec::new();
    for process in watched {
        let (name, size) = executable(process.pid)?;
        if programs.iter().all(|program| program.name != name) {
            let mib = mib(size);
            programs.push(Program { name, mib });
        }
    }
    Ok(programs)
}

fn mib(octets: u64) -> f64 {
    as_f64(octets) / f64::from(1 << 20)
}
