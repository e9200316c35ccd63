//! The cluster's totals, among a process's metrics: the same on every process that tells them.
//!
//! They are read when somebody scrapes, and not again for [`KEPT`], however many do. What the database does not tell in
//! time is left out: a gauge that is there is a true one, at most so old.

use std::sync::Arc;
use std::time::Duration;

use certfleet_domain::{Clock as _, SystemClock};
use certfleet_service_kit::Metrics;
use certfleet_storage::{SCHEDULER, Store};
use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How old totals may be.
const KEPT: Duration = Duration::from_secs(5);
/// How long the database may take for each part; less than a source of metrics may.
const ANSWERS_WITHIN: Duration = Duration::from_millis(600);

type Families = Vec<MetricFamily>;

/// Adds the totals to the metrics of this process.
pub fn tell_totals(store: &Store, metrics: &Metrics) {
    let totals = ClusterTotals(store.clone());
    let kept = Arc::new(Kept::default());
    metrics.add_source(move || {
        let (totals, kept) = (totals.clone(), Arc::clone(&kept));
        async move { kept.or(Box::pin(totals.ask())).await }
    });
}

/// What was told last, and when.
#[derive(Default)]
struct Kept(Mutex<Option<(Instant, Families)>>);

impl Kept {
    /// What was told last, or what is told now if that is too old.
    async fn or(&self, ask: impl Future<Output = Families>) -> Families {
        // Held while the database is asked, so that many who scrape at once cause one asking.
        let mut last = self.0.lock().await;
        if let Some((at, families)) = &*last
            && at.elapsed() < KEPT
        {
            return families.clone();
        }
        let families = ask.await;
        // That nothing was told is kept as well: who scrapes next does not wait for it again.
        *last = Some((Instant::now(), families.clone()));
        families
    }
}

#[derive(Clone)]
struct ClusterTotals(Store);

impl ClusterTotals {
    /// Part by part, so that one that takes too long takes no other with it.
    async fn ask(&self) -> Families {
        let (entities, orders, jobs, duties, fleet) = tokio::join!(
            in_time("entities", self.entities()),
            in_time("orders", self.orders()),
            in_time("jobs", self.jobs()),
            in_time("duties", self.duties()),
            in_time("fleet", self.fleet()),
        );
        [entities, orders, jobs, duties, fleet].concat()
    }

    async fn entities(&self) -> anyhow::Result<Families> {
        let there = self.0.totals().entities().await?;
        let mut families = Families::new();
        for (name, help, count) in [
            ("certfleet_accounts", "ACME accounts", there.accounts),
            ("certfleet_orders", "Orders that are kept", there.orders),
            (
                "certfleet_authorizations",
                "Authorizations that are kept",
                there.authorizations,
            ),
            (
                "certfleet_certificates",
                "Certificates, from the moment they are intended",
                there.certificates,
            ),
        ] {
            families.extend(gauge(name, help, &[], [([], i64::try_from(count)?)])?);
        }
        Ok(families)
    }

    async fn orders(&self) -> anyhow::Result<Families> {
        let processing = self.0.totals().orders_processing().await?;
        let (name, help) = (
            "certfleet_orders_processing",
            "Orders that wait for their certificate's signature",
        );
        gauge(name, help, &[], [([], i64::try_from(processing)?)])
    }

    async fn jobs(&self) -> anyhow::Result<Families> {
        let kinds = self.0.totals().unfinished().await?;
        let mut families = Families::new();
        let kind = |kind: &String| [kind.clone()];
        families.extend(gauge(
            "certfleet_queue_depth",
            "Jobs that wait or are in hand, by kind",
            &["kind"],
            kinds
                .iter()
                .map(|(name, jobs)| (kind(name), jobs.waiting.depth)),
        )?);
        let mut oldest = Vec::with_capacity(kinds.len());
        for (name, jobs) in &kinds {
            oldest.push((kind(name), i64::try_from(jobs.waiting.oldest.as_secs())?));
        }
        families.extend(gauge(
            "certfleet_queue_oldest_age_seconds",
            "For how long the oldest job that waits or is in hand has been there, by kind",
            &["kind"],
            oldest,
        )?);
        families.extend(gauge(
            "certfleet_jobs_dead",
            "Jobs that were given up and wait for a person, by kind",
            &["kind"],
            kinds.iter().map(|(name, jobs)| (kind(name), jobs.dead)),
        )?);
        Ok(families)
    }

    async fn fleet(&self) -> anyhow::Result<Families> {
        let fleet = self.0.totals().fleet(SystemClock.now()).await?;
        let mut families = Families::new();
        for (name, help, count) in [
            (
                "certfleet_managed_certificates",
                "Certificates that are kept renewed",
                fleet.managed,
            ),
            (
                "certfleet_managed_expired",
                "Managed certificates that are not valid any more",
                fleet.expired,
            ),
            (
                "certfleet_managed_failing",
                "Managed certificates whose renewal fails day by day",
                fleet.failing,
            ),
            (
                "certfleet_placements_pending",
                "Certificates that are to be delivered to a host",
                fleet.pending,
            ),
        ] {
            families.extend(gauge(name, help, &[], [([], i64::try_from(count)?)])?);
        }
        families.extend(gauge(
            "certfleet_drift_findings",
            "Places where something else is served than should be, by what it is",
            &["drift"],
            fleet
                .drifted
                .into_iter()
                .map(|(drift, count)| ([drift], count)),
        )?);
        Ok(families)
    }

    async fn duties(&self) -> anyhow::Result<Families> {
        let leader = self.0.leadership(SCHEDULER).holder().await?;
        let look = self.0.timetable(SCHEDULER).read().await?;
        let mut families = gauge(
            "certfleet_leader_term",
            "The term of the scheduler that leads; grows with each change of hands",
            &[],
            leader.map(|(_, term)| ([], term.0)),
        )?;
        families.extend(gauge(
            "certfleet_duty_last_due_timestamp_seconds",
            "When the run of a duty that was enqueued last was due, in Unix time",
            &["duty"],
            look.iter()
                .flat_map(|look| &look.last)
                .map(|last| ([last.duty.clone()], last.due.unix_timestamp())),
        )?);
        Ok(families)
    }
}

/// What a part tells; nothing if it cannot, or not in time.
async fn in_time(part: &str, told: impl Future<Output = anyhow::Result<Families>>) -> Families {
    match timeout(ANSWERS_WITHIN, told).await {
        Ok(Ok(families)) => return families,
        Ok(Err(error)) => tracing::warn!(part, "totals are left out of the metrics: {error:#}"),
        Err(_) => tracing::warn!(
            part,
            "totals are left out of the metrics: no answer within {ANSWERS_WITHIN:?}"
        ),
    }
    Families::new()
}

/// A gauge with these values by their labels; none without any.
fn gauge<const LABELS: usize>(
    name: &str,
    help: &str,
    labels: &[&str; LABELS],
    values: impl IntoIterator<Item = ([String; LABELS], i64)>,
) -> anyhow::Result<Families> {
    let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
    for (labels, value) in values {
        gauge.get_metric_with_label_values(&labels)?.set(value);
    }
    let mut families = gauge.collect();
    families.retain(|family| !family.get_metric().is_empty());
    Ok(families)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn however_many_scrape_the_database_is_asked_once_in_a_while() {
        let (kept, asked) = (Kept::default(), AtomicI64::new(0));
        let ask = async || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(ANSWERS_WITHIN).await;
            gauge("certfleet_asked", "How often", &[], [([], number)]).unwrap()
        };
        let value = |families: Families| {
            families[0].get_metric()[0]
                .get_gauge()
                .get_value()
                .to_string()
        };
        let (one, two) = tokio::join!(kept.or(ask()), kept.or(ask()));
        assert_eq!([value(one), value(two)], ["0", "0"]);
        let little = Duration::from_millis(1);
        tokio::time::advance(KEPT.saturating_sub(little)).await;
        assert_eq!(value(kept.or(ask()).await), "0");
        tokio::time::advance(little).await;
        assert_eq!(value(kept.or(ask()).await), "1");
    }

    #[tokio::test(start_paused = true)]
    async fn that_nothing_is_told_is_not_waited_for_again_at_once() {
        let kept = Kept::default();
        let silent = in_time("silent", std::future::pending());
        assert!(kept.or(silent).await.is_empty());
        let began = Instant::now();
        let silent = in_time("silent", std::future::pending());
        assert!(kept.or(silent).await.is_empty());
        assert_eq!(began.elapsed(), Duration::ZERO);
        tokio::time::advance(KEPT).await;
        let told = async { gauge("certfleet_told", "One", &[], [([], 1)]).unwrap() };
        assert_eq!(kept.or(told).await.len(), 1);
    }
}
