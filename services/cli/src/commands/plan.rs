//! `certfleet plan`: what a fleet costs its authority per hour, and how long it would take to replace all of it (FLT-10).

use std::path::PathBuf;
use std::time::Duration as WaitTime;

use certfleet_domain::{Budget, Capacity, UpstreamName, Workload};
use certfleet_service_kit::settings::parse_duration;
use certfleet_storage::WantedManaged;
use clap::Args;
use serde::Serialize;
use time::Duration;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::{Output, Sheet};

/// What the robot does on two cores that also run the database and the authority; `plan --throughput` says otherwise.
const THROUGHPUT: f64 = 10.0;

/// The fleet, in numbers.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// How many certificates; without it, as many as are managed now.
    #[arg(long, value_name = "NUMBER")]
    certificates: Option<u64>,
    /// How long each is valid, such as 90d, 47d or 160h. May be given several times, to compare.
    #[arg(long = "lifetime", value_name = "DURATION", value_parser = parse_duration, default_values = ["90d", "47d", "6d"])]
    lifetimes: Vec<WaitTime>,
    /// Over how many registered domains they are spread, evenly; without it, each has its own.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    domains: Option<u64>,
    /// Under the limits of this authority of the fleet; without it, and without --lets-encrypt, under none.
    #[arg(long, value_name = "NAME", conflicts_with = "lets_encrypt")]
    upstream: Option<UpstreamName>,
    /// Under the limits that Let's Encrypt publishes.
    #[arg(long)]
    lets_encrypt: bool,
    /// How many certificates a second the workers get when nothing holds them up: `load-tests` measures it.
    #[arg(long, value_name = "NUMBER", default_value_t = THROUGHPUT, value_parser = parse_throughput)]
    throughput: f64,
}

fn parse_throughput(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        Ok(_) | Err(_) => Err("a number above 0 is due".to_owned()),
    }
}

#[derive(Serialize)]
struct Plan {
    certificates: u64,
    domains: u64,
    throughput: f64,
    lifetimes: Vec<View>,
}

#[derive(Serialize)]
struct View {
    lifetime_seconds: i64,
    renewed_after_seconds: i64,
    renewals_per_hour: f64,
    requests_per_hour: f64,
    /// How long a certificate has left when its renewal begins.
    kept_for_failures_seconds: i64,
    /// Replacing everything, where orders that say what they replace are exempt.
    replacing_exempt_seconds: i64,
    /// Replacing everything, where they are not.
    replacing_all_seconds: i64,
    limits: Vec<NeedView>,
}

#[derive(Serialize)]
struct NeedView {
    limit: &'static str,
    rate: String,
    per_hour: f64,
    share: f64,
    replacing_all_seconds: i64,
}

impl View {
    fn of(lifetime: Duration, capacity: &Capacity) -> Self {
        let needs = capacity.needs.iter().map(|need| NeedView {
            limit: need.limit,
            rate: need.rate.to_string(),
            per_hour: need.per_hour,
            share: need.share,
            replacing_all_seconds: need.replacing_all.whole_seconds(),
        });
        Self {
            lifetime_seconds: lifetime.whole_seconds(),
            renewed_after_seconds: capacity.renewed_after.whole_seconds(),
            renewals_per_hour: capacity.renewals_per_hour,
            requests_per_hour: capacity.requests_per_hour,
            kept_for_failures_seconds: capacity.kept_for_failures.whole_seconds(),
            replacing_exempt_seconds: capacity.replacing_exempt.whole_seconds(),
            replacing_all_seconds: capacity.replacing_all.whole_seconds(),
            limits: needs.collect(),
        }
    }
}

/// Calculates it.
pub async fn run(args: PlanArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let needs_store = args.certificates.is_none() || args.upstream.is_some();
    let store = if needs_store {
        Some(open(config).await?)
    } else {
        None
    };
    let certificates = match (args.certificates, &store) {
        (Some(certificates), _) => certificates,
        (None, Some(store)) => store.fleet.count(WantedManaged::All).await?,
        (None, None) => 0,
    };
    let budget = match (&args.upstream, &store) {
        (Some(name), Some(store)) => {
            let found = store.fleet.upstream(name).await?;
            found
                .ok_or_else(|| Failure::not_found("authority in the fleet called", name))?
                .budget
        }
        (Some(_) | None, _) if args.lets_encrypt => Budget::lets_encrypt(),
        (Some(_) | None, _) => Budget::default(),
    };
    let domains = args.domains.unwrap_or(certificates).max(1);
    let mut lifetimes = Vec::new();
    for lifetime in &args.lifetimes {
        let lifetime = Duration::try_from(*lifetime)?;
        let workload = Workload {
            certificates,
            lifetime,
            domains,
            throughput: args.throughput,
        };
        lifetimes.push(View::of(lifetime, &workload.capacity(&budget)));
    }
    let plan = Plan {
        certificates,
        domains,
        throughput: args.throughput,
        lifetimes,
    };
    out.show(&plan, |sheet| plan.write(sheet))
}

impl Plan {
    fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!(
            "{} certificates over {} registered domains, {} a second",
            self.certificates, self.domains, self.throughput
        ));
        let rows = self.lifetimes.iter().map(|view| {
            [
                span(view.lifetime_seconds),
                span(view.renewed_after_seconds),
                format!("{:.1}", view.renewals_per_hour),
                format!("{:.0}", view.requests_per_hour),
                span(view.replacing_exempt_seconds),
                span(view.replacing_all_seconds),
                span(view.kept_for_failures_seconds),
            ]
        });
        let heads = [
            "lifetime",
            "renewed after",
            "renewals/h",
            "requests/h",
            "all replaced within",
            "if not exempt",
            "before any expires",
        ];
        sheet.table(heads, rows);
        let rows: Vec<[String; 6]> = self.lifetimes.iter().flat_map(rows_of).collect();
        if rows.is_empty() {
            return;
        }
        sheet.title("What the limits would have to let through, if no order said what it replaces (RFC 9773)");
        let heads = [
            "lifetime",
            "limit",
            "rate",
            "needed/h",
            "of it",
            "all replaced within",
        ];
        sheet.table(heads, rows);
    }
}

fn rows_of(view: &View) -> Vec<[String; 6]> {
    let row = |need: &NeedView| {
        [
            span(view.lifetime_seconds),
            need.limit.to_owned(),
            need.rate.clone(),
            format!("{:.3}", need.per_hour),
            format!("{:.1} %", need.share * 100.0),
            span(need.replacing_all_seconds),
        ]
    };
    view.limits.iter().map(row).collect()
}

/// A time in the two largest units that it has.
fn span(seconds: i64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_two_units() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (576_000, "6 d 16 h"),
            (86_461, "1 d 1 min"),
        ] {
            assert_eq!(span(seconds), told);
        }
    }
}
