//! Every query that runs often or over much goes by an index. What the server's profiler says of the real calls is
//! what counts here, so that no query is repeated in a test and none is missed.

use std::time::Duration;

use certfleet_domain::{
    AuthorizationState, CertificateOrigin, OrderId, SystemClock, SystemRng, Timestamp,
};
use certfleet_jobs::{Job, Outcome};
use certfleet_storage::collections::{
    ACCOUNTS, AUTHORIZATIONS, CERTIFICATES, JOBS, NONCES, ORDERS,
};
use certfleet_storage::jobs::{JobState, Wanted};
use certfleet_storage::{Keep, Unit};
use futures_util::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};

use crate::entities::{account, authority_name, authorization, certificate, now, order};
use crate::jobs::{MINUTE, claim, claimer, enqueue, room};
use crate::rooms::validations;
use crate::support::{Space, space};

/// Runs `work` under the profiler, and gives what it says of each operation on `collection`.
pub async fn profiled(space: &Space, collection: &str, work: impl AsyncFnOnce()) -> Vec<Document> {
    let database = space.store.database();
    let level = async |level: i32| {
        let set = database.run_command(doc! { "profile": level });
        set.await.expect("the profiler");
    };
    let profile = space.raw("system.profile");
    profile.drop().await.expect("a clean sheet");
    level(2).await;
    work().await;
    level(0).await;
    let namespace = format!("{}.{collection}", database.name());
    let operations = profile.find(doc! { "ns": namespace, "op": { "$in": ["query", "update", "remove", "command", "insert"] }, "planSummary": { "$exists": true } });
    let seen: Vec<Document> = operations
        .await
        .expect("a profile")
        .try_collect()
        .await
        .expect("a profile");
    assert!(!seen.is_empty(), "nothing was asked of {collection}");
    seen
}

/// All by this index, without sorting in memory, reading no more than so many keys and documents.
pub fn by_index(operations: &[Document], index: &str, keys: i64, documents: i64) {
    for operation in operations {
        let plan = operation.get_str("planSummary").expect("a plan");
        assert!(plan.contains(index), "{plan} is not {index}");
        assert!(!plan.contains("COLLSCAN"), "{plan}");
        assert!(
            !operation.contains_key("hasSortStage"),
            "sorts in memory: {operation}"
        );
        let count = |field| {
            let value = operation.get(field).expect("a count");
            value
                .as_i64()
                .or_else(|| value.as_i32().map(i64::from))
                .expect("a number")
        };
        let (seen_keys, seen_documents) = (count("keysExamined"), count("docsExamined"));
        assert!(
            seen_keys <= keys && seen_documents <= documents,
            "{plan}: {seen_keys} keys, {seen_documents} documents"
        );
    }
}

const CLAIMABLE: &str = "IXSCAN { bucket: 1, queue: 1, claimable_at: 1 }";
const ID: &str = "IXSCAN { _id: 1 }";

async fn with_finished_jobs(space: &Space, count: usize) {
    let finished: Vec<Document> = (0..count)
        .map(|number| {
            let bucket = i32::try_from(number % 64).expect("small");
            doc! {
                "_id": format!("sign/{number}"), "kind": "signCertificate", "bucket": bucket,
                "state": "done", "finished_at": DateTime::now(), "fence": 1_i64, "attempt": 1,
            }
        })
        .collect();
    let jobs = space.raw(JOBS);
    jobs.insert_many(finished).await.expect("written");
}

#[tokio::test]
async fn an_idle_claim_examines_nothing_however_many_jobs_are_finished() {
    let space = space().await;
    with_finished_jobs(&space, 10_000).await;
    let claimer = claimer(&space.store, MINUTE);
    let seen = profiled(&space, JOBS, async || {
        assert!(claim(&claimer, 50).await.is_empty());
        let stolen = claimer
            .steal(&mut room(50), &SystemClock, &mut SystemRng)
            .await;
        assert!(stolen.expect("an answer").is_empty());
        let former = claimer
            .claim_unqueued(&mut room(50), &SystemClock, &mut SystemRng)
            .await;
        assert!(former.expect("an answer").is_empty());
        space.store.jobs.depth().await.expect("a depth");
    })
    .await;
    assert_eq!(seen.len(), 4);
    by_index(&seen, CLAIMABLE, 0, 0);
}

/// A thousand validations wait, for hands that wait for strangers: what waits for nobody is not behind them.
#[tokio::test]
async fn a_claim_does_not_read_past_the_other_lane() {
    let space = space().await;
    validations(&space, account().id, 1_000).await;
    enqueue(&space, 5).await;
    let claimer = claimer(&space.store, MINUTE);
    let mut leases = Vec::new();
    let seen = profiled(&space, JOBS, async || leases = claim(&claimer, 50).await).await;
    assert_eq!(leases.len(), 5);
    let reads: Vec<_> = seen
        .into_iter()
        .filter(|operation| operation.get_str("op").is_ok_and(|op| op == "query"))
        .collect();
    by_index(&reads, CLAIMABLE, 64 * 4 + 5, 5);
}

#[tokio::test]
async fn a_claim_reads_what_it_takes_and_little_more() {
    let space = space().await;
    with_finished_jobs(&space, 1_000).await;
    enqueue(&space, 300).await;
    let claimer = claimer(&space.store, MINUTE);
    let mut leases = Vec::new();
    let seen = profiled(&space, JOBS, async || leases = claim(&claimer, 50).await).await;
    assert_eq!(leases.len(), 50);
    let (reads, writes): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|operation| operation.get_str("op").is_ok_and(|op| op == "query"));
    // Nobody was faster, which the count tells: nothing is read back.
    assert_eq!((reads.len(), writes.len()), (1, 1));
    // A few keys of each bucket, to skip to the queues and to merge them in order, and those that are taken.
    by_index(&reads, CLAIMABLE, 64 * 4 + 50, 50);
    by_index(&writes, ID, 100, 50);

    let held: Vec<_> = leases
        .iter()
        .map(|lease| (lease.key.clone(), lease.token))
        .collect();
    let seen = profiled(&space, JOBS, async || {
        assert_eq!(claimer.renew(&held).await.expect("renewed"), []);
    })
    .await;
    by_index(&seen, ID, 100, 50);

    let done = &leases[0];
    let seen = profiled(&space, JOBS, async || {
        let complete = space
            .store
            .jobs
            .complete(done, &Outcome::Done, Unit::default());
        complete.await.expect("completed");
        space.store.jobs.state(&done.key).await.expect("a state");
    })
    .await;
    for operation in &seen {
        let plan = operation.get_str("planSummary").expect("a plan");
        assert!(plan == "IDHACK" || plan == ID, "{plan}");
    }
}

async fn insert_orders(space: &Space, count: usize) {
    let orders: Vec<Unit> = (0..count)
        .map(|_| {
            space
                .store
                .orders
                .insert(&order(account().id))
                .expect("a unit")
        })
        .collect();
    let unit = orders.into_iter().reduce(Unit::and).expect("some");
    space.store.commit(unit).await.expect("written");
}

#[tokio::test]
async fn entities_are_found_by_their_indexes() {
    let space = space().await;
    let store = &space.store;
    let mine = account();
    let my_order = order(mine.id);
    let origin = CertificateOrigin::Order {
        account: mine.id,
        order: my_order.id,
    };
    let certificate = certificate(origin);
    let mut unit = store.accounts.insert(&mine).expect("a unit");
    unit = unit
        .and(store.orders.insert(&my_order).expect("a unit"))
        .and(store.certificates.insert(&certificate).expect("a unit"));
    store.commit(unit).await.expect("written");
    insert_orders(&space, 200).await;

    let main = authority_name();
    let seen = profiled(&space, ACCOUNTS, async || {
        let found = store.accounts.find_by_key(&main, &mine.thumbprint);
        assert!(found.await.expect("a read").is_some());
    })
    .await;
    by_index(&seen, "IXSCAN { authority: 1, thumbprint: 1 }", 1, 1);

    let seen = profiled(&space, ORDERS, async || {
        let page = store.orders.page(mine.id, None, 10).await.expect("a read");
        assert_eq!(page.orders.first(), Some(&my_order));
        let page = store.orders.page(mine.id, Some(my_order.id), 10);
        assert!(page.await.expect("a read").orders.is_empty());
    })
    .await;
    by_index(&seen, "IXSCAN { account: 1, _id: 1 }", 1, 1);

    let seen = profiled(&space, CERTIFICATES, async || {
        let found = store.certificates.find_by_serial(certificate.serial);
        assert!(found.await.expect("a read").is_some());
    })
    .await;
    by_index(&seen, "IXSCAN { serial: 1 }", 1, 1);
    let seen = profiled(&space, CERTIFICATES, async || {
        let found = store.certificates.find_by_order(my_order.id);
        assert!(found.await.expect("a read").is_some());
    })
    .await;
    by_index(&seen, "IXSCAN { order: 1 }", 1, 1);
}

#[tokio::test]
async fn valid_authorizations_are_found_past_those_of_before() {
    let space = space().await;
    let store = &space.store;
    let mine = account().id;
    let until: Timestamp = now() + time::Duration::hours(1);
    let mut units = Vec::new();
    for number in 0..120 {
        let mut authorization = authorization(mine, "example.org");
        if number > 0 {
            authorization.expires_at = now() - time::Duration::days(number);
        }
        if number < 100 {
            authorization.state = AuthorizationState::Valid;
        }
        units.push(store.authorizations.insert(&authorization).expect("a unit"));
    }
    let unit = units.into_iter().reduce(Unit::and).expect("some");
    store.commit(unit).await.expect("written");
    let main = authority_name();
    let names = ["example.org".parse().expect("a name")];
    let seen = profiled(&space, AUTHORIZATIONS, async || {
        let found = store.authorizations.find_valid(&main, mine, &names, until);
        assert_eq!(found.await.expect("a read").len(), 1);
    })
    .await;
    let index = "IXSCAN { account: 1, identifier: 1, expires_at: 1 }";
    by_index(&seen, index, 3, 1);
}

#[tokio::test]
async fn the_recovery_reads_only_what_waits() {
    let space = space().await;
    insert_orders(&space, 200).await;
    let old = now() - time::Duration::minutes(5);
    let mut waiting = order(account().id);
    waiting.created_at = old;
    let certificate = certificate(CertificateOrigin::Service).id;
    let waiting = waiting.finalize(certificate).expect("open");
    let mut unit = space.store.orders.insert(&waiting).expect("a unit");
    for number in 0..50 {
        let mut each = authorization(account().id, "example.org");
        each.created_at = old;
        if number == 0 {
            each.challenges[0].state = certfleet_domain::ChallengeState::Processing;
        }
        unit = unit.and(space.store.authorizations.insert(&each).expect("a unit"));
    }
    space.store.commit(unit).await.expect("written");
    for collection in [ORDERS, AUTHORIZATIONS] {
        let seen = profiled(&space, collection, async || {
            let recovered = space.store.jobs.recover(Duration::from_secs(60)).await;
            recovered.expect("recovered");
        })
        .await;
        by_index(&seen, "IXSCAN { created_at: 1 }", 1, 1);
    }
}

#[tokio::test]
async fn the_retention_goes_by_ids() {
    let space = space().await;
    insert_orders(&space, 200).await;
    let nonces = &space.store.nonces;
    for number in 0..40_u8 {
        // The first octets are the time of minting: 1970 for some, far in the future for the others.
        let first = if number < 10 { 0 } else { 0xff };
        let mut id = [number; 19];
        id[..5].fill(first);
        nonces.spend(&id).await.expect("spent");
    }
    let step = async || {
        let limit = now() - time::Duration::days(90);
        let keep = Keep {
            versions_since: None,
            nonces_since: now(),
            orders_since: limit,
            authorizations_since: limit,
            jobs: Duration::from_secs(3600),
        };
        let removed = space.store.retention().step(keep).await;
        removed.expect("a step").nonces
    };
    let seen = profiled(&space, NONCES, async || assert_eq!(step().await, 10)).await;
    // The ten once to find the end of the step, and once to remove them.
    by_index(&seen, ID, 11, 10);
    let seen = profiled(&space, ORDERS, async || assert_eq!(step().await, 0)).await;
    by_index(&seen, ID, 0, 0);
}

#[tokio::test]
async fn an_ensured_job_is_looked_up_by_its_id() {
    let space = space().await;
    let order = OrderId::generate(&SystemClock, &mut SystemRng);
    let seen = profiled(&space, JOBS, async || {
        let job = Job::SignCertificate {
            order,
            authority: None,
        };
        space.store.jobs.ensure(&job).await.expect("enqueued");
    })
    .await;
    for operation in &seen {
        let plan = operation.get_str("planSummary").expect("a plan");
        assert!(plan == "IDHACK" || plan.contains("_id"), "{plan}");
    }
}

/// A list of dead jobs, or of the last that were finished, reads those and no others.
#[tokio::test]
async fn jobs_are_listed_by_an_index_of_their_state() {
    let space = space().await;
    enqueue(&space, 40).await;
    let claimer = claimer(&space.store, MINUTE);
    for (index, lease) in claim(&claimer, 40).await.into_iter().enumerate() {
        let error = "it cannot be done".to_owned();
        let outcome = if index < 3 {
            Outcome::Fail { error }
        } else {
            Outcome::Done
        };
        let ended = space.store.jobs.complete(&lease, &outcome, Unit::default());
        ended.await.expect("ended");
    }
    for (state, index) in [
        (JobState::Dead, "IXSCAN { died_at: 1 }"),
        (JobState::Done, "IXSCAN { finished_at: 1 }"),
    ] {
        let (kind, most) = (None, 3);
        let wanted = Wanted { state, kind, most };
        let seen = profiled(&space, JOBS, async || {
            let (jobs, _) = space.store.jobs.list(wanted).await.expect("a list");
            assert_eq!(jobs.len(), 3);
        });
        by_index(&seen.await, index, 4, 3);
    }
}
