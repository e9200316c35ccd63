//! Of many at once on all replicas exactly as many are admitted as the rate allows.

use std::collections::BTreeSet;
use std::time::Duration;

use certfleet_domain::{
    AccountId, Charge, Identifier, LimitKey, Rate, SystemClock, SystemRng, Verdict,
};
use certfleet_storage::collections::LIMITS;
use certfleet_storage::{Store, Unit};
use futures_util::future::join_all;
use mongodb::bson::{DateTime, Document, doc};
use tokio::time::{Instant, sleep};

use crate::support::{Space, event, space};

fn rate(count: u32, seconds: u64) -> Rate {
    Rate::new(count, Duration::from_secs(seconds)).expect("a rate")
}

fn account() -> AccountId {
    AccountId::generate(&SystemClock, &mut SystemRng)
}

fn name(text: &str) -> Identifier {
    text.parse().expect("a name")
}

async fn charge(store: &Store, key: &LimitKey, rate: Rate) -> Verdict {
    let verdict = store.limits.charge(key, rate).await;
    verdict.expect("a verdict")
}

async fn admitted(store: &Store, key: &LimitKey, rate: Rate) -> Charge {
    match charge(store, key, rate).await {
        Verdict::Admitted(charge) => charge,
        Verdict::Refused(wait) => panic!("refused for {wait:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_the_count_is_admitted_whichever_replicas_they_ask() {
    let space = space().await;
    let stores = [
        space.store.clone(),
        space.another().await,
        space.another().await,
    ];
    let hour = rate(37, 3_600);
    let keys: Vec<LimitKey> = (0..3).map(|_| LimitKey::account(account())).collect();
    let charges = (0..297).map(|index| {
        let (store, key) = (&stores[index % 3], &keys[index / 3 % 3]);
        async move { (key, charge(store, key, hour).await) }
    });
    let verdicts = join_all(charges).await;
    for key in &keys {
        let of_key = verdicts.iter().filter(|(of, _)| *of == key);
        let (through, refused): (Vec<_>, Vec<_>) =
            of_key.partition(|(_, verdict)| matches!(verdict, Verdict::Admitted(_)));
        assert_eq!((through.len(), refused.len()), (37, 62));
        for (_, verdict) in refused {
            let Verdict::Refused(wait) = verdict else {
                continue;
            };
            assert!(wait <= Duration::from_secs(98), "{wait:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_as_long_as_told_is_admitted_and_nobody_more() {
    let space = space().await;
    let key = LimitKey::account(account());
    let brisk = rate(4, 4);
    for _ in 0..4 {
        admitted(&space.store, &key, brisk).await;
    }
    let Verdict::Refused(wait) = charge(&space.store, &key, brisk).await else {
        panic!("a fifth was admitted")
    };
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    sleep(wait + Duration::from_millis(2)).await;
    let began = Instant::now();
    admitted(&space.store, &key, brisk).await;
    let next = charge(&space.store, &key, brisk).await;
    assert!(
        matches!(next, Verdict::Refused(_)) || began.elapsed() > Duration::from_millis(900),
        "{next:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_can_be_had_again_and_a_refusal_writes_nothing() {
    let space = space().await;
    let key = LimitKey::account(account());
    let daily = rate(2, 86_400);
    let first = admitted(&space.store, &key, daily).await;
    admitted(&space.store, &key, daily).await;
    let before = stored(&space).await;
    assert!(matches!(
        charge(&space.store, &key, daily).await,
        Verdict::Refused(_)
    ));
    assert_eq!(stored(&space).await, before);
    // By hand or in a unit, it comes to the same.
    for in_unit in [false, true] {
        let limits = &space.store.limits;
        let again = if in_unit {
            let unit = limits.give_back_with(&key, first);
            space
                .store
                .commit(unit)
                .await
                .map_err(|error| error.to_string())
        } else {
            let given = limits.give_back(&key, first).await;
            given.map_err(|error| error.to_string())
        };
        again.expect("given back");
        // What has drained meanwhile is not given back: the rate of two a day has no third within milliseconds.
        let third = charge(&space.store, &key, daily).await;
        let due = Duration::from_secs(60);
        match third {
            Verdict::Admitted(_) => {}
            Verdict::Refused(wait) => assert!(wait < due, "{wait:?}"),
        }
    }
}

async fn stored(space: &Space) -> Vec<Document> {
    use futures_util::TryStreamExt;
    let found = space.raw(LIMITS).find(doc! {}).await.expect("a read");
    found.try_collect().await.expect("all of it")
}

/// The server's arithmetic is the domain's: both are played side by side.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_judges_as_the_domain_does() {
    let space = space().await;
    for (count, milliseconds) in [(1, 1_000), (3, 1_000), (7, 1_300), (50, 2_000)] {
        let rate = Rate::new(count, Duration::from_millis(milliseconds)).expect("a rate");
        let key = LimitKey::account(account());
        let mut tat = None;
        for act in 0..60 {
            let verdict = charge(&space.store, &key, rate).await;
            match verdict {
                Verdict::Admitted(charge) => {
                    assert_eq!(rate.charge(tat, charge.at), verdict, "{rate} {act}");
                    tat = Some(charge.put_on(tat));
                }
                Verdict::Refused(wait) => {
                    let burst = rate.burst() - rate.interval();
                    let least = i64::try_from(wait.as_micros()).expect("it fits");
                    let at = tat.expect("some were admitted") - burst - least;
                    assert_eq!(rate.charge(tat, at), verdict, "{rate} {act}");
                }
            }
        }
        let found = space.raw(LIMITS).find_one(doc! { "tat": tat }).await;
        assert!(found.expect("a read").is_some(), "{rate}: {tat:?}");
    }
}

/// Nothing of whom it is about stands in the clear, and what has drained is removed after a while.
#[tokio::test(flavor = "multi_thread")]
async fn states_say_when_they_mean_nothing_any_more() {
    let space = space().await;
    let authority = "default".parse().expect("a name");
    let key = LimitKey::address(&authority, [192, 0, 2, 77].into());
    admitted(&space.store, &key, rate(2, 3_600)).await;
    let state = stored(&space).await.remove(0);
    assert!(!state.to_string().contains("192.0.2"), "{state}");
    let ends = state.get_datetime("expires_at").expect("a time");
    let left = ends.timestamp_millis() - DateTime::now().timestamp_millis();
    assert!((1_700_000..=1_800_001).contains(&left), "{left} ms");
    let indexes = space.raw(LIMITS).list_indexes().await.expect("indexes");
    let indexes: Vec<mongodb::IndexModel> = futures_util::TryStreamExt::try_collect(indexes)
        .await
        .expect("all of them");
    let removed = indexes.iter().any(|index| {
        index.keys == doc! { "expires_at": 1 }
            && index
                .options
                .as_ref()
                .is_some_and(|options| options.expire_after == Some(Duration::from_secs(600)))
    });
    assert!(removed, "{indexes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_paused_with_the_last_failure_in_a_row_and_until_it_is_lifted() {
    let space = space().await;
    let limits = &space.store.limits;
    let (account, other) = (account(), account());
    let name = name("keeps.failing.example");
    let fail = async |times: usize| {
        for _ in 0..times {
            let unit = limits.count_failure(account, &name, 3);
            space.store.commit(unit).await.expect("counted");
        }
    };
    let paused = async |account| {
        let standings = limits.standings(account, std::slice::from_ref(&name)).await;
        standings.expect("a read")[0].paused
    };
    fail(2).await;
    let over = limits.end_failures(account, &name).await.expect("a look");
    space.store.commit(over).await.expect("ended");
    fail(2).await;
    assert!(!paused(account).await, "a success was between");
    fail(1).await;
    assert!(paused(account).await && !paused(other).await);
    fail(1).await;
    let listed = limits.pauses(10).await.expect("a list");
    let told: BTreeSet<_> = listed
        .iter()
        .map(|pause| (&*pause.name, pause.failures))
        .collect();
    assert_eq!(told, BTreeSet::from([(&*name.to_string(), 4)]));
    let lasting = space
        .raw(LIMITS)
        .find_one(doc! { "expires_at": { "$exists": true } })
        .await;
    assert_eq!(lasting.expect("a read"), None, "a pause ends by itself");

    assert!(!limits.lift(other, &name, &event()).await.expect("a look"));
    assert!(limits.lift(account, &name, &event()).await.expect("lifted"));
    assert!(!limits.lift(account, &name, &event()).await.expect("a look"));
    assert!(!paused(account).await);
    fail(2).await;
    assert!(!paused(account).await, "counted from the start");
    let none: Unit = limits.end_failures(other, &name).await.expect("a look");
    space.store.commit(none).await.expect("nothing to write");
}
