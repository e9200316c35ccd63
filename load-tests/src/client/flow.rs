//! One full flow: from the order to the certificate in hand (RFC 8555 §7.4).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::json;
use tokio::time::Instant;

use super::account::Account;
use super::certificate::Wanted;
use super::failure::Failure;
use super::session::Session;
use super::wire::{Authorization, Challenge, Order, Status};
use crate::measure::steps::Step;
use crate::responder::KeyAuthorizations;

/// Waits between polls, the last one repeated: at once, then patience. The flow's own time limit ends it.
const POLL_WAITS: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Gets one certificate for `names`. As certbot does, every authorization and the order are read at least once
/// after the answer that began them, even when that answer says `valid` already.
pub(crate) async fn run(
    session: &mut Session,
    account: &Account,
    names: &[String],
    answers: &KeyAuthorizations,
) -> Result<(), Failure> {
    let (order, order_url) = new_order(session, account, names).await?;
    for url in &order.authorizations {
        authorize(session, account, url, answers).await?;
    }
    let wanted = Wanted::new(names)?;
    let certificate = finalize(session, account, &order, &order_url, &wanted).await?;
    let chain = session
        .post(Step::Download, account.signer(), &certificate, "")
        .await?;
    wanted
        .check(&chain.body)
        .map_err(|e| Failure::new("wrong certificate", format!("{e:#}")))?;
    Ok(())
}

async fn new_order(
    session: &mut Session,
    account: &Account,
    names: &[String],
) -> Result<(Order, String), Failure> {
    let url = session.directory().new_order.clone();
    let identifiers: Vec<_> = names
        .iter()
        .map(|name| json!({"type": "dns", "value": name}))
        .collect();
    let payload = json!({ "identifiers": identifiers }).to_string();
    let (order, answer) = session
        .post_for::<Order>(Step::NewOrder, account.signer(), &url, &payload)
        .await?;
    let location = answer
        .location
        .ok_or_else(|| Failure::new("newOrder: no Location", ""))?;
    Ok((order, location))
}

/// Proves control of one name over HTTP-01.
async fn authorize(
    session: &mut Session,
    account: &Account,
    url: &str,
    answers: &KeyAuthorizations,
) -> Result<(), Failure> {
    let signer = account.signer();
    let (authorization, _) = session
        .post_for::<Authorization>(Step::Authorization, signer, url, "")
        .await?;
    if authorization.status == Status::Valid {
        return Ok(());
    }
    let (challenge, token) = http01(&authorization)?;
    let answer = account.key.key_authorization(token);
    let _served = answers.serve(token.to_owned(), answer);
    let began = Instant::now();
    session
        .post(Step::Challenge, signer, &challenge.url, "{}")
        .await?;
    for wait in poll_waits() {
        wait_before_poll(session, wait).await;
        let (authorization, _) = session
            .post_for::<Authorization>(Step::AuthorizationPoll, signer, url, "")
            .await?;
        match authorization.status {
            Status::Valid => break,
            Status::Pending | Status::Processing => {}
            _ => return Err(not_authorized(&authorization)),
        }
    }
    session.trace.record(Step::Validation, began.elapsed());
    Ok(())
}

fn http01(authorization: &Authorization) -> Result<(&Challenge, &str), Failure> {
    authorization
        .challenges
        .iter()
        .filter(|challenge| challenge.kind == "http-01")
        .find_map(|challenge| Some((challenge, challenge.token.as_deref()?)))
        .ok_or_else(|| Failure::new("authorization: no http-01 challenge", ""))
}

fn not_authorized(authorization: &Authorization) -> Failure {
    let problem = authorization
        .challenges
        .iter()
        .find_map(|challenge| challenge.error.as_ref());
    match problem {
        Some(problem) => Failure::problem("validation", problem),
        None => Failure::new("validation", format!("{:?}", authorization.status)),
    }
}

/// Sends the CSR and gives the certificate's URL once there is one.
async fn finalize(
    session: &mut Session,
    account: &Account,
    order: &Order,
    order_url: &str,
    wanted: &Wanted,
) -> Result<String, Failure> {
    let signer = account.signer();
    let payload = json!({ "csr": BASE64URL.encode(&wanted.csr) }).to_string();
    let began = Instant::now();
    let sent = session
        .post(Step::Finalize, signer, &order.finalize, &payload)
        .await;
    match sent {
        Ok(_) => {}
        // The order is read then, to see what became of it (RFC 8555 §7.4): an answer lost on its way back
        // leads here too.
        Err(failure) if failure.kind.ends_with("orderNotReady") => {}
        Err(failure) => return Err(failure),
    }
    for wait in poll_waits() {
        wait_before_poll(session, wait).await;
        let (order, _) = session
            .post_for::<Order>(Step::OrderPoll, signer, order_url, "")
            .await?;
        match (order.status, order.certificate) {
            (Status::Valid, Some(certificate)) => {
                session.trace.record(Step::Issuance, began.elapsed());
                return Ok(certificate);
            }
            (Status::Pending | Status::Ready | Status::Processing, _) => {}
            (status, _) => {
                return Err(match order.error {
                    Some(problem) => Failure::problem("issuance", &problem),
                    None => Failure::new("issuance", format!("the order is {status:?}")),
                });
            }
        }
    }
    Err(Failure::new("issuance", "polling ended"))
}

/// Waits before each poll: none before the first, then the schedule, for ever.
fn poll_waits() -> impl Iterator<Item = Duration> {
    let last = POLL_WAITS[POLL_WAITS.len() - 1];
    std::iter::once(Duration::ZERO)
        .chain(POLL_WAITS)
        .chain(std::iter::repeat(last))
}

async fn wait_before_poll(session: &mut Session, wait: Duration) {
    if !wait.is_zero() {
        session.pause(wait).await;
    }
}
