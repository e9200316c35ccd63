//! What waits for a job that is not there gets one.

use std::time::Duration;

use certfleet_domain::{AttemptTerms, CertificateId, ChallengeState, SystemClock, SystemRng};
use certfleet_jobs::Job;
use certfleet_storage::collections::JOBS;
use certfleet_storage::jobs::{JobState, Recovered};
use mongodb::bson::doc;

use crate::entities::{account, authorization, now, order};
use crate::support::space;

#[tokio::test]
async fn orphans_get_their_jobs_back_and_others_are_left_alone() {
    let space = space().await;
    let store = &space.store;
    let account = account();
    let old = now() - time::Duration::minutes(5);
    let certificate = CertificateId::generate(&SystemClock, &mut SystemRng);

    let mut orphan = order(account.id);
    orphan.created_at = old;
    let orphan = orphan.finalize(certificate).expect("open");
    let mut open = order(account.id);
    open.created_at = old;
    let young = order(account.id).finalize(certificate).expect("open");
    let mut served = order(account.id);
    served.created_at = old;
    let served = served.finalize(certificate).expect("open");
    let mut authorization = authorization(account.id, "example.org");
    authorization.created_at = old;
    // Two challenges of one authorization may be under way.
    authorization.challenges[0].state = ChallengeState::Processing;
    authorization.challenges[2].state = ChallengeState::Processing;

    let mut unit = store.authorizations.insert(&authorization).expect("a unit");
    for order in [&orphan, &open, &young, &served] {
        unit = unit.and(store.orders.insert(order).expect("a unit"));
    }
    let sign = |order| Job::SignCertificate {
        order,
        authority: None,
    };
    unit = unit.and(store.jobs.enqueue(&sign(served.id)).expect("a unit"));
    store.commit(unit).await.expect("written");

    let recovered = store.jobs.recover(Duration::from_secs(60)).await;
    let due = Recovered {
        validations: 2,
        signatures: 1,
    };
    assert_eq!(recovered.expect("recovered"), due);
    for challenge in [&authorization.challenges[0], &authorization.challenges[2]] {
        let job = Job::ValidateChallenge {
            authorization: authorization.id,
            challenge: challenge.id,
            account: Some(authorization.account),
            terms: AttemptTerms::default(),
        };
        let state = store.jobs.state(&job.key()).await.expect("a read");
        assert_eq!(state, Some(JobState::Queued));
    }
    let state = store.jobs.state(&sign(orphan.id).key()).await;
    assert_eq!(state.expect("a read"), Some(JobState::Queued));
    let jobs = space.raw(JOBS).count_documents(doc! {}).await;
    assert_eq!(jobs.expect("a count"), 4);

    let again = store.jobs.recover(Duration::from_secs(60)).await;
    assert_eq!(again.expect("recovered"), Recovered::default());
}
