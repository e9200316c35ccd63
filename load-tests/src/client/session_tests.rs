use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::client::http::{Reach, tls};

const BAD_NONCE: &str = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"spent"}"#;
const REJECTED: &str =
    r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"not ours"}"#;

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with a status line's end, further headers and a body.
    Answer(&'static str, &'static str, &'static str),
    /// Closes the connection.
    HangUp,
}

/// A server that acts as written, the last act for ever, and keeps the requests it got.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &acts, &seen).await;
            }
        });
        Self { url, requests }
    }

    /// A session that needs no nonce of its own for its first request.
    fn session(&self) -> Session {
        let transport = Transport::new(tls(None).unwrap(), Reach::Loopback);
        let url = |path: &str| format!("{}/{path}", self.url);
        let directory = Directory {
            new_nonce: url("nonce"),
            new_account: url("account"),
            new_order: url("order"),
        };
        let mut session = Session::with_directory(transport, Arc::new(directory));
        session.nonce = Some("n0".to_owned());
        session
    }

    async fn post(&self, session: &mut Session) -> Result<Answer, Failure> {
        let key = AccountKey::generate().unwrap();
        let url = format!("{}/order", self.url);
        let signer = (&key, Identity::Kid("a"));
        session.post(Step::NewOrder, signer, &url, "{}").await
    }

    /// The nonces of the requests, in order.
    fn nonces(&self) -> Vec<String> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let nonce = |body: &String| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let protected = URL_SAFE_NO_PAD
                .decode(body["protected"].as_str().unwrap())
                .unwrap();
            let protected: serde_json::Value = serde_json::from_slice(&protected).unwrap();
            protected["nonce"].as_str().unwrap().to_owned()
        };
        self.requests.lock().unwrap().iter().map(nonce).collect()
    }
}

async fn serve(mut stream: TcpStream, acts: &[Act], seen: &Mutex<Vec<String>>) {
    while let Some(body) = request(&mut stream).await {
        let at = {
            let mut seen = seen.lock().unwrap();
            seen.push(body);
            (seen.len() - 1).min(acts.len() - 1)
        };
        let Act::Answer(status, headers, body) = acts[at] else {
            return;
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// The body of the next request.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?.into());
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_refused_nonce_is_replaced_by_the_one_that_came_with_it() {
    let server = Server::start(vec![
        Act::Answer("400 Bad Request", "replay-nonce: n1\r\n", BAD_NONCE),
        Act::Answer("201 Created", "replay-nonce: n2\r\nlocation: o\r\n", "{}"),
    ])
    .await;
    let mut session = server.session();
    let answer = server.post(&mut session).await.unwrap();
    assert_eq!(answer.location.as_deref(), Some("o"));
    assert_eq!(server.nonces(), ["n0", "n1"]);
    assert_eq!(session.nonce.as_deref(), Some("n2"));
    assert_eq!(session.trace.bad_nonces, 1);
    assert_eq!(session.trace.connections, 1);
}

#[tokio::test]
async fn nonces_that_are_never_good_fail_the_flow_in_the_end() {
    let bad = Act::Answer("400 Bad Request", "replay-nonce: n\r\n", BAD_NONCE);
    let server = Server::start(vec![bad]).await;
    let failure = server.post(&mut server.session()).await.err().unwrap();
    assert_eq!(failure.kind, "newOrder: badNonce");
    assert_eq!(server.nonces().len(), ATTEMPTS);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says_so() {
    let nonce = "replay-nonce: n1\r\nretry-after: 0\r\n";
    let server = Server::start(vec![
        Act::Answer("503 Service Unavailable", nonce, ""),
        Act::Answer("200 OK", "", "{}"),
    ])
    .await;
    let mut session = server.session();
    assert!(server.post(&mut session).await.is_ok());
    assert_eq!(session.trace.unavailable, 1);
}

#[tokio::test]
async fn a_busy_server_that_names_no_time_is_a_failure() {
    let busy = Act::Answer("503 Service Unavailable", "", "try later");
    let server = Server::start(vec![busy]).await;
    let failure = server.post(&mut server.session()).await.err().unwrap();
    assert_eq!(failure.kind, "newOrder: 503 Service Unavailable");
    assert_eq!(failure.detail, "try later");
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_counts_under_its_problem_type() {
    let rejected = Act::Answer("403 Forbidden", "replay-nonce: n1\r\n", REJECTED);
    let server = Server::start(vec![rejected]).await;
    let failure = server.post(&mut server.session()).await.err().unwrap();
    assert_eq!(failure.kind, "newOrder: rejectedIdentifier");
    assert_eq!(failure.detail, "not ours");
    assert_eq!(server.nonces(), ["n0"]);
}

#[tokio::test]
async fn a_request_is_repeated_over_a_new_connection() {
    // The lost request took its nonce along, so that the second request here asks for another one.
    let nonce = Act::Answer("200 OK", "replay-nonce: n1\r\n", "");
    let server = Server::start(vec![Act::HangUp, nonce, Act::Answer("200 OK", "", "{}")]).await;
    let mut session = server.session();
    assert!(server.post(&mut session).await.is_ok());
    assert_eq!(session.trace.reconnects, 1);
    assert_eq!(session.trace.connections, 2);
}
