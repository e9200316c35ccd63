//! Finds out whether a challenge is met (RFC 8555 §8), and writes what it found.

use certfleet_acme::key_authorization;
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{
    Account, AccountStatus, AttemptTerms, Authorization, AuthorizationId, AuthorizationStatus,
    ChallengeId, ChallengeState, LimitKey, Problem, ProblemKind,
};
use certfleet_jobs::Lease;
use certfleet_storage::Unit;
use certfleet_validation::{Attempt, ValidationError};

use tracing::Instrument as _;

use super::{HandlerError, Handlers};
use crate::metrics::ChallengeResult;

impl Handlers {
    pub(super) async fn validate_challenge(
        &self,
        lease: &Lease,
        authorization: AuthorizationId,
        challenge: ChallengeId,
        terms: &AttemptTerms,
    ) -> Result<(), HandlerError> {
        let Some(authorization) = self.store.authorizations.find(authorization).await? else {
            return self.finish(lease, Unit::default()).await;
        };
        let not_counted = self.not_failed(&authorization, terms);
        if !self.is_undecided(&authorization, challenge) {
            return self.finish(lease, not_counted).await;
        }
        let account = self.store.accounts.find(authorization.account).await?;
        let account = account.ok_or_else(|| {
            HandlerError::Lasting(format!(
                "authorization {}: has no account",
                authorization.id
            ))
        })?;
        let attempt = attempt(&authorization, challenge, &account)?;
        if account.status != AccountStatus::Valid {
            // It was given up after it asked (RFC 8555 §7.3.6).
            let detail = format!("the account is {}", account.status.name());
            let problem = Problem::new(ProblemKind::Unauthorized, detail);
            let failed = authorization.fail(challenge, self.clock.now(), problem)?;
            let result = self.store.authorizations.update(&failed)?;
            self.finish(lease, result.and(not_counted)).await?;
            self.metrics
                .challenge(attempt.kind, ChallengeResult::Invalid);
            return Ok(());
        }
        reach(CrashPoint::ChallengeRead);
        let looking = self.validator.validate(&attempt);
        let verdict = looking
            .instrument(certfleet_trace::step(attempt.kind.name()))
            .await;
        let now = self.clock.now();
        let counted = match &verdict {
            Ok(_) => self.succeeded(&authorization, terms).await?,
            Err(ValidationError::Failed(_)) => self.failed(&authorization, terms),
            Err(ValidationError::Retry { .. }) => Unit::default(),
        };
        let result = match &verdict {
            Ok(_) => ChallengeResult::Valid,
            Err(ValidationError::Failed(_)) => ChallengeResult::Invalid,
            Err(ValidationError::Retry { .. }) => ChallengeResult::Trouble,
        };
        let event = self.recorder.decided(&authorization, challenge, &verdict);
        let decided = match verdict {
            Ok(evidence) => {
                tracing::info!(identifier = %attempt.identifier, kind = %attempt.kind, %evidence, "proven");
                authorization.prove(challenge, now, now + self.authorization_lifetime)
            }
            Err(ValidationError::Failed(problem)) => {
                let (kind, why) = (attempt.kind, &problem.detail);
                tracing::info!(identifier = %attempt.identifier, %kind, why, "not proven");
                authorization.fail(challenge, now, problem)
            }
            Err(ValidationError::Retry { why }) => {
                self.metrics.challenge(attempt.kind, result);
                return Err(HandlerError::Passing(why));
            }
        };
        reach(CrashPoint::ChallengeDecided);
        match decided {
            Ok(decided) => {
                let written = self.store.authorizations.update(&decided)?;
                let written = written.and(counted).recording(&event)?;
                self.finish(lease, written).await?;
                self.metrics.challenge(attempt.kind, result);
                reach(CrashPoint::ChallengeWritten);
                Ok(())
            }
            // Its time ran out while we looked.
            Err(_) => self.finish(lease, not_counted).await,
        }
    }

    /// Whether the challenge is still to be decided.
    fn is_undecided(&self, authorization: &Authorization, challenge: ChallengeId) -> bool {
        let pending = authorization.status(self.clock.now()) == AuthorizationStatus::Pending;
        let open =
            authorization
                .challenge(challenge)
                .is_some_and(|challenge| match challenge.state {
                    ChallengeState::Pending | ChallengeState::Processing => true,
                    ChallengeState::Valid { .. } | ChallengeState::Invalid { .. } => false,
                });
        pending && open
    }

    pub(super) async fn give_up_validation(
        &self,
        authorization: AuthorizationId,
        challenge: ChallengeId,
        terms: &AttemptTerms,
    ) -> Result<Unit, HandlerError> {
        let Some(authorization) = self.store.authorizations.find(authorization).await? else {
            return Ok(Unit::default());
        };
        let not_counted = self.not_failed(&authorization, terms);
        if !self.is_undecided(&authorization, challenge) {
            return Ok(not_counted);
        }
        let detail = "the service could not carry out the validation; try again with a new order";
        let problem = Problem::new(ProblemKind::ServerInternal, detail);
        let failed = authorization.fail(challenge, self.clock.now(), problem)?;
        Ok(self.store.authorizations.update(&failed)?.and(not_counted))
    }

    /// What the rate limits are told of a success, in its own unit.
    async fn succeeded(
        &self,
        authorization: &Authorization,
        terms: &AttemptTerms,
    ) -> Result<Unit, HandlerError> {
        let given_back = self.not_failed(authorization, terms);
        if terms.pause_after.is_none() {
            return Ok(given_back);
        }
        let (account, name) = (authorization.account, &authorization.identifier);
        let ended = self.store.limits.end_failures(account, name).await?;
        Ok(given_back.and(ended))
    }

    /// What they are told of a failure: its charge stays, and it is one more in a row.
    fn failed(&self, authorization: &Authorization, terms: &AttemptTerms) -> Unit {
        match terms.pause_after {
            None => Unit::default(),
            Some(most) => {
                let (account, name) = (authorization.account, &authorization.identifier);
                self.store.limits.count_failure(account, name, most)
            }
        }
    }

    /// What they are told of an attempt that has not failed: its charge is given back.
    fn not_failed(&self, authorization: &Authorization, terms: &AttemptTerms) -> Unit {
        match terms.charge {
            None => Unit::default(),
            Some(charge) => {
                let attempt = LimitKey::attempts(authorization.account, &authorization.identifier);
                self.store.limits.give_back_with(&attempt, charge)
            }
        }
    }
}

/// What is to be looked at.
fn attempt(
    authorization: &Authorization,
    challenge: ChallengeId,
    account: &Account,
) -> Result<Attempt, HandlerError> {
    let challenge = authorization.challenge(challenge).ok_or_else(|| {
        HandlerError::Lasting(format!(
            "authorization {}: has no such challenge",
            authorization.id
        ))
    })?;
    Ok(Attempt {
        identifier: authorization.identifier.clone(),
        kind: challenge.kind,
        token: challenge.token.clone(),
        key_authorization: key_authorization(challenge.token.as_str(), &account.thumbprint),
    })
}
