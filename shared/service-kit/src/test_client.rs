//! For tests: a server on a free port of loopback, and a client that sees every byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::listener::bind;
use crate::serve::Server;

pub(crate) fn free_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A server that is running.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<usize>,
}

impl Running {
    pub(crate) fn plain(router: Router) -> Self {
        let listener = bind(free_port(), false).unwrap();
        Self::start(listener, router, None, Duration::from_secs(20))
    }

    pub(crate) fn start(
        listener: TcpListener,
        router: Router,
        tls: Option<Arc<ServerConfig>>,
        drain: Duration,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = Server {
            listener,
            router,
            tls,
            drain,
        };
        let ended = tokio::spawn(server.run(shutdown.clone()));
        Self {
            address,
            shutdown,
            ended,
        }
    }
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(": ").map(str::len);
        let found = self.head.lines().find(|text| line(text).is_some())?;
        Some(&found[name.len() + 2..])
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One HTTP/1.1 connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Asks for a path, with further header lines.
    pub(crate) async fn ask(&mut self, path: &str, headers: &[&str]) {
        let lines = [&["host: test"], headers].concat().join("\r\n");
        self.send(&format!("GET {path} HTTP/1.1\r\n{lines}\r\n\r\n"))
            .await;
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.0.read_u8().await.expect("the head of an answer"));
        }
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let mut answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(path, &[]).await;
        self.answer().await
    }

    /// Waits until the server closes the connection; what it still sent.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a close as well.
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    Client::connect(address).await.get(path).await
}
