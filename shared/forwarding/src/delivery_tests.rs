//! What counts as arrived, at receivers that do what receivers do when they die.

use std::net::SocketAddr;
use std::time::Duration;

use certfleet_audit::{Entry, Hash};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use crate::{Format, ForwardError, Forwarder, Settings};

fn entries(count: u64) -> Vec<Entry> {
    let event = r#"{"v":1,"at":"2026-09-21T14:13:20Z","server":"0190","act":"order.create"}"#;
    (0..count)
        .map(|number| Entry {
            number,
            link: Hash::ZERO,
            event: event.to_owned(),
        })
        .collect()
}

fn forwarder(to: &str, format: Format) -> Forwarder {
    // The error says that another came first: a test in the same process, with the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let settings = Settings {
        to: to.parse().unwrap(),
        format,
        roots: None,
        identity: None,
        token: Some(Zeroizing::new("hunter2".to_owned())),
        patience: Duration::from_secs(5),
    };
    Forwarder::new(settings).unwrap()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn what_is_read_to_its_end_has_arrived() {
    let (listener, address) = listener().await;
    let reading = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        got
    });
    let sent = entries(1000);
    let forwarder = forwarder(&format!("tcp://{address}"), Format::Rfc5424);
    forwarder.deliver(&sent).await.unwrap();
    let got = String::from_utf8(reading.await.unwrap()).unwrap();
    // Frames, each as long as it says.
    let mut rest = got.as_str();
    for entry in &sent {
        let (length, after) = rest.split_once(' ').unwrap();
        let (message, after) = after.split_at(length.parse().unwrap());
        assert!(message.ends_with(&format!(" - {entry}")), "{message}");
        rest = after;
    }
    assert_eq!(rest, "");
}

#[tokio::test]
async fn what_is_left_unread_has_not() {
    let (listener, address) = listener().await;
    let dying = tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        // Some of it, and then nothing more, as of a process that is killed.
        let mut some = [0; 1000];
        stream.read_exact(&mut some).await.unwrap();
    });
    let forwarder = forwarder(&format!("tcp://{address}"), Format::Cef);
    let error = forwarder.deliver(&entries(1000)).await.unwrap_err();
    assert!(matches!(error, ForwardError::Connection(_)), "{error}");
    dying.await.unwrap();
}

#[tokio::test]
async fn who_never_ends_has_not_got_it() {
    let (_listener, address) = listener().await;
    let settings = Settings {
        to: format!("tcp://{address}").parse().unwrap(),
        format: Format::Rfc5424,
        roots: None,
        identity: None,
        token: None,
        patience: Duration::from_millis(200),
    };
    let forwarder = Forwarder::new(settings).unwrap();
    let error = forwarder.deliver(&entries(1)).await.unwrap_err();
    assert!(matches!(error, ForwardError::TooLate(_)), "{error}");
}

/// Answers one request so; gives the request.
async fn answered(answer: &'static str) -> (Result<(), ForwardError>, String) {
    let (listener, address) = listener().await;
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut some = [0; 4096];
        while !request.ends_with("}\n") {
            let read = stream.read(&mut some).await.unwrap();
            request.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let forwarder = forwarder(&format!("http://{address}/events?x=y"), Format::Json);
    assert_eq!(forwarder.name(), format!("http://{address}/events"));
    let delivered = forwarder.deliver(&entries(2)).await;
    (delivered, serving.await.unwrap())
}

#[tokio::test]
async fn over_http_the_answer_decides() {
    let ok = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let (delivered, request) = answered(ok).await;
    delivered.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /events?x=y HTTP/1.1"), "{head}");
    assert!(
        head.contains("content-type: application/x-ndjson"),
        "{head}"
    );
    assert!(head.contains("authorization: Bearer hunter2"), "{head}");
    let due: Vec<String> = entries(2).iter().map(Entry::to_string).collect();
    assert_eq!(body, due.join("\n") + "\n");

    let no =
        "HTTP/1.1 503 Unavailable\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot\r\nnow.";
    let error = answered(no).await.0.unwrap_err().to_string();
    assert_eq!(error, "the receiver answered 503: not now.");

    // Nobody sends the trail elsewhere.
    let elsewhere = "HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let error = answered(elsewhere).await.0.unwrap_err().to_string();
    assert_eq!(error, "the receiver answered 307: ");
}

#[tokio::test]
async fn nobody_there_is_said_without_the_url() {
    let (listener, address) = listener().await;
    drop(listener);
    let forwarder = forwarder(&format!("http://{address}/?token=hunter2"), Format::Json);
    let error = forwarder
        .deliver(&entries(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("refused"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
