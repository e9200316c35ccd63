//! `bench`: several servers on this machine, one at a time, round after round, so that what changes on the
//! machine meanwhile changes for all; with few clients and with many, since a server that is good at the one may be bad
//! at the other.

mod result;
mod round;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cli::BenchArgs;
use crate::client::http::Reach;
use crate::load::{Extent, Plan};
use crate::measure::machine::Machine;
use crate::measure::process::Watched;
use crate::measure::tally::{Summary, Tally};
use crate::peers::{Ground, Kind, Peer, caddy};
use crate::responder::KeyAuthorizations;
use crate::{dns, interrupted, report, responder};
pub(crate) use result::{BenchReport, PeerReport, Settings};
pub(crate) use round::{Program, Round};
use round::{Resident, memory};

/// How many rounds with a server that hangs are begun again, in one comparison. After that, what it did counts.
const MOST_REPEATED: u32 = 5;
/// The longest warm-up of a server that may hang: most of what it has to give would be gone with it.
const SHORT_WARM_UP: Duration = Duration::from_millis(200);

/// One server over all rounds.
struct Contender {
    peer: Peer,
    programs: Vec<Program>,
    idle: Vec<Resident>,
    rounds: Vec<Round>,
    /// Rounds begun again.
    repeated: u32,
    tally: Tally,
}

/// Runs the comparison and tells its result. Gives whether every flow succeeded.
pub(crate) async fn run(arguments: BenchArgs) -> Result<bool> {
    let home = tempfile::Builder::new()
        .prefix("certfleet-bench-")
        .tempdir_in(&arguments.data)
        .with_context(|| format!("no data directory in {}", arguments.data.display()))?;
    let (ground, answers) = prepare(&arguments, home.path().to_owned()).await?;
    let mut contenders = Vec::new();
    let outcome = tokio::select! {
        outcome = compare(&arguments, &ground, &answers, &mut contenders) => outcome,
        signal = interrupted() => signal.and_then(|()| bail!("interrupted")),
    };
    for contender in contenders {
        contender.peer.stop().await?;
    }
    let comparisons = outcome?;
    report::sweep(&comparisons)?;
    if let Some(path) = &arguments.load.json {
        report::write_json(path, &comparisons)?;
    }
    Ok(comparisons.iter().all(BenchReport::is_clean))
}

/// Starts what all servers need: somebody to answer challenges, and names.
async fn prepare(
    arguments: &BenchArgs,
    directory: std::path::PathBuf,
) -> Result<(Ground, KeyAuthorizations)> {
    let answers = KeyAuthorizations::default();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let http01 = responder::start(any, answers.clone()).await?;
    let dns = dns::start(any).await?;
    if arguments.peers.contains(&Kind::Caddy) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, caddy::HTTP01_PORT));
        let why = "Caddy validates on port 80 and resolves on port 53, which takes root and free ports; \
                   --peers leaves it out";
        responder::start(address, answers.clone())
            .await
            .context(why)?;
        dns::start(caddy::DNS).await.context(why)?;
    }
    let ground = Ground {
        directory,
        dns,
        http01_port: http01.port(),
        certfleet: arguments.certfleet.clone(),
        other: arguments.other.clone(),
        share: arguments.share,
    };
    Ok((ground, answers))
}

/// Starts the servers and compares them, with few clients and with many.
async fn compare(
    arguments: &BenchArgs,
    ground: &Ground,
    answers: &KeyAuthorizations,
    contenders: &mut Vec<Contender>,
) -> Result<Vec<BenchReport>> {
    for &kind in &arguments.peers {
        ensure!(
            contenders.iter().all(|c| c.peer.kind != kind),
            "{} is to be compared with itself",
            kind.name()
        );
        report::say(&format!("starting {}", kind.name()))?;
        let contender = Contender::start(kind, ground).await?;
        contender.peer.rest()?;
        contenders.push(contender);
    }
    let mut comparisons = Vec::new();
    for &clients in &arguments.clients {
        for round in 1..=arguments.rounds {
            for at in 0..contenders.len() {
                let others: Vec<_> = (0..contenders.len())
                    .filter(|&other| other != at)
                    .flat_map(|other| contenders[other].peer.watched.clone())
                    .collect();
                let contender = &mut contenders[at];
                let plan = |peer: &Peer| plan(arguments, clients, peer, answers);
                let summary = contender.round(ground, plan, &others).await?;
                report::say(&format!(
                    "{clients} clients, round {round}, {}: {:.1} flows/s, {} failed",
                    contender.peer.kind.name(),
                    summary.flows_per_second,
                    summary.failed
                ))?;
            }
        }
        let machine = Machine::this(&ground.directory);
        let settings = Settings::of(arguments, clients);
        let comparison = BenchReport::new(machine, settings, contenders);
        report::bench(&comparison)?;
        comparisons.push(comparison);
        for contender in &mut *contenders {
            contender.forget_rounds()?;
        }
    }
    Ok(comparisons)
}

impl Contender {
    async fn start(kind: Kind, ground: &Ground) -> Result<Self> {
        let peer = Peer::start(kind, ground).await?;
        Ok(Self {
            programs: round::programs(&peer.watched)?,
            idle: memory(&peer.watched)?,
            peer,
            rounds: Vec::new(),
            repeated: 0,
            tally: Tally::new()?,
        })
    }

    /// What was measured so far is reported.
    fn forget_rounds(&mut self) -> Result<()> {
        self.rounds.clear();
        self.repeated = 0;
        self.tally = Tally::new()?;
        Ok(())
    }

    /// Measures it once more.
    async fn round(
        &mut self,
        ground: &Ground,
        plan: impl Fn(&Peer) -> Plan,
        others: &[Watched],
    ) -> Result<Summary> {
        loop {
            if self.peer.kind.may_hang() {
                self.peer.restart(ground).await?;
            }
            self.peer.wake()?;
            let (round, tally) = round::measure(&self.peer, plan(&self.peer), others).await?;
            self.peer.rest()?;
            if round.is_telling() || self.repeated == MOST_REPEATED {
                self.tally.merge(tally)?;
                let summary = round.summary.clone();
                self.rounds.push(round);
                return Ok(summary);
            }
            self.repeated += 1;
        }
    }
}

/// The load on `peer`.
fn plan(arguments: &BenchArgs, clients: u16, peer: &Peer, answers: &KeyAuthorizations) -> Plan {
    Plan {
        directory: peer.directory.clone(),
        tls: std::sync::Arc::clone(&peer.tls),
        reach: Reach::Loopback,
        clients: clients.into(),
        extent: Extent::Time {
            warm_up: if peer.kind.may_hang() {
                arguments.warm_up.min(SHORT_WARM_UP)
            } else {
                arguments.warm_up
            },
            measured: arguments.duration,
        },
        names: arguments.load.names.into(),
        accounts: arguments.load.accounts,
        flow_timeout: arguments.load.flow_timeout,
        answers: answers.clone(),
    }
}
