//! The ports that the outside sees: the API's, and those where challenges are looked for.
//!
//! The certificate that the start ends with has to be validated like any other, so one of the two challenge ports has
//! to be this program's until then. It is taken here, before anything is started, and held.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use certfleet_supervisor::{pick_free_ports, require_free};
use tokio::net::TcpListener;

use super::args::{PORT, UpArgs};
use crate::failure::Failure;

const HTTP: u16 = 80;
const TLS_ALPN: u16 = 443;

/// The ports that the outside sees.
pub struct Ports {
    /// The API's address.
    pub api: SocketAddr,
    /// Where relying parties ask about revoked certificates.
    pub revocation: SocketAddr,
    /// Where hosts' agents are heard.
    pub agents: SocketAddr,
    /// Where http-01 challenges are looked for.
    pub http01: u16,
    /// Where tls-alpn-01 challenges are looked for.
    pub tls_alpn: u16,
    /// What this program answers its own challenge on.
    pub answer: Answer,
    /// What is to be said of the choice.
    pub note: Option<String>,
}

/// A port to answer a challenge on, held.
pub enum Answer {
    /// http-01.
    Http01(TcpListener),
    /// tls-alpn-01.
    TlsAlpn01(TcpListener),
}

impl Ports {
    /// Checks and takes them. A port that was asked for is never replaced by another.
    pub async fn take(args: &UpArgs) -> Result<Self, Failure> {
        let api = loopback(args.port);
        require_free(api, "the API")?;
        // Held until the others are chosen.
        let (revocation, _held) =
            beside(args, args.revocation_port, args.port, "relying parties").await?;
        let (agents, _held_too) =
            beside(args, args.agents_port, revocation.port(), "agents").await?;
        // Where the API itself answers, for the fleet, this program cannot.
        let http01 = if args.fleet {
            Choice {
                port: revocation.port(),
                listener: None,
            }
        } else {
            Choice::make(args.http01_port, HTTP).await?
        };
        if let Some(listener) = http01.listener {
            let tls_alpn = match args.tls_alpn_port {
                Some(port) => port,
                None => Choice::make(None, TLS_ALPN).await?.port,
            };
            return Ok(Self {
                api,
                revocation,
                agents,
                http01: http01.port,
                tls_alpn,
                answer: Answer::Http01(listener),
                note: note("http-01", http01.port, HTTP, args.http01_port),
            });
        }
        // Somebody answers http-01 challenges there already: a client, or a test.
        let tls_alpn = Choice::make(args.tls_alpn_port, TLS_ALPN).await?;
        let Some(listener) = tls_alpn.listener else {
            require_free(loopback(http01.port), "the http-01 challenge of this start")?;
            return Err(Failure::new(
                "the ports for challenges come and go: start again",
            ));
        };
        Ok(Self {
            api,
            revocation,
            agents,
            http01: http01.port,
            tls_alpn: tls_alpn.port,
            answer: Answer::TlsAlpn01(listener),
            note: note("tls-alpn-01", tls_alpn.port, TLS_ALPN, args.tls_alpn_port),
        })
    }
}

/// The port that is asked for, or the one after `before`, if it is free; it is the API's to listen at.
async fn beside(
    args: &UpArgs,
    asked: Option<u16>,
    before: u16,
    whose: &'static str,
) -> Result<(SocketAddr, Option<TcpListener>), Failure> {
    if let Some(port) = asked {
        require_free(loopback(port), whose)?;
        return Ok((loopback(port), None));
    }
    let next = before.checked_add(1).unwrap_or(PORT + 1);
    let resolvers = args.resolver.iter().map(|resolver| resolver.0.port());
    let others = [
        Some(args.port),
        args.revocation_port,
        args.agents_port,
        args.http01_port,
        args.tls_alpn_port,
    ];
    let others = others.into_iter().flatten();
    let wished = if others.chain(resolvers).any(|other| other == next) {
        free_port()?
    } else {
        next
    };
    let choice = Choice::make(None, wished).await?;
    Ok((loopback(choice.port), choice.listener))
}

fn note(kind: &str, port: u16, standard: u16, asked: Option<u16>) -> Option<String> {
    let other = asked.is_none() && port != standard;
    other.then(|| {
        format!(
            "port {standard} cannot be listened at by this user: {kind} challenges are looked for on port {port}"
        )
    })
}

/// A port for challenges, and the hold on it.
struct Choice {
    port: u16,
    /// `None` if the port was asked for and is not to be had.
    listener: Option<TcpListener>,
}

impl Choice {
    async fn make(asked: Option<u16>, standard: u16) -> Result<Self, Failure> {
        if let Some(port) = asked {
            let listener = listen(port).await.ok();
            return Ok(Self { port, listener });
        }
        let mut port = standard;
        loop {
            match listen(port).await {
                Ok(listener) => {
                    let listener = Some(listener);
                    return Ok(Self { port, listener });
                }
                Err(_) => port = free_port()?,
            }
        }
    }
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(loopback(port)).await
}

/// A free port on 127.0.0.1.
pub fn free_port() -> Result<u16, Failure> {
    let picked = pick_free_ports(1)?;
    picked
        .first()
        .copied()
        .ok_or_else(|| Failure::new("no free port found on 127.0.0.1"))
}

/// An address on this machine only.
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        up: UpArgs,
    }

    async fn taken() -> (TcpListener, u16) {
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn take(port: u16, http01: u16, tls_alpn: u16) -> Result<Ports, String> {
        let line = format!("up --port {port} --http01-port {http01} --tls-alpn-port {tls_alpn}");
        let args = Line::parse_from(line.split(' ')).up;
        Ports::take(&args).await.map_err(|failure| match failure {
            Failure::Failed(error) => error.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[tokio::test]
    async fn the_challenge_is_answered_where_it_can_be() {
        let free = || free_port().unwrap();
        let ports = take(free(), free(), free()).await.unwrap();
        assert!(matches!(ports.answer, Answer::Http01(_)));
        let (_others, port) = taken().await;
        let ports = take(free(), port, free()).await.unwrap();
        assert_eq!(ports.http01, port);
        assert!(matches!(ports.answer, Answer::TlsAlpn01(_)));
        let refused = take(free(), port, port).await.err().unwrap();
        assert!(
            refused.contains("http-01") && refused.contains(&port.to_string()),
            "{refused}"
        );
        // The port after the API's is a client's.
        let api = free_port().unwrap();
        let ports = take(api, api + 1, free()).await.unwrap();
        assert_ne!(ports.revocation.port(), api + 1);
        let refused = take(port, free(), free()).await.err().unwrap();
        assert!(refused.contains("the API"), "{refused}");
    }

    #[tokio::test]
    async fn a_cluster_with_a_fleet_answers_challenges_itself() {
        let (port, tls_alpn) = (free_port().unwrap(), free_port().unwrap());
        let line = format!("up --port {port} --fleet --tls-alpn-port {tls_alpn}");
        let args = Line::parse_from(line.split(' ')).up;
        let Ok(ports) = Ports::take(&args).await else {
            panic!("there are ports");
        };
        assert_eq!(ports.http01, ports.revocation.port());
        assert!(matches!(ports.answer, Answer::TlsAlpn01(_)));
        assert_ne!(ports.agents.port(), ports.revocation.port());
    }

    #[tokio::test]
    async fn a_standard_port_that_is_taken_is_replaced_by_a_free_one() {
        let (_others, standard) = taken().await;
        let choice = Choice::make(None, standard).await.unwrap();
        assert_ne!(choice.port, standard);
        assert!(choice.listener.is_some());
        assert!(note("http-01", choice.port, standard, None).is_some());
        assert!(note("http-01", standard, standard, None).is_none());
    }
}
