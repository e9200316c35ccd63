//! `/metrics` of a process, held strictly to Prometheus' text format.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::ProcessEntry;
use tokio::time::Instant;

/// Longer than any scrape may take, so that one that hangs is told as such.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

/// What a process told at one scrape.
#[derive(Debug)]
pub struct Scrape {
    samples: BTreeMap<String, f64>,
    /// How long it took to tell.
    pub took: Duration,
}

impl Scrape {
    /// Asks a process.
    pub async fn of(process: &ProcessEntry) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(GIVEN_UP_AFTER)
            .build()?;
        let url = format!("{}/metrics", process.management);
        let began = Instant::now();
        let answer = http.get(&url).send().await?.error_for_status()?;
        let text = answer.text().await?;
        let took = began.elapsed();
        let (service, index) = (&process.service, process.index);
        let samples = parse(&text).with_context(|| format!("{service} {index}: {text}"))?;
        Ok(Self { samples, took })
    }

    /// The value of a series: a name, and its labels in the order of their names, as in `up{job="a",zone="b"}`.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The names of all series, with their labels.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }
}

/// The sum of a counter over all processes of a service. One that a process has not counted yet is zero.
pub async fn sum_of(processes: &[ProcessEntry], service: &str, series: &str) -> Result<f64> {
    let mut sum = 0.0;
    for process in processes.iter().filter(|each| each.service == service) {
        sum += Scrape::of(process).await?.value(series).unwrap_or_default();
    }
    Ok(sum)
}

/// Each family is told once and whole, under its name, with a help and a type; each of its series once, with a number.
fn parse(text: &str) -> Result<BTreeMap<String, f64>> {
    ensure!(text.ends_with('\n'), "the last line does not end");
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples = BTreeMap::new();
    let (mut helped, mut family) = (None, None);
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').context(line.to_owned())?;
            ensure!(is_name(name) && !words.is_empty(), "{line}");
            helped = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').context(line.to_owned())?;
            ensure!(helped == Some(name), "without help: {line}");
            let due = ["counter", "gauge", "histogram"].contains(&kind);
            ensure!(
                due && (kind == "counter") == name.ends_with("_total"),
                "{line}"
            );
            ensure!(kinds.insert(name, kind).is_none(), "twice: {line}");
            family = Some((name, kind));
        } else {
            let (series, value) = line.rsplit_once(' ').context(line.to_owned())?;
            let name = series.split_once('{').map_or(series, |(name, _)| name);
            let (of, kind) = family.with_context(|| format!("without type: {line}"))?;
            let part = name.strip_prefix(of).context(line.to_owned())?;
            let parts: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            ensure!(parts.contains(&part), "not of {of}: {line}");
            ensure!(name == series || series.ends_with("\"}"), "{line}");
            let value: f64 = value.parse().with_context(|| line.to_owned())?;
            let before = samples.insert(series.to_owned(), value);
            ensure!(before.is_none(), "twice: {line}");
        }
    }
    Ok(samples)
}

fn is_name(name: &str) -> bool {
    let ours = name.starts_with("certfleet_") || name.starts_with("process_");
    ours && name
        .bytes()
        .all(|octet| octet == b'_' || octet.is_ascii_lowercase() || octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: &str = "# HELP certfleet_jobs_total Jobs\n# TYPE certfleet_jobs_total counter\n";

    #[test]
    fn what_prometheus_takes_is_read() -> Result<()> {
        let text = format!("{JOBS}certfleet_jobs_total{{kind=\"a b\"}} 3\n");
        let samples = parse(&text)?;
        let due = [("certfleet_jobs_total{kind=\"a b\"}".to_owned(), 3.0)];
        assert_eq!(samples, BTreeMap::from(due));
        Ok(())
    }

    #[test]
    fn what_it_would_not_take_is_refused() {
        for text in [
            String::new(),
            "certfleet_jobs_total 3\n".to_owned(),
            format!("{JOBS}certfleet_jobs_total 3"),
            format!("{JOBS}certfleet_jobs_total three\n"),
            format!("{JOBS}certfleet_jobs_total 3\ncertfleet_jobs_total 3\n"),
            format!("{JOBS}certfleet_jobs_total_bucket 3\n"),
            format!("{JOBS}certfleet_jobs_total 3\n{JOBS}certfleet_jobs_total{{a=\"b\"}} 3\n"),
            JOBS.replace("counter", "gauge"),
            JOBS.replace("certfleet_jobs", "jobs"),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }
}
