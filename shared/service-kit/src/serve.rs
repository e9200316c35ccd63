//! Serves a router until it is told to stop, and stops without failing a request.
//!
//! On shutdown:
//! 1. What waits in the listener's queue is accepted before the listener is closed. With several
//!    processes at one address, closing it would reset those connections, though another process is
//!    there for the next.
//! 2. For a moment every connection goes on as before, and each HTTP/1.1 answer says
//!    `Connection: close`. So a request that was on its way to an idle connection is answered, and not
//!    met by a close.
//! 3. Then idle connections are closed, and HTTP/2 clients are told to go (GOAWAY). Requests that run
//!    go on running.
//! 4. What is left when the drain time ends is cut off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Stop};

/// How long to wait when the process has no file descriptors left.
const BREATH: Duration = Duration::from_millis(50);

/// How long connections go on as before once the shutdown has begun; less if the drain is short.
const LINGER: Duration = Duration::from_secs(1);

/// A router and how it is served.
pub struct Server {
    /// Where.
    pub listener: TcpListener,
    /// What.
    pub router: Router,
    /// With TLS, or plain.
    pub tls: Option<Arc<ServerConfig>>,
    /// How long requests may go on after the shutdown began.
    pub drain: Duration,
}

impl Server {
    /// Serves until `shutdown` is cancelled, then drains. Returns the number of connections that were
    /// cut off in the end.
    ///
    /// Handlers find the peer's address in `ConnectInfo<SocketAddr>`.
    pub async fn run(self, shutdown: CancellationToken) -> usize {
        let stop = Stop {
            shutdown: shutdown.clone(),
            cut: CancellationToken::new(),
            linger: LINGER.min(self.drain / 2),
        };
        let connections = TaskTracker::new();
        let acceptor = self.tls.map(TlsAcceptor::from);
        let welcome = |stream, peer| {
            let connection = Connection {
                peer,
                router: self.router.clone(),
                stop: stop.clone(),
            };
            let acceptor = acceptor.clone();
            connections.spawn(connection.serve(stream, acceptor));
        };
        accept(&self.listener, &shutdown, &welcome).await;
        if let Err(error) = empty(self.listener, &welcome) {
            tracing::warn!(%error, "connections in the queue may be lost");
        }
        connections.close();
        if tokio::time::timeout(self.drain, connections.wait())
            .await
            .is_ok()
        {
            return 0;
        }
        let left = connections.len();
        tracing::warn!(connections = left, "cut off after {:?}", self.drain);
        stop.cut.cancel();
        connections.wait().await;
        left
    }
}

async fn accept(
    listener: &TcpListener,
    shutdown: &CancellationToken,
    welcome: &impl Fn(TcpStream, SocketAddr),
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => welcome(stream, peer),
            // The client went away again while it was in the queue.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Accepts what is in the queue, and closes the listener.
fn empty(listener: TcpListener, welcome: &impl Fn(TcpStream, SocketAddr)) -> io::Result<()> {
    // Asked of the socket itself: the runtime may not have heard of the last connections yet.
    let listener = listener.into_std()?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                welcome(TcpStream::from_std(stream)?, peer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
