//! The results for people to read, each figure with its unit.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::bench::{BenchReport, PeerReport};
use crate::flows::FlowsReport;
use crate::measure::tally::Summary;

/// Writes a line.
pub(crate) fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Writes `result` to `path`, indented.
pub(crate) fn write_json(path: &Path, result: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(result)?;
    text.push(b'\n');
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Tells the result of `flows`.
pub(crate) fn flows(result: &FlowsReport) -> Result<()> {
    let summary = &result.summary;
    say(&format!(
        "{}: {} clients, {:.1} s: {} flows, {:.1} flows/s, {} failed, {:.2} ms of this program's processor time per flow",
        result.directory,
        result.clients,
        summary.seconds,
        summary.flows,
        summary.flows_per_second,
        summary.failed,
        result.client_cpu_ms_per_flow,
    ))?;
    say(&steps(summary).to_string())?;
    tell_trouble(summary)
}

/// Tells how the comparisons of `bench` differ with the number of clients.
pub(crate) fn sweep(comparisons: &[BenchReport]) -> Result<()> {
    let Some(first) = comparisons.first() else {
        return Ok(());
    };
    let mut header = vec!["clients".to_owned()];
    for peer in &first.peers {
        let name = peer.kind.name();
        header.extend([format!("{name} flows/s"), format!("{name} p99 ms")]);
    }
    for ratio in &first.ratios {
        header.push(format!("{} / {}", ratio.first.name(), ratio.other.name()));
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = table(&header);
    for comparison in comparisons {
        let mut row = vec![comparison.settings.clients.to_string()];
        for peer in &comparison.peers {
            row.push(format!("{:.1}", peer.flows_per_second.median));
            row.push(format!("{:.0}", peer.p99_ms.median));
        }
        for ratio in &comparison.ratios {
            row.push(format!("{:.2}x", ratio.times.median));
        }
        table.add_row(row);
    }
    say(&format!("\n{table}\n"))?;
    tell_best(comparisons)
}

/// Each server's best rate, with however many clients it has it, and how many times the others' the first one's is.
fn tell_best(comparisons: &[BenchReport]) -> Result<()> {
    let best: Vec<(&'static str, u16, f64)> = (0..comparisons[0].peers.len())
        .filter_map(|at| {
            let rates = comparisons.iter().map(|comparison| {
                let peer = &comparison.peers[at];
                let clients = comparison.settings.clients;
                (peer.kind.name(), clients, peer.flows_per_second.median)
            });
            rates.max_by(|one, other| one.2.total_cmp(&other.2))
        })
        .collect();
    let Some(((name, clients, rate), others)) = best.split_first() else {
        return Ok(());
    };
    for (other, with, their_rate) in others.iter().filter(|other| other.2 > 0.0) {
        say(&format!(
            "each at its best: {name} {rate:.1} flows/s ({clients} clients) / {other} {their_rate:.1} ({with}) = {:.2}x",
            rate / their_rate
        ))?;
    }
    Ok(())
}

/// Tells the result of one comparison of `bench`.
pub(crate) fn bench(report: &BenchReport) -> Result<()> {
    let (machine, settings) = (&report.machine, &report.settings);
    say(&format!(
        "\n{}, {} cores, {} MiB, Linux {}, data on {}",
        machine.cpu, machine.cores, machine.memory_mib, machine.kernel, machine.disk
    ))?;
    say(&format!(
        "{} clients, {} name(s) per certificate, {} rounds of {} s after {} s of warm-up; medians (min..max)",
        settings.clients,
        settings.names,
        settings.rounds,
        settings.measured_seconds,
        settings.warm_up_seconds,
    ))?;
    if let Some(percent) = settings.share_percent {
        say(&format!(
            "each replica of certfleet's services has {percent} % of a core"
        ))?;
    }
    say(&format!("\n{}\n", overview(&report.peers)))?;
    for ratio in &report.ratios {
        say(&format!(
            "{} / {} = {:.2}x (median of {} rounds; {:.2}..{:.2})",
            ratio.first.name(),
            ratio.other.name(),
            ratio.times.median,
            settings.rounds,
            ratio.times.min,
            ratio.times.max,
        ))?;
    }
    for peer in &report.peers {
        detail(peer)?;
    }
    Ok(())
}

fn overview(peers: &[PeerReport]) -> Table {
    let mut table = table(&[
        "server",
        "flows/s",
        "p50 ms",
        "p99 ms",
        "requests/flow",
        "polls/flow",
        "failed flows",
        "server CPU ms/flow",
        "client CPU ms/flow",
        "others' cores",
    ]);
    for peer in peers {
        let rate = &peer.flows_per_second;
        let together = &peer.together;
        let polls = together.authorization_polls_per_flow + together.order_polls_per_flow;
        table.add_row([
            peer.kind.name().to_owned(),
            format!("{:.1} ({:.1}..{:.1})", rate.median, rate.min, rate.max),
            format!("{:.1}", peer.p50_ms.median),
            format!("{:.1}", peer.p99_ms.median),
            format!("{:.2}", together.requests_per_flow),
            format!("{polls:.2}"),
            together.failed.to_string(),
            format!("{:.2}", peer.server_cpu_ms_per_flow()),
            format!("{:.2}", peer.client_cpu_ms_per_flow.median),
            format!("{:.3}", peer.other_servers_cores()),
        ]);
    }
    table
}

fn detail(peer: &PeerReport) -> Result<()> {
    say(&format!("\n{} ({})\n", peer.kind.name(), peer.title))?;
    say(&steps(&peer.together).to_string())?;
    say(&format!("\n{}\n", services(peer)))?;
    if !peer.database_per_flow.is_empty() {
        let mut table = table(&["database, primary", "per flow"]);
        for (name, value) in &peer.database_per_flow {
            table.add_row([name.clone(), format!("{:.2}", value.median)]);
        }
        say(&format!("{table}\n"))?;
    }
    tell_hangs(peer)?;
    let programs = peer.programs.iter();
    let programs: Vec<String> = programs
        .map(|program| format!("{} {:.1} MiB", program.name, program.mib))
        .collect();
    say(&format!("programs: {}", programs.join(", ")))?;
    tell_trouble(&peer.together)
}

/// Memory and processor time by service; a range where its processes differ.
fn services(peer: &PeerReport) -> Table {
    let mut table = table(&[
        "service",
        "processes",
        "CPU ms/flow",
        "idle MiB each",
        "loaded MiB each",
    ]);
    for (service, cost) in &peer.cpu_ms_per_flow {
        let processes = peer.idle.iter().enumerate();
        let idle = processes.filter(|(_, one)| one.service == *service);
        let (idle, loaded): (Vec<f64>, Vec<f64>) =
            idle.map(|(at, one)| (one.mib, peer.loaded_mib(at))).unzip();
        table.add_row([
            service.clone(),
            idle.len().to_string(),
            format!("{:.2}", cost.median),
            range(&idle),
            range(&loaded),
        ]);
    }
    table
}

fn tell_hangs(peer: &PeerReport) -> Result<()> {
    if peer.hung() == 0 && peer.repeated == 0 {
        return Ok(());
    }
    say(&format!(
        "it hung in {} of {} rounds, whose figures are of the time until then ({:.1} s in all); {} more were begun again",
        peer.hung(),
        peer.rounds.len(),
        peer.together.seconds,
        peer.repeated,
    ))
}

fn range(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(0.0, f64::max);
    if greatest - least < 0.05 {
        format!("{greatest:.1}")
    } else {
        format!("{least:.1}..{greatest:.1}")
    }
}

fn steps(summary: &Summary) -> Table {
    let mut table = table(&[
        "step",
        "per flow",
        "mean ms",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "of flow %",
    ]);
    for row in &summary.steps {
        let mut cells = vec![row.step.to_string(), format!("{:.2}", row.per_flow)];
        let times = [row.mean_ms, row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms];
        cells.extend(times.map(|time| format!("{time:.2}")));
        cells.push(if row.step.is_span() {
            format!("({:.1})", row.share_percent)
        } else {
            format!("{:.1}", row.share_percent)
        });
        table.add_row(cells);
    }
    table
}

/// What was tried again, and what failed.
fn tell_trouble(summary: &Summary) -> Result<()> {
    let retries = [
        ("badNonce", summary.retries.bad_nonce),
        ("503", summary.retries.unavailable),
        ("connection", summary.retries.connection),
    ];
    let told: BTreeMap<_, _> = retries.into_iter().filter(|(_, n)| *n > 0).collect();
    if !told.is_empty() {
        say(&format!("tried again: {}", list(&told)))?;
    }
    for (kind, failed) in &summary.failures {
        say(&format!(
            "failed: {} flows: {kind} (first: {})",
            failed.flows, failed.example
        ))?;
    }
    Ok(())
}

fn list(counts: &BTreeMap<&str, impl Display>) -> String {
    let counts: Vec<String> = counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
    counts.join(", ")
}

/// A table whose first column is text and the rest figures.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
