use certfleet_domain::ChallengeKind;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use super::*;
use crate::testing::{
    Dns, KEY_AUTHORIZATION, Reply, assert_says, attempt, impatient, problem, settings, validate,
};

const NAME: &str = "_acme-challenge.a.example";

fn expected() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, KEY_AUTHORIZATION.as_bytes()))
}

async fn prove(dns: &Dns, name: &str) -> Result<Evidence, ValidationError> {
    validate(settings(dns), &attempt(ChallengeKind::Dns01, name)).await
}

#[tokio::test]
async fn any_one_record_proves_a_name_and_its_wildcard() {
    let dns = Dns::start().await;
    let expected = expected();
    let (head, tail) = expected.split_at(20);
    dns.texts(NAME, &[&["old"], &[head, tail], &["v=spf1"]]);
    for name in ["a.example", "*.a.example"] {
        let evidence = prove(&dns, name).await.unwrap();
        let name = NAME.to_owned();
        assert_eq!(evidence, Evidence::Dns01 { name, records: 3 });
    }
}

#[tokio::test]
async fn an_alias_proves_too() {
    let dns = Dns::start().await;
    dns.cname(NAME, "proofs.b.example")
        .texts("proofs.b.example", &[&[&expected()]]);
    prove(&dns, "a.example").await.unwrap();
}

#[tokio::test]
async fn other_records_do_not() {
    let dns = Dns::start().await;
    let expected = expected();
    let spaced = format!("{expected} ");
    let (head, tail) = expected.split_at(20);
    // Two records are not the two strings of one.
    let texts: Vec<[&str; 1]> = vec![
        [head],
        [tail],
        [&spaced],
        [KEY_AUTHORIZATION],
        ["\u{1}"],
        ["six"],
    ];
    let texts: Vec<&[&str]> = texts.iter().map(<[_; 1]>::as_slice).collect();
    dns.texts(NAME, &texts);
    let problem = problem(
        prove(&dns, "a.example").await,
        ProblemKind::IncorrectResponse,
    );
    assert_says(
        &problem,
        &[NAME, &expected, KEY_AUTHORIZATION, "\"\\x01\"", "1 more"],
    );
    assert!(!problem.detail.contains("six"));
}

#[tokio::test]
async fn what_dns_says_is_told() {
    let dns = Dns::start().await;
    dns.answers(NAME, RecordType::TXT, vec![Reply::Records(Vec::new())])
        .answers(
            "_acme-challenge.b.example",
            RecordType::TXT,
            vec![Reply::Code(ResponseCode::ServFail)],
        );
    for (name, kind, words) in [
        ("a.example", ProblemKind::Unauthorized, "there are none"),
        ("b.example", ProblemKind::Dns, "SERVFAIL"),
        ("c.example", ProblemKind::Dns, "NXDOMAIN"),
    ] {
        let problem = problem(prove(&dns, name).await, kind);
        assert_says(
            &problem,
            &["TXT", &format!("_acme-challenge.{name}"), words],
        );
    }
}

#[tokio::test]
async fn a_silent_name_server_is_given_up_on() {
    let dns = Dns::start().await;
    dns.answers(NAME, RecordType::TXT, vec![Reply::Silence]);
    let attempt = attempt(ChallengeKind::Dns01, "a.example");
    let result = validate(impatient(settings(&dns)), &attempt).await;
    assert_says(&problem(result, ProblemKind::Dns), &["no answer in time"]);
}

#[tokio::test]
async fn a_name_that_leaves_no_room_for_the_label_is_refused() {
    let dns = Dns::start().await;
    let long = [
        "a".repeat(60),
        "b".repeat(60),
        "c".repeat(60),
        "d".repeat(60),
    ]
    .join(".");
    let problem = problem(prove(&dns, &long).await, ProblemKind::Dns);
    assert_says(&problem, &["cannot be looked up"]);
}
