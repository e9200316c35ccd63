//! Who asks, and whether they may.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use certfleet_service_kit::PeerCertificates;
use rustls::pki_types::UnixTime;
use tokio::time::Instant;

use crate::client_certificates::TrustedNow;
use crate::front_proxy::Caller;
use crate::kubernetes::{Attributes, Kubernetes};
use crate::refusal::Refusal;

/// How long it counts what Kubernetes has said of who may what.
const COUNTS_FOR: Duration = Duration::from_secs(10);
/// So many of its answers are kept.
const KEPT: usize = 1024;

/// Lets in whom Kubernetes lets in.
pub struct Access {
    trusted: TrustedNow,
    kubernetes: Kubernetes,
    decided: Mutex<HashMap<(Caller, Attributes), (Instant, bool)>>,
}

impl Access {
    /// Believes these, and asks there.
    pub fn new(trusted: TrustedNow, kubernetes: Kubernetes) -> Self {
        Self {
            trusted,
            kubernetes,
            decided: Mutex::default(),
        }
    }

    /// Refuses whoever may not do this.
    pub async fn admit(
        &self,
        peer: Option<&PeerCertificates>,
        headers: &HeaderMap,
        attributes: Attributes,
    ) -> Result<(), Refusal> {
        let caller = self.caller(peer, headers).await?;
        if self.may(&caller, &attributes).await? {
            return Ok(());
        }
        let Caller { name, groups } = caller;
        tracing::info!(
            user = name,
            ?groups,
            ?attributes,
            "Kubernetes says that this user may not"
        );
        Err(Refusal::forbidden(format!(
            "user {name:?} may not: a (Cluster)Role for it, and a binding, are due"
        )))
    }

    async fn caller(
        &self,
        peer: Option<&PeerCertificates>,
        headers: &HeaderMap,
    ) -> Result<Caller, Refusal> {
        if let Some(peer) = peer {
            let trusted = self.trusted.borrow().clone();
            let trusted =
                trusted.ok_or_else(|| Refusal::unavailable("whom to believe is not known yet"))?;
            return trusted
                .caller(peer.chain(), headers, UnixTime::now())
                .map_err(Refusal::unauthorized);
        }
        let token = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some(token) = token else {
            return Err(Refusal::unauthorized(
                "a client certificate that Kubernetes vouches for, or a bearer token, is due",
            ));
        };
        match self.kubernetes.whose(token).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => Err(Refusal::unauthorized("the bearer token is nobody's")),
            Err(error) => Err(not_asked("whose the token is", &error)),
        }
    }

    async fn may(&self, caller: &Caller, attributes: &Attributes) -> Result<bool, Refusal> {
        let asked = (caller.clone(), attributes.clone());
        if let Some(answer) = self.decided_lately(&asked) {
            return Ok(answer);
        }
        let may = self.kubernetes.may(&asked.0, &asked.1).await;
        let may = may.map_err(|error| not_asked("who may what", &error))?;
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if decided.len() >= KEPT {
            decided.clear();
        }
        decided.insert(asked, (Instant::now(), may));
        Ok(may)
    }

    fn decided_lately(&self, asked: &(Caller, Attributes)) -> Option<bool> {
        let decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, may) = decided.get(asked)?;
        (at.elapsed() < COUNTS_FOR).then_some(*may)
    }
}

/// Nobody is let in on a guess.
fn not_asked(what: &str, error: &impl std::fmt::Display) -> Refusal {
    tracing::warn!(%error, "Kubernetes was not to be asked {what}");
    Refusal::unavailable(format!("Kubernetes was not to be asked {what}"))
}
