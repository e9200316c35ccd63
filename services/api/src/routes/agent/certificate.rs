//! An agent announces the certificate that it is about to show. The one that it has counts until then.

use axum::extract::State;
use certfleet_agent_protocol::NextCertificate;
use certfleet_domain::ProblemKind;
use certfleet_pki::certificates_from_pem;
use http::StatusCode;

use super::by_agent::{ByAgent, Shown};
use super::enrol::refused;
use super::message::Message;
use crate::app::App;
use crate::error::ApiError;

pub async fn post(
    State(app): State<App>,
    by: ByAgent,
    Message(wish): Message<NextCertificate>,
) -> Result<StatusCode, ApiError> {
    let ders = certificates_from_pem(&wish.certificate)
        .map_err(|error| ApiError::new(ProblemKind::Malformed, error.to_string()))?;
    let [der] = ders.as_slice() else {
        let detail = "one certificate is due, PEM";
        return Err(ApiError::new(ProblemKind::Malformed, detail));
    };
    let next = Shown::read(der)?;
    let deliveries = &app.store.deliveries;
    // Read anew: to know it by its certificate may have written it.
    let agent = deliveries.agent(&by.agent.name).await?;
    let agent = agent.ok_or(ApiError::Contended)?;
    let announced = agent
        .announce(next.certificate, next.not_before, app.now())
        .map_err(refused)?;
    app.store
        .commit(deliveries.update_agent(&announced)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
