//! Projects, tokens and kept answers; and what is removed is gone, provided that nobody has written it meanwhile.

use certfleet_domain::{
    ApiToken, ApiTokenState, Project, ProjectName, SystemClock, SystemRng, TokenDigest, TokenId,
};
use certfleet_storage::{CommitError, KeptAnswer};
use time::Duration;

use crate::entities::{account, now};
use crate::support::space;

#[tokio::test]
async fn projects_and_tokens_round_trip() {
    let space = space().await;
    let access = &space.store.access;
    let commit = async |unit| space.store.commit(unit).await.expect("a commit");
    let project = Project {
        name: "web".parse().expect("a name"),
        title: Some("what we sell".to_owned()),
        created_at: now(),
        version: 0,
    };
    commit(access.insert_project(&project).expect("a unit")).await;
    let names: Vec<String> = access
        .projects()
        .await
        .expect("a read")
        .into_iter()
        .map(|one| one.name.to_string())
        .collect();
    // The first is there without having been stored.
    assert_eq!(names, ["default", "web"]);
    let found = access.project(&project.name).await.expect("a read");
    assert_eq!(found.as_ref(), Some(&project));
    let default = access
        .project(&ProjectName::default())
        .await
        .expect("a read");
    assert!(default.is_some());
    commit(access.remove_project(&project)).await;
    assert_eq!(access.project(&project.name).await.expect("a read"), None);

    let token = ApiToken {
        id: TokenId::generate(&SystemClock, &mut SystemRng),
        label: "ci".to_owned(),
        digest: TokenDigest::new([7; 32]),
        grants: vec![
            "admin".parse().expect("a grant"),
            "viewer@web".parse().expect("a grant"),
        ],
        expires_at: Some(now() + Duration::DAY),
        state: ApiTokenState::Active,
        created_at: now(),
        version: 0,
    };
    commit(access.insert_token(&token).expect("a unit")).await;
    assert_eq!(
        access.token(token.id).await.expect("a read"),
        Some(token.clone())
    );
    let revoked = token.clone().revoke(now()).expect("it is active");
    commit(access.update_token(&revoked).expect("a unit")).await;
    let found = access.tokens().await.expect("a read");
    assert_eq!(
        found,
        [ApiToken {
            version: 1,
            ..revoked
        }]
    );
    assert!(access.last_uses().await.expect("a read").is_empty());
    commit(access.used(token.id)).await;
    assert!(
        access
            .last_uses()
            .await
            .expect("a read")
            .contains_key(&token.id)
    );
}

#[tokio::test]
async fn an_answer_is_kept_once() {
    let space = space().await;
    let access = &space.store.access;
    let answer = |status| KeptAnswer {
        request: "digest".to_owned(),
        status,
        location: Some("/there".to_owned()),
        body: "{}".to_owned(),
    };
    let until = now() + Duration::DAY;
    let keep = async |status| {
        let unit = access.keep_answer("key", &answer(status), until);
        space.store.commit(unit).await
    };
    keep(201).await.expect("a commit");
    assert!(matches!(
        keep(202).await,
        Err(CommitError::Duplicate { .. })
    ));
    let kept = access.kept_answer("key").await.expect("a read");
    assert_eq!(kept, Some(answer(201)));
    assert_eq!(access.kept_answer("other").await.expect("a read"), None);
}

#[tokio::test]
async fn what_was_written_meanwhile_is_not_removed_nor_anything_with_it() {
    let space = space().await;
    let access = &space.store.access;
    let commit = async |unit| space.store.commit(unit).await;
    let name: ProjectName = "web".parse().expect("a name");
    let project = Project {
        name: name.clone(),
        title: None,
        created_at: now(),
        version: 0,
    };
    let other = Project {
        name: "other".parse().expect("a name"),
        ..project.clone()
    };
    for one in [&project, &other] {
        commit(access.insert_project(one).expect("a unit"))
            .await
            .expect("a commit");
    }
    let stale = Project {
        version: 9,
        ..other.clone()
    };
    let account = account();
    let both = access
        .remove_project(&project)
        .and(access.remove_project(&stale));
    let both = both.and(space.store.accounts.insert(&account).expect("a unit"));
    let fate = commit(both).await;
    assert!(matches!(fate, Err(CommitError::Changed { .. })), "{fate:?}");
    assert!(access.project(&name).await.expect("a read").is_some());
    assert!(
        space
            .store
            .accounts
            .find(account.id)
            .await
            .expect("a read")
            .is_none()
    );
    commit(access.remove_project(&project))
        .await
        .expect("a commit");
    // Gone is changed, too.
    let fate = commit(access.remove_project(&project)).await;
    assert!(matches!(fate, Err(CommitError::Changed { .. })), "{fate:?}");
}
