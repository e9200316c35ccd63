//! A server that meets ACME challenges: DNS, HTTP-01 and TLS-ALPN-01 on loopback, told what to answer at run time.
//!
//! By methods, or by HTTP with the JSON of `pebble-challtestsrv`, so that hooks of stock clients can use `curl`.

mod answers;
mod dns;
mod http01;
mod management;
mod tls_alpn01;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use answers::Answers;
pub use answers::Query;

/// The ports to listen on, on 127.0.0.1; 0 is any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// DNS, over UDP and TCP.
    pub dns: u16,
    /// HTTP-01.
    pub http01: u16,
    /// TLS-ALPN-01.
    pub tls_alpn01: u16,
    /// The JSON API.
    pub management: u16,
}

/// A running challenge server. It ends when it is dropped, or with the runtime it was started in.
///
/// Names are compared without regard to case and a final dot. A name without records has the default address,
/// 127.0.0.1, until told otherwise.
#[derive(Debug)]
pub struct ChallengeServer {
    answers: Arc<Answers>,
    dns: SocketAddr,
    http01: SocketAddr,
    tls_alpn01: SocketAddr,
    management: SocketAddr,
    tasks: JoinSet<()>,
}

impl ChallengeServer {
    /// Starts on any free ports.
    pub async fn start() -> Self {
        Self::start_on(Ports::default()).await
    }

    /// Starts on these ports.
    pub async fn start_on(ports: Ports) -> Self {
        let answers = Arc::new(Answers::default());
        let (udp, tcp) = dns_sockets(ports.dns).await;
        let http01 = listen(ports.http01).await;
        let tls_alpn01 = listen(ports.tls_alpn01).await;
        let management = listen(ports.management).await;
        let mut server = Self {
            dns: tcp.local_addr().unwrap(),
            http01: http01.local_addr().unwrap(),
            tls_alpn01: tls_alpn01.local_addr().unwrap(),
            management: management.local_addr().unwrap(),
            answers: Arc::clone(&answers),
            tasks: JoinSet::new(),
        };
        let tasks = &mut server.tasks;
        tasks.spawn(dns::serve_udp(udp, Arc::clone(&answers)));
        tasks.spawn(dns::serve_tcp(tcp, Arc::clone(&answers)));
        tasks.spawn(http01::serve(http01, Arc::clone(&answers)));
        tasks.spawn(tls_alpn01::serve(tls_alpn01, Arc::clone(&answers)));
        tasks.spawn(management::serve(management, answers));
        server
    }

    /// Where DNS is answered, over UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where HTTP-01 is answered.
    pub fn http01(&self) -> SocketAddr {
        self.http01
    }

    /// Where TLS-ALPN-01 is answered.
    pub fn tls_alpn01(&self) -> SocketAddr {
        self.tls_alpn01
    }

    /// The base URL of the JSON API, for hooks: `http://127.0.0.1:8055`.
    pub fn management(&self) -> String {
        format!("http://{}", self.management)
    }

    /// Adds a TXT record.
    pub fn add_txt(&self, host: &str, value: &str) {
        self.answers
            .change(host, |name| name.txt.push(value.to_owned()));
    }

    /// Removes all TXT records of the name.
    pub fn clear_txt(&self, host: &str) {
        self.answers.change(host, |name| name.txt.clear());
    }

    /// Adds an A or AAAA record.
    pub fn add_address(&self, host: &str, address: IpAddr) {
        self.answers
            .change(host, |name| name.addresses.push(address));
    }

    /// Sets the address of names that have none; none, and they do not exist.
    pub fn set_default_ipv4(&self, address: Option<Ipv4Addr>) {
        self.answers.set_default_ipv4(address);
    }

    /// Makes the name an alias.
    pub fn set_cname(&self, host: &str, target: &str) {
        self.answers
            .change(host, |name| name.cname = Some(answers::canonical(target)));
    }

    /// Adds a CAA record (RFC 8659): `issue`, `ca.example`.
    pub fn add_caa(&self, host: &str, tag: &str, value: &str) {
        self.answers.change(host, |name| {
            name.caa.push((tag.to_owned(), value.to_owned()));
        });
    }

    /// Makes queries for the name fail with SERVFAIL, or no more.
    pub fn set_servfail(&self, host: &str, fail: bool) {
        self.answers.change(host, |name| name.servfail = fail);
    }

    /// Makes queries for the name wait.
    pub fn set_delay(&self, host: &str, delay: Duration) {
        self.answers.change(host, |name| name.delay = delay);
    }

    /// Publishes a key authorization for HTTP-01, under every host name.
    pub fn add_http01(&self, token: &str, key_authorization: &str) {
        self.answers.add_http01(token, key_authorization);
    }

    /// Withdraws it.
    pub fn remove_http01(&self, token: &str) {
        self.answers.remove_http01(token);
    }

    /// Answers the path with a redirect (302).
    pub fn add_redirect(&self, path: &str, target: &str) {
        self.answers.add_redirect(path, target);
    }

    /// Publishes a key authorization for TLS-ALPN-01, for a name or an address.
    pub fn add_tls_alpn01(&self, host: &str, key_authorization: &str) {
        self.answers.add_tls_alpn01(host, key_authorization);
    }

    /// The DNS queries so far, the oldest first.
    pub fn dns_queries(&self) -> Vec<Query> {
        self.answers.queries()
    }

    /// The HTTP-01 requests so far, as `host path`, the oldest first.
    pub fn http_requests(&self) -> Vec<String> {
        self.answers.requests()
    }
}

async fn listen(port: u16) -> TcpListener {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) => panic!("the challenge server cannot listen on port {port}: {error}"),
    }
}

/// TCP and UDP on the same port. A port that is free for one may be taken for the other.
async fn dns_sockets(port: u16) -> (UdpSocket, TcpListener) {
    const ATTEMPTS: usize = 20;
    for _ in 0..ATTEMPTS {
        let tcp = listen(port).await;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("the challenge server finds no port for DNS (asked for {port}, 0 is any)");
}
