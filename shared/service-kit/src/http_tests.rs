//! The probes, the metrics and the edge, through a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get as route;
use prometheus::IntGauge;
use prometheus::core::Collector as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client_ip::ClientIp;
use crate::edge::Edge;
use crate::health::{Condition, Health, Importance};
use crate::metrics::Metrics;
use crate::probes::{management, probes};
use crate::request_id::RequestId;
use crate::settings::{Networks, SecretText};
use crate::test_client::{Client, Running, get};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("certfleet-test", "1.2.3").unwrap())
}

fn health() -> (Arc<Health>, CancellationToken) {
    let shutdown = CancellationToken::new();
    (Arc::new(Health::uncached(shutdown.clone())), shutdown)
}

/// A check whose condition a test sets.
fn register(
    health: &Health,
    name: &'static str,
    importance: Importance,
) -> watch::Sender<Condition> {
    let (sender, receiver) = watch::channel(Condition::ok());
    health.register(name, importance, move || {
        let condition = receiver.borrow().clone();
        async move { condition }
    });
    sender
}

#[tokio::test]
async fn livez_is_alive_from_the_first_moment() {
    let (health, _) = health();
    let server = Running::plain(probes(health));
    let answer = get(server.address, "/livez").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        serde_json::json!({"alive": true, "version": "1.2.3"})
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn readyz_follows_the_service_through_its_life() {
    let (health, shutdown) = health();
    let database = register(&health, "database", Importance::Critical);
    let mail = register(&health, "smtp", Importance::Auxiliary);
    let server = Running::plain(probes(Arc::clone(&health)));
    let ready = async || {
        let answer = get(server.address, "/readyz").await;
        (
            answer.status,
            answer.json()["reason"].as_str().map(str::to_owned),
        )
    };
    let not_ready = |reason: &str| (503, Some(reason.to_owned()));

    assert_eq!(ready().await, not_ready("starting"));
    database.send(Condition::bad("no answer")).unwrap();
    assert_eq!(ready().await, not_ready("database: no answer"));
    database.send(Condition::ok()).unwrap();
    assert_eq!(ready().await, not_ready("starting"));
    health.started();
    assert_eq!(ready().await, (200, None));
    database.send(Condition::bad("no primary")).unwrap();
    assert_eq!(ready().await, not_ready("database: no primary"));
    database
        .send(Condition::degraded("pool under pressure"))
        .unwrap();
    mail.send(Condition::bad("refused")).unwrap();
    assert_eq!(ready().await, (200, None));
    shutdown.cancel();
    assert_eq!(ready().await, not_ready("shutting down"));
}

#[tokio::test]
async fn healthz_names_every_part() {
    let (health, _) = health();
    let database = register(&health, "database", Importance::Critical);
    let mail = register(&health, "smtp", Importance::Auxiliary);
    let server = Running::plain(probes(health));
    let asked = async || {
        let answer = get(server.address, "/healthz").await;
        (answer.status, answer.json())
    };
    database.send(Condition::ok_with("32 free")).unwrap();
    assert_eq!(
        asked().await,
        (
            200,
            serde_json::json!({"status": "ok", "version": "1.2.3", "parts": {
                "database": {"status": "ok", "detail": "32 free"},
                "smtp": {"status": "ok"},
            }})
        )
    );
    mail.send(Condition::bad("refused")).unwrap();
    let (status, json) = asked().await;
    assert_eq!((status, &json["status"]), (200, &"degraded".into()));
    assert_eq!(json["parts"]["smtp"]["status"], "bad");
    database.send(Condition::bad("no primary")).unwrap();
    let (status, json) = asked().await;
    assert_eq!((status, &json["status"]), (503, &"bad".into()));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_bad_and_holds_up_no_other() {
    let (health, _) = health();
    for name in ["one", "two", "three"] {
        health.register(
            name,
            Importance::Critical,
            std::future::pending::<Condition>,
        );
    }
    let begun = Instant::now();
    let report = health.report().await;
    assert!(begun.elapsed().as_millis() < 900, "{:?}", begun.elapsed());
    assert_eq!(
        report.parts["two"],
        Condition::bad("no answer within 0.8 s")
    );
}

#[tokio::test(start_paused = true)]
async fn asking_often_does_not_check_often() {
    let health = Arc::new(Health::new("1.2.3", CancellationToken::new()));
    let checks = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&checks);
    health.register("database", Importance::Critical, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Condition::ok() }
    });
    futures_util::future::join_all((0..100).map(|_| health.report())).await;
    assert_eq!(checks.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_millis(1001)).await;
    health.report().await;
    assert_eq!(checks.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn metrics_ask_for_their_token_if_there_is_one() {
    let (health, _) = health();
    let tokens = watch::Sender::new(None);
    let open = Running::plain(management(
        Arc::clone(&health),
        metrics(),
        tokens.subscribe(),
    ));
    let answer = get(open.address, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(get(open.address, "/livez").await.status, 200);
    for due in [
        "certfleet_build_info{service=\"certfleet-test\",version=\"1.2.3\"} 1",
        "certfleet_uptime_seconds 0.",
        "process_resident_memory_bytes ",
        "process_start_time_seconds 1",
    ] {
        assert!(answer.body.contains(due), "{due} not in {}", answer.body);
    }
    let resident = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
        .unwrap();
    assert!(resident.parse::<u64>().unwrap() > 1_000_000, "{resident}");

    // From here on the same one asks for it.
    tokens.send_replace(Some(SecretText::new("s3cret".to_owned())));
    let mut client = Client::connect(open.address).await;
    for (header, status) in [
        ("x: y", 401),
        ("authorization: Bearer s3cre", 401),
        ("authorization: Bearer s3cret2", 401),
        ("authorization: Basic s3cret", 401),
        ("authorization: s3cret", 401),
        ("authorization: Bearer s3cret", 200),
        ("authorization: bearer s3cret", 200),
    ] {
        client.ask("/metrics", &[header]).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{header}");
        let challenge = (status == 401).then_some("bearer");
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
}

fn edge(trusted: &[&str], metrics: &Arc<Metrics>) -> Running {
    let networks: Vec<_> = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let who = |ClientIp(ip): ClientIp, id: RequestId| async move { format!("{ip} {id}") };
    let router = Router::new()
        .route("/orders/{id}", route(who))
        .route(
            "/broken",
            route(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .fallback(|| async { StatusCode::NOT_FOUND });
    let edge = Edge::new(Networks::from(networks), Arc::clone(metrics));
    Running::plain(edge.wrap(router))
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks_and_names_the_request() {
    let forwarded = ["x-forwarded-for: 203.0.113.9", "x-request-id: from-proxy.1"];
    let trusting = edge(&["127.0.0.0/8"], &metrics());
    let mut client = Client::connect(trusting.address).await;
    client.ask("/orders/1", &forwarded).await;
    let answer = client.answer().await;
    assert_eq!(answer.body, "203.0.113.9 from-proxy.1");
    assert_eq!(answer.header("x-request-id"), Some("from-proxy.1"));

    let distrustful = edge(&["10.0.0.0/8"], &metrics());
    let mut client = Client::connect(distrustful.address).await;
    client.ask("/orders/1", &forwarded).await;
    let first = client.answer().await;
    let id = first.header("x-request-id").unwrap();
    assert_eq!(first.body, format!("127.0.0.1 {id}"));
    // Every answer has one, and each its own.
    let second = client.get("/nowhere").await;
    assert_eq!(second.status, 404);
    assert_ne!(second.header("x-request-id").unwrap(), id);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let metrics = metrics();
    let server = edge(&[], &metrics);
    let mut client = Client::connect(server.address).await;
    for path in ["/orders/1", "/orders/2", "/broken", "/made/up"] {
        client.get(path).await;
    }
    client
        .send("BREW /orders/1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    client.answer().await;
    let text = metrics.render().await.unwrap();
    for due in [
        "certfleet_http_requests_total{method=\"GET\",route=\"/orders/{id}\",status=\"200\"} 2",
        "certfleet_http_requests_total{method=\"GET\",route=\"/broken\",status=\"500\"} 1",
        "certfleet_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "certfleet_http_requests_total{method=\"other\",route=\"/orders/{id}\",status=\"405\"} 1",
        "certfleet_http_request_duration_seconds_count{method=\"GET\",route=\"/orders/{id}\"} 2",
        "certfleet_http_requests_in_flight 0",
    ] {
        assert!(text.contains(due), "{due} not in {text}");
    }
}

/// Figures of a source that does not answer are not there, rather than old; all others are.
#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_is_left_out() {
    let metrics = metrics();
    let answers = watch::Sender::new(true);
    let figure = IntGauge::new("certfleet_figure", "A figure").unwrap();
    metrics.add_source({
        let answers = answers.subscribe();
        move || {
            let (mut answers, told) = (answers.clone(), figure.collect());
            async move {
                answers.wait_for(|answers| *answers).await.unwrap();
                told
            }
        }
    });
    metrics.add_source(async || {
        IntGauge::new("certfleet_other", "Another")
            .unwrap()
            .collect()
    });
    let text = metrics.render().await.unwrap();
    assert!(text.contains("certfleet_figure 0"), "{text}");

    answers.send_replace(false);
    let asked = Instant::now();
    let text = metrics.render().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert!(!text.contains("certfleet_figure"), "{text}");
    for due in ["certfleet_other 0", "certfleet_uptime_seconds "] {
        assert!(text.contains(due), "{due} not in {text}");
    }
}
