//! What people are told: one notice however often it is found, and what is to be told is found by that.

use certfleet_domain::{Channel, EventId, Notice, SystemClock, SystemRng};
use certfleet_storage::CommitError;
use certfleet_storage::collections::NOTICES;
use time::Duration;

use crate::entities::now;
use crate::queries::{by_index, profiled};
use crate::support::space;

#[tokio::test]
async fn a_notice_is_one_however_often_it_is_found_and_stays_as_it_has_become() {
    let space = space().await;
    let notices = &space.store.notices;
    let commit = async |unit| space.store.commit(unit).await;
    let at = now();
    let id = EventId::generate(&SystemClock, &mut SystemRng);
    let notice = Notice::of_test(id, at);
    commit(notices.ensure(&notice).expect("a unit"))
        .await
        .expect("a commit");
    let found = notices.last(9).await.expect("a read");
    assert_eq!(found, std::slice::from_ref(&notice));
    let told = notice.clone().told(Channel::Mail);
    let failed = told.clone().not_told("away".to_owned(), Duration::HOUR, at);
    for (stage, version) in [(told, 0), (failed, 1)] {
        let stage = Notice { version, ..stage };
        commit(notices.update(&stage).expect("a unit"))
            .await
            .expect("a commit");
        let stored = Notice {
            version: version + 1,
            ..stage
        };
        assert_eq!(notices.last(9).await.expect("a read"), [stored]);
    }
    // Found again, by somebody who knows of nothing.
    let before = notices.last(9).await.expect("a read");
    commit(notices.ensure(&notice).expect("a unit"))
        .await
        .expect("a commit");
    assert_eq!(notices.last(9).await.expect("a read"), before);
    let stale = commit(notices.update(&notice).expect("a unit")).await;
    assert!(
        matches!(stale, Err(CommitError::Changed { .. })),
        "{stale:?}"
    );
}

#[tokio::test]
async fn what_is_to_be_told_is_found_and_nothing_else_is_read() {
    let space = space().await;
    let notices = &space.store.notices;
    let at = now();
    for number in 0..20 {
        let id = EventId::generate(&SystemClock, &mut SystemRng);
        let notice = Notice::of_test(id, at);
        let notice = match number {
            0..15 => notice.told(Channel::Mail).told(Channel::Webhook),
            15..18 => notice.not_told("away".to_owned(), Duration::HOUR, at),
            _ => notice,
        };
        let unit = notices.ensure(&notice).expect("a unit");
        space.store.commit(unit).await.expect("a commit");
    }
    let seen = profiled(&space, NOTICES, async || {
        let due = notices.due(at, 100).await.expect("a read");
        assert_eq!(due.len(), 2);
    });
    by_index(&seen.await, "IXSCAN { next_at: 1 }", 2, 2);
}
