//! What becomes of a request's nonce, from the moment the signature is verified: it is spent together with the act, or
//! beside the reads; in any case before the answer leaves.

use std::fmt::Display;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use certfleet_acme::SpendableNonce;
use certfleet_audit::{Act, Event, Sender};
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::ProblemKind;
use certfleet_storage::{CommitError, NonceSpent, StorageError, Unit};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::error::ApiError;

/// A request's nonce, and whose it is. Clones are of the same one.
#[derive(Clone, Default)]
pub struct Ticket(Arc<Parts>);

#[derive(Default)]
struct Parts {
    stage: Mutex<Stage>,
    /// Who has signed the request.
    sender: OnceLock<Sender>,
}

#[derive(Default)]
enum Stage {
    /// The request has shown no nonce of ours with a good signature, or its nonce is spent.
    #[default]
    Nothing,
    /// To be spent.
    Held(SpendableNonce),
    /// Being spent.
    UnderWay(JoinHandle<Result<NonceSpent, StorageError>>),
    /// Another request was faster: this one counts for nothing, and has done nothing.
    Replayed,
}

impl Ticket {
    /// From here on the nonce is to be spent, and what is done is done by `sender`.
    pub fn hold(&self, nonce: SpendableNonce, sender: Sender) {
        reach(CrashPoint::RequestVerified);
        // A request is verified once.
        self.0.sender.set(sender).ok();
        self.put(Stage::Held(nonce));
    }

    /// Spends the nonce while the request reads. For requests that change nothing.
    pub fn spend_meanwhile(&self, app: &App) {
        if let Stage::Held(nonce) = self.take() {
            let nonces = app.store.nonces.clone();
            self.put(Stage::UnderWay(tokio::spawn(async move {
                nonces.spend(nonce.id()).await
            })));
        }
    }

    /// Does what was asked: applies the unit, puts the act on record, and spends the nonce; all of it or nothing. A request
    /// whose nonce was spent before finds the unit in conflict, and is refused when it is [settled](Self::settle), whatever
    /// it answers.
    ///
    /// A further act of the same request is done by itself.
    pub async fn act(&self, app: &App, unit: Unit, deed: Deed) -> Result<(), CommitError> {
        let sender = self.0.sender.get().ok_or_else(|| {
            StorageError::Unrecordable("nobody has signed the request".to_owned())
        })?;
        let unit = unit.recording(&deed.by(app, sender))?;
        match self.take() {
            Stage::Held(nonce) => {
                let fate = app.store.nonces.spend_with(nonce.id(), unit).await;
                reach(CrashPoint::RequestApplied);
                match &fate {
                    Err(error) if error.is_spent_nonce() => self.put(Stage::Replayed),
                    // Nothing was applied, so the nonce is there to be spent.
                    Err(error) if error.is_conflict() => self.put(Stage::Held(nonce)),
                    Ok(()) | Err(_) => {}
                }
                fate
            }
            Stage::Nothing => app.store.commit(unit).await,
            Stage::UnderWay(spending) => match finished(spending).await? {
                NonceSpent::Now => app.store.commit(unit).await,
                NonceSpent::Before => self.replayed(),
            },
            Stage::Replayed => self.replayed(),
        }
    }

    fn replayed(&self) -> Result<(), CommitError> {
        self.put(Stage::Replayed);
        Err(CommitError::spent_nonce())
    }

    /// Spends the nonce if it is not spent yet; refuses a request whose nonce was spent by another.
    pub async fn settle(&self, app: &App) -> Result<(), ApiError> {
        let spent = match self.take() {
            Stage::Nothing => NonceSpent::Now,
            Stage::Held(nonce) => app.store.nonces.spend(nonce.id()).await?,
            Stage::UnderWay(spending) => finished(spending).await?,
            Stage::Replayed => NonceSpent::Before,
        };
        match spent {
            NonceSpent::Now => Ok(()),
            NonceSpent::Before => Err(ApiError::new(
                ProblemKind::BadNonce,
                "the nonce was used before; try again with the one in this answer's Replay-Nonce",
            )),
        }
    }

    fn put(&self, stage: Stage) {
        *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn take(&self) -> Stage {
        std::mem::take(&mut *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An act, as it is put on record.
pub struct Deed {
    act: Act,
    target: String,
    detail: Option<String>,
}

impl Deed {
    /// An act on `target`, such as `order/<id>`.
    pub fn new(act: Act, target: impl Display) -> Self {
        Self {
            act,
            target: target.to_string(),
            detail: None,
        }
    }

    /// With more to say.
    pub fn with_detail(mut self, detail: impl Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    fn by(self, app: &App, sender: &Sender) -> Event {
        let event = Event::new(sender, self.act, self.target, app.clock.as_ref());
        match self.detail {
            Some(detail) => event.with_detail(detail),
            None => event,
        }
    }
}

async fn finished(
    spending: JoinHandle<Result<NonceSpent, StorageError>>,
) -> Result<NonceSpent, StorageError> {
    // It ends early with the runtime only.
    spending.await.unwrap_or(Err(StorageError::ShuttingDown))
}

/// Gives each request a ticket, and lets no answer out before it is settled.
pub async fn with_ticket(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let ticket = Ticket::default();
    request.extensions_mut().insert(ticket.clone());
    let response = next.run(request).await;
    match ticket.settle(&app).await {
        Ok(()) => response,
        Err(refusal) => refusal.into_response(),
    }
}
