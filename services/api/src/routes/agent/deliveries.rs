//! What is due on a host, all at once. The answer is held back for a while if there is nothing.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use certfleet_agent_protocol::{Ask, Delivery, LONGEST_WAIT, MOST};
use certfleet_domain::{Gathering, gather};
use tokio::time::{Instant, sleep};

use super::by_agent::ByAgent;
use super::hand_out::hand_out;
use super::message::Message;
use crate::app::App;
use crate::error::ApiError;

/// How often it is looked whether something has become due.
const LOOK: Duration = Duration::from_secs(5);
/// The longest name of a build that is noted.
const LONGEST_SOFTWARE: usize = 64;

pub async fn post(
    State(app): State<App>,
    by: ByAgent,
    Message(ask): Message<Ask>,
) -> Result<Json<Delivery>, ApiError> {
    let until = Instant::now() + Duration::from_secs(ask.wait.min(LONGEST_WAIT).into());
    let software: String = ask.software.chars().take(LONGEST_SOFTWARE).collect();
    let deliveries = &app.store.deliveries;
    let name = &by.agent.name;
    app.store
        .commit(deliveries.sighted(name, &software))
        .await?;
    loop {
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let pending = deliveries.pending(name, most).await?;
        let now = app.now();
        let pause = match gather(pending, now) {
            Gathering::Deliver(due) => {
                let items = hand_out(&app, &by, due).await?;
                return Ok(Json(Delivery { items }));
            }
            Gathering::Wait(at) => (at - now).try_into().unwrap_or(LOOK).min(LOOK),
            Gathering::Nothing => LOOK,
        };
        let pause = pause.min(until.saturating_duration_since(Instant::now()));
        let stopping = app.stopping.run_until_cancelled(sleep(pause)).await;
        if stopping.is_none() || Instant::now() >= until {
            return Ok(Json(Delivery { items: Vec::new() }));
        }
    }
}
