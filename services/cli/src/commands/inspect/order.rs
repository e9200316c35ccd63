//! `certfleet inspect order`.

use certfleet_domain::{
    AttemptTerms, Authorization, AuthorizationStatus, Certificate, Challenge, ChallengeState,
    Clock, Order, OrderId, OrderState, OrderStatus, Problem, SystemClock, Timestamp,
};
use certfleet_jobs::Job;
use certfleet_storage::Store;
use serde::Serialize;

use super::certificate::CertificateView;
use super::job::JobView;
use super::{problem_text, word};
use crate::failure::Failure;
use crate::output::{Output, Sheet, joined, moment, moment_or_none};

#[derive(Debug, Serialize)]
struct OrderView {
    id: String,
    status: OrderStatus,
    authority: String,
    account: String,
    profile: String,
    identifiers: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: Timestamp,
    #[serde(with = "time::serde::rfc3339::option")]
    not_before: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    not_after: Option<Timestamp>,
    error: Option<Problem>,
    authorizations: Vec<AuthorizationView>,
    job: Option<JobView>,
    certificate: Option<CertificateView>,
}

#[derive(Debug, Serialize)]
struct AuthorizationView {
    id: String,
    identifier: String,
    status: AuthorizationStatus,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: Timestamp,
    challenges: Vec<ChallengeView>,
}

#[derive(Debug, Serialize)]
struct ChallengeView {
    id: String,
    kind: &'static str,
    status: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    validated_at: Option<Timestamp>,
    error: Option<Problem>,
    job: Option<JobView>,
}

/// Shows an order.
pub async fn run(store: &Store, id: OrderId, out: Output) -> Result<(), Failure> {
    let order = store.orders.find(id).await?;
    let order = order.ok_or_else(|| Failure::not_found("order", id))?;
    let authorizations = store.authorizations.find_all(&order.authorizations).await?;
    let certificate = store.certificates.find_by_order(id).await?;
    let view = view(store, &order, &authorizations, certificate.as_ref()).await?;
    out.show(&view, |sheet| view.write(sheet))
}

async fn view(
    store: &Store,
    order: &Order,
    authorizations: &[Authorization],
    certificate: Option<&Certificate>,
) -> Result<OrderView, Failure> {
    let now = SystemClock.now();
    let mut views = Vec::new();
    for authorization in authorizations {
        views.push(AuthorizationView::of(store, authorization, now).await?);
    }
    Ok(OrderView {
        id: order.id.to_string(),
        status: order.status(authorizations, now),
        authority: order.authority.to_string(),
        account: order.account.to_string(),
        profile: order.profile.to_string(),
        identifiers: order.identifiers.iter().map(ToString::to_string).collect(),
        created_at: order.created_at,
        expires_at: order.expires_at,
        not_before: order.not_before,
        not_after: order.not_after,
        error: match &order.state {
            OrderState::Invalid { error } => Some(error.clone()),
            OrderState::Open | OrderState::Processing { .. } | OrderState::Valid { .. } => None,
        },
        authorizations: views,
        job: JobView::of(store, &Job::sign(order)).await?,
        certificate: certificate.map(CertificateView::of),
    })
}

impl AuthorizationView {
    async fn of(
        store: &Store,
        authorization: &Authorization,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let mut challenges = Vec::new();
        for challenge in &authorization.challenges {
            challenges.push(ChallengeView::of(store, authorization, challenge).await?);
        }
        Ok(Self {
            id: authorization.id.to_string(),
            identifier: authorization.identifier.to_string(),
            status: authorization.status(now),
            created_at: authorization.created_at,
            expires_at: authorization.expires_at,
            challenges,
        })
    }
}

impl ChallengeView {
    async fn of(
        store: &Store,
        authorization: &Authorization,
        challenge: &Challenge,
    ) -> Result<Self, Failure> {
        let job = Job::ValidateChallenge {
            authorization: authorization.id,
            challenge: challenge.id,
            account: Some(authorization.account),
            terms: AttemptTerms::default(),
        };
        let (validated_at, error) = match &challenge.state {
            ChallengeState::Pending | ChallengeState::Processing => (None, None),
            ChallengeState::Valid { validated_at } => (Some(*validated_at), None),
            ChallengeState::Invalid { error } => (None, Some(error.clone())),
        };
        Ok(Self {
            id: challenge.id.to_string(),
            kind: challenge.kind.name(),
            status: challenge.state.name(),
            validated_at,
            error,
            job: JobView::of(store, &job).await?,
        })
    }
}

impl OrderView {
    fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!("Order {}", self.id));
        sheet.pairs([
            ("status", word(&self.status)),
            (
                "error",
                self.error.as_ref().map(problem_text).unwrap_or_default(),
            ),
            ("names", joined(&self.identifiers)),
            ("authority", self.authority.clone()),
            ("account", self.account.clone()),
            ("profile", self.profile.clone()),
            ("created", moment(self.created_at)),
            ("expires", moment(self.expires_at)),
            ("not before", moment_or_none(self.not_before)),
            ("not after", moment_or_none(self.not_after)),
        ]);
        for authorization in &self.authorizations {
            authorization.write(sheet);
        }
        if let Some(job) = &self.job {
            job.write(sheet);
        }
        if let Some(certificate) = &self.certificate {
            certificate.write(sheet);
        }
    }
}

impl AuthorizationView {
    fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!("Authorization {}", self.id));
        sheet.pairs([
            ("for", self.identifier.clone()),
            ("status", word(&self.status)),
            ("created", moment(self.created_at)),
            ("expires", moment(self.expires_at)),
        ]);
        let rows = self.challenges.iter().map(|challenge| {
            [
                challenge.kind.to_owned(),
                challenge.status.to_owned(),
                moment_or_none(challenge.validated_at),
                challenge
                    .job
                    .as_ref()
                    .map(JobView::state)
                    .unwrap_or_default(),
                challenge.id.clone(),
            ]
        });
        sheet.table(["challenge", "status", "validated", "job", "id"], rows);
        for challenge in &self.challenges {
            if let Some(error) = &challenge.error {
                sheet.pairs([(challenge.kind, problem_text(error))]);
            }
            if let Some(job) = challenge.job.as_ref().filter(|job| job.has_errors()) {
                job.write(sheet);
            }
        }
    }
}
