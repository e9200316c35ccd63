//! One holder of a role at a time, by the server's clock.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{eventually, server_id, space};

const SHORT: Duration = Duration::from_millis(300);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_role_has_one_holder_until_its_lease_runs_out() {
    let space = space().await;
    let role = space.store.leadership("test");
    let elsewhere = space.another().await.leadership("test");
    let (one, two) = (server_id(), server_id());

    let first = role.hold(one, SHORT).await.expect("an answer");
    let first = first.expect("nobody has it");
    assert_eq!(elsewhere.hold(two, SHORT).await.expect("an answer"), None);
    assert_eq!(
        elsewhere.holder().await.expect("an answer"),
        Some((one, first))
    );
    let kept = role.hold(one, SHORT).await.expect("an answer");
    assert_eq!(kept, Some(first), "the same holding goes on");

    let second = eventually("the lease to run out", async || {
        elsewhere.hold(two, MINUTE).await.expect("an answer")
    })
    .await;
    assert!(second > first);
    assert_eq!(role.hold(one, MINUTE).await.expect("an answer"), None);
}

#[tokio::test]
async fn who_steps_down_is_followed_at_once() {
    let space = space().await;
    let role = space.store.leadership("test");
    let (one, two) = (server_id(), server_id());
    let first = role.hold(one, MINUTE).await.expect("an answer");
    let first = first.expect("nobody has it");
    role.step_down(one, first).await.expect("stepped down");
    assert_eq!(role.holder().await.expect("an answer"), None);
    let second = role.hold(two, MINUTE).await.expect("an answer");
    let second = second.expect("it is free");
    assert!(second > first);

    role.step_down(one, first)
        .await
        .expect("too late, and no harm");
    assert_eq!(role.holder().await.expect("an answer"), Some((two, second)));
}

#[tokio::test]
async fn who_let_the_lease_run_out_begins_a_new_term() {
    let space = space().await;
    let role = space.store.leadership("test");
    let me = server_id();
    let first = role.hold(me, SHORT).await.expect("an answer");
    eventually("the lease to run out", async || {
        let holder = role.holder().await.expect("an answer");
        holder.is_none().then_some(())
    })
    .await;
    let second = role.hold(me, SHORT).await.expect("an answer");
    assert!(second > first, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_one_gets_the_role() {
    let space = space().await;
    let other = space.another().await;
    let asks = (0..20).map(|asker| {
        let store = if asker % 2 == 0 { &space.store } else { &other };
        let role = store.leadership("test");
        async move { role.hold(server_id(), MINUTE).await.expect("an answer") }
    });
    let terms = join_all(asks).await;
    assert_eq!(terms.iter().flatten().count(), 1);
}

#[tokio::test]
async fn roles_do_not_know_each_other() {
    let space = space().await;
    for role in ["one", "other"] {
        let held = space.store.leadership(role).hold(server_id(), MINUTE).await;
        assert!(held.expect("an answer").is_some());
    }
}
