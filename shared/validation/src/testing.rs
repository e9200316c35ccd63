//! Real servers on loopback for the tests: a DNS responder, HTTP servers that answer as they are told, TLS servers.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certfleet_domain::{ChallengeKind, Identifier, Problem, ProblemKind, Token};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rand::RngCore;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use crate::{Attempt, Evidence, ValidationError, ValidationSettings, Validator};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const KEY_AUTHORIZATION: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
pub(crate) const PATH: &str =
    "/.well-known/acme-challenge/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the DNS responder does with a query.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Records(Vec<RData>),
    Code(ResponseCode),
    Silence,
}

type Zone = Arc<Mutex<HashMap<(String, RecordType), VecDeque<Reply>>>>;

/// A DNS responder on loopback, over UDP and TCP. Names that it does not have do not exist.
#[derive(Clone)]
pub(crate) struct Dns {
    zone: Zone,
    pub(crate) address: SocketAddr,
}

impl Dns {
    pub(crate) async fn start() -> Self {
        // The TCP listener gets a free port; that of UDP is nearly always free too.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let zone = Zone::default();
        let dns = Self { zone, address };
        tokio::spawn(dns.clone().serve_udp(udp));
        tokio::spawn(dns.clone().serve_tcp(tcp));
        dns
    }

    /// The answers to a query, one after the other; the last one stays.
    pub(crate) fn answers(&self, name: &str, kind: RecordType, replies: Vec<Reply>) -> &Self {
        let mut zone = self.zone.lock().unwrap();
        zone.insert((name.to_owned(), kind), replies.into());
        drop(zone);
        self
    }

    pub(crate) fn address(&self, name: &str, address: IpAddr) -> &Self {
        let kind = if address.is_ipv4() {
            RecordType::A
        } else {
            RecordType::AAAA
        };
        self.answers(name, kind, vec![Reply::Records(vec![address.into()])])
    }

    pub(crate) fn cname(&self, name: &str, target: &str) -> &Self {
        let target = Name::from_ascii(format!("{target}.")).unwrap();
        let reply = Reply::Records(vec![RData::CNAME(CNAME(target))]);
        self.answers(name, RecordType::CNAME, vec![reply])
    }

    pub(crate) fn texts(&self, name: &str, texts: &[&[&str]]) -> &Self {
        let record = |strings: &&[&str]| {
            RData::TXT(TXT::new(strings.iter().map(ToString::to_string).collect()))
        };
        let reply = Reply::Records(texts.iter().map(record).collect());
        self.answers(name, RecordType::TXT, vec![reply])
    }

    fn reply(&self, name: &str, kind: RecordType) -> Reply {
        let mut zone = self.zone.lock().unwrap();
        let exists = zone.keys().any(|(owner, _)| owner == name);
        for kind in [kind, RecordType::CNAME] {
            if let Some(replies) = zone.get_mut(&(name.to_owned(), kind)) {
                if replies.len() > 1 {
                    return replies.pop_front().unwrap();
                }
                return replies.front().unwrap().clone();
            }
        }
        if exists {
            Reply::Records(Vec::new())
        } else {
            Reply::Code(ResponseCode::NXDomain)
        }
    }

    fn answer(&self, query: &[u8], limit: usize) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).unwrap();
        let question = query.queries[0].clone();
        let name = question.name().to_ascii().to_lowercase();
        let mut response = Message::response(query.metadata.id, query.metadata.op_code);
        response.add_query(question.clone());
        match self.reply(name.trim_end_matches('.'), question.query_type()) {
            Reply::Silence => return None,
            Reply::Code(code) => response.metadata.response_code = code,
            Reply::Records(records) => {
                let record = |data| Record::from_rdata(question.name().clone(), 3600, data);
                response.add_answers(records.into_iter().map(record));
            }
        }
        let bytes = response.to_vec().unwrap();
        if bytes.len() <= limit {
            return Some(bytes);
        }
        Some(response.truncate().to_vec().unwrap())
    }

    async fn serve_udp(self, socket: UdpSocket) {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            if let Some(answer) = self.answer(&buffer[..length], 1232) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    }

    async fn serve_tcp(self, listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let dns = self.clone();
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    stream.read_exact(&mut query).await.unwrap();
                    if let Some(answer) = dns.answer(&query, usize::MAX) {
                        let length = u16::try_from(answer.len()).unwrap();
                        stream.write_u16(length).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                }
            });
        }
    }
}

/// What an HTTP server does once it has read a request.
pub(crate) enum Act {
    /// Sends this and closes.
    Say(Vec<u8>),
    /// Sends this and then nothing, for ever.
    Hang(Vec<u8>),
    /// Sends the first once and the second over and over.
    Repeat(Vec<u8>, Vec<u8>),
}

impl Act {
    pub(crate) fn status(line: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\n{headers}\r\n");
        Self::Say((head + body).into_bytes())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::status("200 OK", "", body)
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::status("302 Found", &format!("Location: {location}\r\n"), "")
    }
}

/// An HTTP server on loopback, and the heads of the requests it got.
pub(crate) struct Web {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) async fn start(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::run(None, act).await
    }

    pub(crate) async fn start_tls(
        config: ServerConfig,
        act: impl Fn(&str) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(TlsAcceptor::from(Arc::new(config))), act).await
    }

    async fn run(
        tls: Option<TlsAcceptor>,
        act: impl Fn(&str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let act = Arc::new(act);
        let log = requests.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, act, log) = (tls.clone(), act.clone(), log.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &*act, &log).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, &*act, &log).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { port, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A server that says this to whoever connects, listens once, and hangs up. Its port.
pub(crate) async fn speaks(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(bytes).await;
            // What the client says is read, so that the end is a close and no reset.
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    port
}

/// One request and what is done with it. Ends early where the client goes away.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    act: &(impl Fn(&str) -> Act + ?Sized),
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let next = act(&head);
    log.lock().unwrap().push(head);
    match next {
        Act::Say(bytes) => stream.write_all(&bytes).await.ok()?,
        Act::Hang(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            // Until the client closes.
            stream.read_u8().await.ok()?;
        }
        Act::Repeat(once, again) => {
            stream.write_all(&once).await.ok()?;
            loop {
                stream.write_all(&again).await.ok()?;
            }
        }
    }
    stream.shutdown().await.ok()
}

/// The digest that tls-alpn-01 asks for.
pub(crate) fn acme_digest() -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, KEY_AUTHORIZATION.as_bytes())
        .as_ref()
        .to_vec()
}

/// A self-signed certificate for these names with these extensions, and its key.
pub(crate) fn self_signed(
    names: &[&str],
    extensions: Vec<CustomExtension>,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.custom_extensions = extensions;
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (
        certificate.der().clone(),
        PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    )
}

/// A TLS server's settings: this certificate, these protocols, TLS 1.2 or 1.3.
pub(crate) fn tls_config(
    certificate: CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
    alpn: &[&[u8]],
    version: &'static rustls::SupportedProtocolVersion,
) -> ServerConfig {
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).unwrap();
    let shown = Shown {
        server_name: None,
        key: Arc::new(CertifiedKey::new(vec![certificate], signer)),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// The certificate that a server shows, to all or to those who ask for this name. Unlike rustls's own ways it takes
/// certificates with unknown critical extensions, and keys that do not belong to them.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) server_name: Option<&'static str>,
    pub(crate) key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let meant = self.server_name.is_none() || self.server_name == hello.server_name();
        meant.then(|| self.key.clone())
    }
}

/// Settings that ask this responder and allow loopback's own address.
pub(crate) fn settings(dns: &Dns) -> ValidationSettings {
    ValidationSettings {
        allowed_networks: vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()],
        resolvers: vec![dns.address],
        ..ValidationSettings::default()
    }
}

/// Settings under which a stuck server is given up on soon.
pub(crate) fn impatient(settings: ValidationSettings) -> ValidationSettings {
    ValidationSettings {
        total_timeout: Duration::from_millis(500),
        ..settings
    }
}

/// Chance that always comes out the same: tokens are [`PATH`]'s.
struct Zeros;

impl RngCore for Zeros {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

pub(crate) fn attempt(kind: ChallengeKind, identifier: &str) -> Attempt {
    let identifier = Identifier::ip(identifier)
        .or_else(|_| Identifier::dns(identifier))
        .unwrap();
    Attempt {
        identifier,
        kind,
        token: Token::generate(&mut Zeros),
        key_authorization: KEY_AUTHORIZATION.to_owned(),
    }
}

pub(crate) async fn validate(
    settings: ValidationSettings,
    attempt: &Attempt,
) -> Result<Evidence, ValidationError> {
    Validator::new(settings).unwrap().validate(attempt).await
}

/// The problem of a validation that has to fail with this kind.
pub(crate) fn problem(result: Result<Evidence, ValidationError>, kind: ProblemKind) -> Problem {
    match result {
        Err(ValidationError::Failed(problem)) if problem.kind == kind => problem,
        other => panic!("{kind:?} was due, not {other:?}"),
    }
}

/// Fails unless the text has each of these parts.
#[track_caller]
pub(crate) fn assert_says(problem: &Problem, parts: &[&str]) {
    for part in parts {
        assert!(
            problem.detail.contains(part),
            "{part:?} is not in {:?}",
            problem.detail
        );
    }
}
