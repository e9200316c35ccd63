//! The one door for transactions.
//!
//! [`run_tx`] starts, retries by the server's labels, meters by name, and gives up within a budget that lies well
//! below the shortest lease, so that a transaction cannot land after the lease it was made under. The body must do
//! nothing but database work on its session, and must hand its database errors on: an error swallowed inside hides
//! the label that says whether to retry.

use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::SystemRng;
use mongodb::error::{
    Error as MongoError, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use mongodb::options::{ReadConcern, TransactionOptions};
use mongodb::{Client, ClientSession};
use rand::Rng;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::connect::majority;
use crate::error::StorageError;
use crate::metrics::Metrics;

/// How long a transaction may take with all its retries.
pub const BUDGET: Duration = Duration::from_secs(15);

/// Why a body did not come to its end.
#[derive(Debug)]
pub enum Abort<R> {
    /// The database failed; retried if its label says so.
    Database(MongoError),
    /// The body decided against it; the transaction is aborted and this is handed to the caller.
    Refused(R),
}

impl<R> From<MongoError> for Abort<R> {
    fn from(error: MongoError) -> Self {
        Self::Database(error)
    }
}

/// What is done inside a transaction. It may run several times; each time it starts from nothing.
pub trait Body: Send {
    /// What it gives when it goes through.
    type Output: Send;
    /// What it gives when it decides against it.
    type Refusal: Send;

    /// One run.
    fn run(
        &mut self,
        session: &mut ClientSession,
    ) -> impl Future<Output = Result<Self::Output, Abort<Self::Refusal>>> + Send;
}

/// Runs `body` in a transaction: snapshot reads, journaled majority commit. A step of the caller's trace, by its name.
///
/// The outer error is the database's, the inner one the body's own refusal. After an error of the commit itself it
/// is not known whether the transaction went through; the error's label says so.
pub async fn run_tx<B: Body>(
    client: &Client,
    metrics: &Metrics,
    name: &'static str,
    body: &mut B,
) -> Result<Result<B::Output, B::Refusal>, StorageError> {
    let span = certfleet_trace::step(name);
    in_span(client, metrics, name, body).instrument(span).await
}

async fn in_span<B: Body>(
    client: &Client,
    metrics: &Metrics,
    name: &'static str,
    body: &mut B,
) -> Result<Result<B::Output, B::Refusal>, StorageError> {
    let started = Instant::now();
    let mut session = client.start_session().await?;
    let mut wait = Duration::from_millis(2);
    let result = loop {
        match attempt(&mut session, body, started).await {
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                if started.elapsed() + wait > BUDGET {
                    let seconds = BUDGET.as_secs();
                    break Err(StorageError::TransactionTimeout {
                        name,
                        seconds,
                        last: error,
                    });
                }
                metrics
                    .transactions
                    .with_label_values(&[name, "retried"])
                    .inc();
                // By chance, so that those who met do not meet again.
                tokio::time::sleep(wait.mul_f64(SystemRng.random_range(0.5..=1.0))).await;
                wait = (wait * 2).min(Duration::from_millis(250));
            }
            Err(error) => break Err(error.into()),
            Ok(outcome) => break Ok(outcome),
        }
    };
    let outcome = match &result {
        Ok(Ok(_)) => "committed",
        Ok(Err(_)) => "refused",
        Err(_) => "failed",
    };
    metrics
        .transactions
        .with_label_values(&[name, outcome])
        .inc();
    metrics
        .transaction_seconds
        .with_label_values(&[name])
        .observe(started.elapsed().as_secs_f64());
    result
}

async fn attempt<B: Body>(
    session: &mut ClientSession,
    body: &mut B,
    started: Instant,
) -> Result<Result<B::Output, B::Refusal>, MongoError> {
    let options = TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(majority())
        .build();
    start(session, options).await?;
    match body.run(session).await {
        Ok(output) => {
            reach(CrashPoint::TransactionOpen);
            commit(session, started).await?;
            reach(CrashPoint::TransactionCommitted);
            Ok(Ok(output))
        }
        Err(abort) => {
            // The server ends an abandoned transaction by itself; failing to say so changes nothing.
            session.abort_transaction().await.ok();
            match abort {
                Abort::Database(error) => Err(error),
                Abort::Refused(refusal) => Ok(Err(refusal)),
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one door")]
async fn start(session: &mut ClientSession, options: TransactionOptions) -> Result<(), MongoError> {
    session.start_transaction().with_options(options).await
}

/// Commits; asks again while the answer is unknown, which is safe: a commit happens once.
async fn commit(session: &mut ClientSession, started: Instant) -> Result<(), MongoError> {
    loop {
        match session.commit_transaction().await {
            Err(error)
                if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                    && started.elapsed() < BUDGET =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}
