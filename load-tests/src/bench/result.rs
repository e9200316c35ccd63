//! The comparison: medians over the rounds, and ratios within them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Contender;
use super::round::{Program, Resident, Round};
use crate::cli::BenchArgs;
use crate::load::Accounts;
use crate::measure::machine::Machine;
use crate::measure::steps::Step;
use crate::measure::tally::Summary;
use crate::peers::Kind;

/// The comparison with one number of clients. `--json` holds one for each.
#[derive(Serialize)]
pub(crate) struct BenchReport {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) peers: Vec<PeerReport>,
    pub(crate) ratios: Vec<Ratio>,
}

/// The load that all servers got.
#[derive(Serialize)]
pub(crate) struct Settings {
    pub(crate) clients: u16,
    pub(crate) names: u16,
    pub(crate) accounts: Accounts,
    pub(crate) rounds: u32,
    pub(crate) warm_up_seconds: f64,
    pub(crate) measured_seconds: f64,
    /// What each replica of certfleet's services had of a core, in percent, if that was limited.
    pub(crate) share_percent: Option<u32>,
}

/// One server.
#[derive(Serialize)]
pub(crate) struct PeerReport {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) flows_per_second: Spread,
    /// Of whole flows, in milliseconds.
    pub(crate) p50_ms: Spread,
    pub(crate) p99_ms: Spread,
    /// In milliseconds, by service.
    pub(crate) cpu_ms_per_flow: BTreeMap<String, Spread>,
    pub(crate) client_cpu_ms_per_flow: Spread,
    pub(crate) database_per_flow: BTreeMap<String, Spread>,
    /// Before any load.
    pub(crate) idle: Vec<Resident>,
    pub(crate) programs: Vec<Program>,
    /// All rounds taken together.
    pub(crate) together: Summary,
    pub(crate) rounds: Vec<Round>,
    /// Rounds that had to be begun again, because it hung before anything was measured.
    pub(crate) repeated: u32,
}

/// How many times the flows per second of another server the first one has, round by round.
#[derive(Serialize)]
pub(crate) struct Ratio {
    pub(crate) first: Kind,
    pub(crate) other: Kind,
    pub(crate) times: Spread,
}

/// The rounds' median, least and greatest value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// All zero without a value.
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let at = |n: usize| values.get(n).copied().unwrap_or_default();
        let median = if values.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.saturating_sub(1)), at(middle))
        };
        Self {
            median,
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

impl Settings {
    pub(super) fn of(arguments: &BenchArgs, clients: u16) -> Self {
        Self {
            clients,
            names: arguments.load.names,
            accounts: arguments.load.accounts,
            rounds: arguments.rounds,
            warm_up_seconds: arguments.warm_up.as_secs_f64(),
            measured_seconds: arguments.duration.as_secs_f64(),
            share_percent: arguments.share,
        }
    }
}

impl BenchReport {
    pub(super) fn new(machine: Machine, settings: Settings, contenders: &[Contender]) -> Self {
        let ratios = match contenders.split_first() {
            Some((first, others)) => others.iter().map(|other| ratio(first, other)).collect(),
            None => Vec::new(),
        };
        Self {
            machine,
            settings,
            peers: contenders.iter().map(PeerReport::of).collect(),
            ratios,
        }
    }

    /// Whether every server issued and no flow failed, those aside that are known to hang.
    pub(crate) fn is_clean(&self) -> bool {
        let mut sound = self.peers.iter().filter(|peer| !peer.kind.may_hang());
        sound.all(|peer| peer.together.flows > 0 && peer.together.failed == 0)
    }
}

fn ratio(first: &Contender, other: &Contender) -> Ratio {
    let rate = |round: &Round| round.summary.flows_per_second;
    let rounds = first.rounds.iter().zip(&other.rounds);
    Ratio {
        first: first.peer.kind,
        other: other.peer.kind,
        times: Spread::of(
            rounds
                .filter(|(_, other)| rate(other) > 0.0)
                .map(|(first, other)| rate(first) / rate(other)),
        ),
    }
}

impl PeerReport {
    fn of(contender: &Contender) -> Self {
        let rounds = &contender.rounds;
        let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
        let measured = rounds
            .iter()
            .map(|round| std::time::Duration::from_secs_f64(round.summary.seconds))
            .sum();
        let costs = rounds.iter().map(|round| Some(&round.cpu_ms_per_flow));
        let database = rounds.iter().map(|round| round.database_per_flow.as_ref());
        Self {
            kind: contender.peer.kind,
            title: contender.peer.title.clone(),
            flows_per_second: spread(|round| round.summary.flows_per_second),
            p50_ms: spread(|round| whole_flow(round).0),
            p99_ms: spread(|round| whole_flow(round).1),
            cpu_ms_per_flow: by_name(costs),
            client_cpu_ms_per_flow: spread(|round| round.client_cpu_ms_per_flow),
            database_per_flow: by_name(database),
            idle: contender.idle.clone(),
            programs: contender.programs.clone(),
            together: contender.tally.summary(measured),
            rounds: rounds.clone(),
            repeated: contender.repeated,
        }
    }

    /// Processor time of all its processes for each flow, in milliseconds.
    pub(crate) fn server_cpu_ms_per_flow(&self) -> f64 {
        self.cpu_ms_per_flow.values().map(|cost| cost.median).sum()
    }

    /// The greatest memory over the rounds of the process that is `idle[at]`.
    pub(crate) fn loaded_mib(&self, at: usize) -> f64 {
        let rounds = self.rounds.iter();
        rounds
            .filter_map(|round| round.resident.get(at))
            .map(|process| process.mib)
            .fold(0.0, f64::max)
    }

    /// Rounds in which it hung.
    pub(crate) fn hung(&self) -> usize {
        self.rounds.iter().filter(|round| round.hung).count()
    }

    /// The greatest share of the machine that idle servers took in one of its rounds, in cores.
    pub(crate) fn other_servers_cores(&self) -> f64 {
        let rounds = self.rounds.iter();
        rounds
            .map(|round| round.other_servers_cores)
            .fold(0.0, f64::max)
    }
}

/// p50 and p99 of whole flows, in milliseconds.
fn whole_flow(round: &Round) -> (f64, f64) {
    round
        .summary
        .step(Step::Flow)
        .map_or((0.0, 0.0), |row| (row.p50_ms, row.p99_ms))
}

/// The spread of each named value over the rounds that have any; a name missing in one of them counts as 0.
fn by_name<'a>(
    rounds: impl Iterator<Item = Option<&'a BTreeMap<String, f64>>>,
) -> BTreeMap<String, Spread> {
    let rounds: Vec<_> = rounds.flatten().collect();
    let names: BTreeSet<&String> = rounds.iter().flat_map(|round| round.keys()).collect();
    let spread = |name: &String| {
        let values = rounds.iter().map(|round| round.get(name).copied());
        Spread::of(values.map(Option::unwrap_or_default))
    };
    names
        .into_iter()
        .map(|name| (name.clone(), spread(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let spread = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied());
            (spread.min, spread.median, spread.max)
        };
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_eq!(spread(&[7.0]), (7.0, 7.0, 7.0));
        assert_eq!(spread(&[]), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_name_missing_in_a_round_counts_as_nothing() {
        let one = BTreeMap::from([("a".to_owned(), 2.0)]);
        let two = BTreeMap::from([("a".to_owned(), 4.0), ("b".to_owned(), 1.0)]);
        let spreads = by_name([Some(&one), None, Some(&two)].into_iter());
        assert_eq!(spreads["a"], Spread::of([2.0, 4.0]));
        assert_eq!(spreads["b"], Spread::of([0.0, 1.0]));
    }
}
