//! N clients, each doing one flow after another, and what they measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::account::Account;
use crate::client::failure::Failure;
use crate::client::flow;
use crate::client::http::{Reach, Transport};
use crate::client::session::Session;
use crate::measure::steps::Trace;
use crate::measure::tally::Tally;
use crate::responder::KeyAuthorizations;

/// How often a server is looked at that may hang.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Wait after a failed flow, so that a server that refuses everything is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The load to put on a server.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) directory: String,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) reach: Reach,
    pub(crate) clients: usize,
    pub(crate) extent: Extent,
    /// Names in each certificate.
    pub(crate) names: usize,
    pub(crate) accounts: Accounts,
    /// A flow that takes longer has failed.
    pub(crate) flow_timeout: Duration,
    pub(crate) answers: KeyAuthorizations,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// After `measured`, which follows `warm_up`.
    Time {
        warm_up: Duration,
        measured: Duration,
    },
    /// When so many flows have begun.
    Flows(u64),
}

/// Who orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Accounts {
    /// One account for each client.
    PerClient,
    /// One account for all clients.
    Shared,
    /// A new account for each flow, which then counts into the flow.
    PerFlow,
}

/// What is measured: flows that end between these moments. No end: until the last flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) end: Option<Instant>,
}

/// Clients at work.
pub(crate) struct Running {
    pub(crate) window: Window,
    shared: Arc<Shared>,
    abandon: watch::Sender<bool>,
    clients: JoinSet<Result<Tally>>,
}

/// What clients saw, and for how long.
pub(crate) struct Seen {
    pub(crate) tally: Tally,
    pub(crate) measured: Duration,
    /// Whether flows had to be abandoned because the server did not answer any more. The measured time then ends
    /// with the last flow that succeeded.
    pub(crate) hung: bool,
}

struct Shared {
    plan: Plan,
    window: Window,
    begun: AtomicU64,
    /// When a flow last succeeded.
    last_success: Mutex<Instant>,
    abandoned: watch::Receiver<bool>,
    /// Tells the names of this run from those of others.
    run: String,
}

/// Registers the accounts and sets the clients to work.
pub(crate) async fn start(plan: Plan) -> Result<Running> {
    let sessions = open_sessions(&plan)
        .await
        .map_err(|failure| anyhow!("{}: {}", failure.kind, failure.detail))
        .with_context(|| format!("{} cannot be put under load", plan.directory))?;
    let now = Instant::now();
    let window = match plan.extent {
        Extent::Time { warm_up, measured } => Window {
            start: now + warm_up,
            end: Some(now + warm_up + measured),
        },
        Extent::Flows(_) => Window {
            start: now,
            end: None,
        },
    };
    let (abandon, abandoned) = watch::channel(false);
    let shared = Arc::new(Shared {
        plan,
        window,
        begun: AtomicU64::new(0),
        last_success: Mutex::new(now),
        abandoned,
        run: run_name()?,
    });
    let mut clients = JoinSet::new();
    for (session, account) in sessions {
        clients.spawn(client(Arc::clone(&shared), session, account));
    }
    Ok(Running {
        window,
        shared,
        abandon,
        clients,
    })
}

impl Running {
    /// Waits until `moment`, or, if there is `patience`, until no flow has succeeded for so long. Gives whether
    /// `moment` was reached.
    pub(crate) async fn until(&self, moment: Instant, patience: Option<Duration>) -> bool {
        let Some(patience) = patience else {
            sleep_until(moment).await;
            return true;
        };
        while Instant::now() < moment {
            if self.shared.last_success().elapsed() > patience {
                return false;
            }
            sleep_until(moment.min(Instant::now() + LOOK_AGAIN)).await;
        }
        true
    }

    /// Waits for the flows under way; those that take longer than `patience` are abandoned, if there is one.
    pub(crate) async fn finish(mut self, patience: Option<Duration>) -> Result<Seen> {
        let mut tally = Tally::new()?;
        if let Some(patience) = patience {
            // Those that do not come back within it are joined below.
            drop(tokio::time::timeout(patience, self.join(&mut tally)).await);
        }
        let hung = patience.is_some() && !self.clients.is_empty();
        if hung {
            self.abandon.send_replace(true);
        }
        self.join(&mut tally).await?;
        let end = self.window.end.unwrap_or_else(Instant::now);
        let end = if hung {
            end.min(self.shared.last_success())
        } else {
            end
        };
        Ok(Seen {
            tally,
            measured: end.saturating_duration_since(self.window.start),
            hung,
        })
    }

    async fn join(&mut self, all: &mut Tally) -> Result<()> {
        while let Some(tally) = self.clients.join_next().await {
            all.merge(tally??)?;
        }
        Ok(())
    }
}

type Client = (Session, Option<Arc<Account>>);

async fn open_sessions(plan: &Plan) -> Result<Vec<Client>, Failure> {
    let transport = || Transport::new(Arc::clone(&plan.tls), plan.reach);
    let mut first = Session::open(transport(), &plan.directory).await?;
    let directory = first.directory();
    let shared = match plan.accounts {
        Accounts::Shared => Some(Arc::new(Account::register(&mut first).await?)),
        Accounts::PerClient | Accounts::PerFlow => None,
    };
    let mut sessions = Vec::with_capacity(plan.clients);
    for _ in 0..plan.clients {
        let mut session = Session::with_directory(transport(), Arc::clone(&directory));
        let account = match plan.accounts {
            Accounts::PerClient => Some(Arc::new(Account::register(&mut session).await?)),
            Accounts::Shared => shared.clone(),
            Accounts::PerFlow => None,
        };
        sessions.push((session, account));
    }
    Ok(sessions)
}

async fn client(
    shared: Arc<Shared>,
    mut session: Session,
    account: Option<Arc<Account>>,
) -> Result<Tally> {
    let mut tally = Tally::new()?;
    let mut abandoned = shared.abandoned.clone();
    while let Some(names) = shared.next_names() {
        session.trace = Trace::default();
        let began = Instant::now();
        let flow = one_flow(
            &mut session,
            account.as_deref(),
            &names,
            &shared.plan.answers,
        );
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(shared.plan.flow_timeout, flow) => outcome,
            _ = abandoned.wait_for(|abandoned| *abandoned) => break,
        };
        match outcome.unwrap_or_else(|_| Err(timed_out(&session.trace, &names))) {
            Ok(()) => {
                let now = shared.note_success();
                if shared.window.contains(now) {
                    tally.succeeded(&session.trace, now - began);
                }
            }
            Err(failure) => {
                // Those that fail after the end too: they began before it.
                if Instant::now() >= shared.window.start {
                    tally.failed(&session.trace, failure);
                }
                session.reset();
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    Ok(tally)
}

async fn one_flow(
    session: &mut Session,
    account: Option<&Account>,
    names: &[String],
    answers: &KeyAuthorizations,
) -> Result<(), Failure> {
    if let Some(account) = account {
        return flow::run(session, account, names, answers).await;
    }
    let account = Account::register(session).await?;
    flow::run(session, &account, names, answers).await
}

fn timed_out(trace: &Trace, names: &[String]) -> Failure {
    let after = match trace.last() {
        Some(step) => format!("after {step}"),
        None => "in its first request".to_owned(),
    };
    Failure::new("flow: timed out", format!("{}, {after}", names.join(", ")))
}

impl Window {
    fn contains(&self, at: Instant) -> bool {
        at >= self.start && self.end.is_none_or(|end| at < end)
    }
}

impl Shared {
    fn last_success(&self) -> Instant {
        *self
            .last_success
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note_success(&self) -> Instant {
        let now = Instant::now();
        *self
            .last_success
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = now;
        now
    }

    /// The names of the next flow, or `None` when it is time to stop.
    fn next_names(&self) -> Option<Vec<String>> {
        if self.window.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        if matches!(self.plan.extent, Extent::Flows(wanted) if number >= wanted) {
            return None;
        }
        let run = &self.run;
        let name = |n| match n {
            0 => format!("f{number}-{run}.load.test"),
            n => format!("f{number}-{run}-{n}.load.test"),
        };
        Some((0..self.plan.names).map(name).collect())
    }
}

/// Eight hexadecimal digits that no other run has.
fn run_name() -> Result<String> {
    use std::fmt::Write as _;
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).context("no random octets")?;
    let mut name = String::with_capacity(8);
    for byte in bytes {
        write!(name, "{byte:02x}")?;
    }
    Ok(name)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
