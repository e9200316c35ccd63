//! The clients: each orders one certificate after the other, and keeps book.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::acme::{Account, Acme, Csr, Proof};
use certfleet_system_tests::fresh_name;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, PAUSE};

/// A killed worker's job waits for its lease; the next one may be killed with it as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// How clients take what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// They do again what RFC 8555 has them do again.
    Retrying,
    /// Each request is sent once, and has to be answered.
    Strict,
}

/// How the names of a client are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Ordinary,
    Slow,
}

/// What one client was given.
pub struct Record {
    /// Its account.
    pub account: Account,
    /// The certificates, DER, by the URL of their order.
    pub issued: BTreeMap<String, Vec<u8>>,
    /// Nonces that it has spent; the latest.
    pub spent: Vec<String>,
}

/// Clients at work.
pub struct Load {
    stop: CancellationToken,
    tasks: JoinSet<Result<Record>>,
    orders: Arc<Mutex<Vec<Instant>>>,
}

impl Load {
    /// So many of them.
    pub async fn start(ground: &Ground, clients: usize, kind: Clients) -> Result<Self> {
        let mut load = Self {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            orders: Arc::default(),
        };
        for _ in 0..clients {
            let acme = load.client(ground, kind).await?;
            load.employ(ground, acme, Names::Ordinary);
        }
        Ok(load)
    }

    async fn client(&self, ground: &Ground, kind: Clients) -> Result<Acme> {
        let acme = ground.acme().await?;
        Ok(match kind {
            Clients::Retrying => acme.retrying(PATIENCE),
            Clients::Strict => acme,
        })
    }

    /// One more client, whose names are not to be resolved at first: its validations have to be tried again.
    pub async fn with_slow_names(mut self, ground: &Ground) -> Result<Self> {
        let acme = self.client(ground, Clients::Retrying).await?;
        // The root's as well, by which it is found out whether the resolver answers at all.
        ground.answers().set_delay("", SLOW);
        self.employ(ground, acme, Names::Slow);
        Ok(self)
    }

    fn employ(&mut self, ground: &Ground, acme: Acme, names: Names) {
        let (ground, stop) = (ground.clone(), self.stop.clone());
        let orders = Arc::clone(&self.orders);
        self.tasks.spawn(async move {
            let account = acme.new_account().await?;
            let mut issued = BTreeMap::new();
            while !stop.is_cancelled() {
                let name = [fresh_name("drill")];
                let one = flow(&ground, &acme, &account, &name, &orders);
                let done = match names {
                    Names::Ordinary => one.await,
                    Names::Slow => {
                        let one = std::pin::pin!(one);
                        slow_at_first(&ground, &name[0], one).await
                    }
                };
                let (order, certificate) =
                    done.with_context(|| format!("flow {} for {}", issued.len(), name[0]))?;
                issued.insert(order, certificate);
            }
            let spent = acme.spent();
            Ok(Record {
                account,
                issued,
                spent,
            })
        });
    }

    /// How many orders were accepted so far.
    pub fn orders(&self) -> usize {
        self.times().len()
    }

    /// Waits until so many more orders were accepted than now, as a sign that work goes on.
    pub async fn goes_on(&self, more: usize, within: Duration) -> Result<()> {
        let due = self.orders() + more;
        let until = Instant::now() + within;
        while self.orders() < due {
            ensure!(
                Instant::now() < until,
                "{more} orders were not accepted within {within:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The longest time since `from` in which no order was accepted.
    pub fn gap_since(&self, from: Instant) -> Duration {
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in self.times().iter().filter(|at| **at >= from) {
            longest = longest.max(*at - last);
            last = *at;
        }
        longest.max(last.elapsed())
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has each client finish what it has begun; gives what they were given. Fails if anything failed for one of them.
    pub async fn finish(mut self) -> Result<Vec<Record>> {
        self.stop.cancel();
        let mut records = Vec::new();
        while let Some(record) = self.tasks.join_next().await {
            records.push(record??);
        }
        Ok(records)
    }
}

/// Longer than a validation may take.
const SLOW: Duration = Duration::from_secs(60);

/// The name is not to be resolved until a worker has tried, and has given an attempt up or two.
async fn slow_at_first<F: Future + Unpin>(ground: &Ground, name: &str, mut flow: F) -> F::Output {
    let answers = ground.answers();
    answers.set_delay(name, SLOW);
    let tried = async {
        while !answers.dns_queries().iter().any(|query| query.name == name) {
            sleep(PAUSE).await;
        }
        sleep(Duration::from_secs(8)).await;
        answers.set_delay(name, Duration::ZERO);
    };
    tokio::select! {
        done = &mut flow => return done,
        () = tried => {}
    }
    flow.await
}

/// One certificate: the URL of its order, and what came.
async fn flow(
    ground: &Ground,
    acme: &Acme,
    account: &Account,
    name: &[String; 1],
    orders: &Mutex<Vec<Instant>>,
) -> Result<(String, Vec<u8>)> {
    let (url, order) = acme.order_for(account, name).await?;
    orders
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Instant::now());
    acme.prove_all(account, &order, Proof::Http01, ground.answers())
        .await?;
    let issued = acme
        .complete(account, &url, &order, Csr::new(name)?)
        .await?;
    Ok((url, issued.certificate))
}
