use std::collections::BTreeSet;

use axum::extract::ConnectInfo;
use axum::routing::get as route;
use tokio::sync::Notify;

use super::*;
use crate::listener::{BindError, bind};
use crate::test_client::{Client, Running, free_port, get};

/// A handler that says when it has begun, and ends when it may.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    fn router(&self) -> Router {
        let gate = self.clone();
        let slow = move || async move {
            gate.entered.notify_one();
            gate.open.notified().await;
            "done"
        };
        Router::new()
            .route("/slow", route(slow))
            .route("/", route(|| async { "ok" }))
    }
}

/// Waits until the shutdown has reached the listener, and with it the connections.
async fn until_refused(server: &Running) {
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_told_to_close() {
    let gate = Gate::default();
    let server = Running::plain(gate.router());
    let mut client = Client::connect(server.address).await;
    client.ask("/slow", &[]).await;
    gate.entered.notified().await;

    server.shutdown.cancel();
    // The listener is closed while the request still runs.
    until_refused(&server).await;
    assert!(!server.ended.is_finished());
    gate.open.notify_one();

    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.until_closed().await.is_empty());
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_not_done_in_time_is_cut_off() {
    let gate = Gate::default();
    let listener = bind(free_port(), false).unwrap();
    let server = Running::start(listener, gate.router(), None, Duration::from_millis(50));
    let mut client = Client::connect(server.address).await;
    client.ask("/slow", &[]).await;
    gate.entered.notified().await;

    server.shutdown.cancel();
    assert_eq!(server.ended.await.unwrap(), 1);
    assert!(client.until_closed().await.is_empty());
}

#[tokio::test]
async fn a_request_on_an_idle_connection_is_still_answered_as_the_drain_begins() {
    let server = Running::plain(Gate::default().router());
    let mut client = Client::connect(server.address).await;
    let before = client.get("/").await;
    assert_eq!((before.status, before.header("connection")), (200, None));

    server.shutdown.cancel();
    until_refused(&server).await;
    let answer = client.get("/").await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(client.until_closed().await.is_empty());
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let server = Running::plain(Gate::default().router());
    let mut client = Client::connect(server.address).await;
    client.get("/").await;
    server.shutdown.cancel();
    assert!(client.until_closed().await.is_empty());
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn what_waits_in_the_queue_is_answered_before_the_listener_closes() {
    let listener = bind(free_port(), false).unwrap();
    let address = listener.local_addr().unwrap();
    // Connected by the kernel; nobody has accepted yet, and nobody will before the shutdown.
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(address).await;
        client.ask("/", &[]).await;
        clients.push(client);
    }
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let server = Server {
        listener,
        router: Gate::default().router(),
        tls: None,
        drain: Duration::from_secs(20),
    };
    let ended = tokio::spawn(server.run(shutdown));
    for client in &mut clients {
        assert_eq!(client.answer().await.body, "ok");
    }
    assert_eq!(ended.await.unwrap(), 0);
}

#[tokio::test]
async fn two_servers_share_a_port_and_one_can_go_without_failing_a_request() {
    let first = bind(free_port(), true).unwrap();
    let address = first.local_addr().unwrap();
    let second = bind(address, true).unwrap();
    let drain = Duration::from_secs(20);
    let named = |name| Router::new().route("/", route(move || async move { name }));
    let first = Running::start(first, named("first"), None, drain);
    let second = Running::start(second, named("second"), None, drain);

    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        seen.insert(get(address, "/").await.body);
    }
    first.shutdown.cancel();
    let mut after = 0;
    while !first.ended.is_finished() || after < 20 {
        let answer = get(address, "/").await;
        assert_eq!(answer.status, 200);
        after += u32::from(first.ended.is_finished());
    }
    assert_eq!(get(address, "/").await.body, "second");
    second.shutdown.cancel();
    assert_eq!(second.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn a_taken_port_is_told_in_one_line() {
    let first = bind(free_port(), false).unwrap();
    let address = first.local_addr().unwrap();
    for reuse_port in [false, true] {
        let error = bind(address, reuse_port).unwrap_err();
        assert!(matches!(error, BindError::Taken(taken) if taken == address));
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let error = bind("192.0.2.1:0".parse().unwrap(), false).unwrap_err();
    assert!(matches!(error, BindError::NotOurs(_)), "{error}");
}

#[tokio::test]
async fn handlers_know_the_peer() {
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let server = Running::plain(Router::new().route("/", route(peer)));
    let mut client = Client::connect(server.address).await;
    let own = client.0.local_addr().unwrap().to_string();
    assert_eq!(client.get("/").await.body, own);
}

/// The clock is paused: it jumps as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn who_is_slow_to_ask_is_shown_out() {
    let server = Running::plain(Gate::default().router());
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: te",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(begun).await;
        let begin = tokio::time::Instant::now();
        client.until_closed().await;
        let waited = begin.elapsed().as_secs();
        assert!((14..=16).contains(&waited), "{begun:?}: {waited} s");
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let server = Running::plain(Gate::default().router());
    let mut client = Client::connect(server.address).await;
    let line = format!("x: {}", "y".repeat(100_000));
    client.ask("/", &[&line]).await;
    assert_eq!(client.answer().await.status, 431);

    let mut client = Client::connect(server.address).await;
    let lines: Vec<_> = (0..200).map(|n| format!("x{n}: y")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    client.ask("/", &lines).await;
    assert_eq!(client.answer().await.status, 431);
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_not_the_server() {
    let server = Running::plain(Gate::default().router());
    for nonsense in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello",
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(nonsense).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.0)
            .await
            .unwrap();
        client.until_closed().await;
    }
    assert_eq!(get(server.address, "/").await.status, 200);
}
