//! DNS as validation needs it: what the world sees now.
//!
//! Asks recursive resolvers, caches nothing, and ignores the hosts file and search domains, so that the answer is the
//! one that the applicant's name servers give at this moment.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use certfleet_domain::{DnsName, ProblemKind};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use crate::deadline::Deadline;
use crate::error::{InvalidSettings, ValidationError};

/// The most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// How long a resolver may take to show that it is there at all.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks recursive resolvers.
pub(crate) struct Resolver {
    inner: TokioResolver,
    timeout: Duration,
}

/// Why a lookup gave no records.
#[derive(Debug)]
enum Trouble {
    /// The name does not exist.
    NoSuchName,
    /// The name has no such records.
    NoRecords,
    /// The resolver answered with an error.
    Answered(ResponseCode),
    /// No answer came in time.
    Timeout,
    /// The resolver cannot be reached from here.
    Unreachable(String),
    /// An answer came that cannot be used.
    Garbled(String),
}

impl Resolver {
    /// A resolver that asks these servers, or those of the system if there are none, and gives each lookup this long.
    pub(crate) fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, InvalidSettings> {
        let unusable = |error: NetError| InvalidSettings::Resolvers(error.to_string());
        let servers = if servers.is_empty() {
            read_system_conf().map_err(unusable)?.0.name_servers
        } else {
            servers.iter().copied().map(name_server).collect()
        };
        let config = ResolverConfig::from_name_servers(servers);
        let inner = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options(timeout))
            .build()
            .map_err(unusable)?;
        Ok(Self { inner, timeout })
    }

    /// The addresses of a name, at least one: IPv6 first, the families taking turns.
    pub(crate) async fn addresses(
        &self,
        name: &DnsName,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, ValidationError> {
        let fqdn = fqdn(name.as_str())?;
        let (v6, v4) = tokio::join!(
            self.lookup(&fqdn, RecordType::AAAA, deadline),
            self.lookup(&fqdn, RecordType::A, deadline),
        );
        let (v6, v4) = match (v6, v4) {
            (Ok(v6), Ok(v4)) => (v6, v4),
            (Ok(v6), Err(_)) => (v6, Vec::new()),
            (Err(_), Ok(v4)) => (Vec::new(), v4),
            // That one family is absent says nothing; that the other could not be asked for does.
            (Err(Trouble::NoSuchName | Trouble::NoRecords), Err(trouble)) | (Err(trouble), _) => {
                let what = format!("A and AAAA records of {name}");
                return Err(self.explain(trouble, &what, ProblemKind::Dns).await);
            }
        };
        let of = |records: &[RData]| records.iter().filter_map(RData::ip_addr).collect();
        Ok(taking_turns(of(&v6), of(&v4)))
    }

    /// The values of a name's TXT records, at least one, the character-strings of each joined (RFC 8555 §8.4).
    pub(crate) async fn texts(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Vec<Vec<u8>>, ValidationError> {
        let fqdn = fqdn(name)?;
        match self.lookup(&fqdn, RecordType::TXT, deadline).await {
            Ok(records) => Ok(records
                .iter()
                .filter_map(|record| match record {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                })
                .collect()),
            Err(trouble) => {
                let what = format!("TXT records of {name}");
                Err(self
                    .explain(trouble, &what, ProblemKind::Unauthorized)
                    .await)
            }
        }
    }

    async fn lookup(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Deadline,
    ) -> Result<Vec<RData>, Trouble> {
        let asked = self.inner.lookup(name.clone(), kind);
        let lookup = deadline
            .run_within(self.timeout, asked)
            .await
            .map_err(|_| Trouble::Timeout)?
            .map_err(trouble)?;
        let records = at_the_end_of_the_chain(lookup.answers(), name, kind);
        if records.is_empty() {
            return Err(Trouble::NoRecords);
        }
        Ok(records)
    }

    /// What a trouble means for the validation; `absent` is the kind of problem where the name has no such records.
    async fn explain(&self, trouble: Trouble, what: &str, absent: ProblemKind) -> ValidationError {
        let failed = |kind, why: &str| {
            ValidationError::failed(kind, format!("DNS lookup of the {what}: {why}"))
        };
        match trouble {
            Trouble::NoSuchName => failed(
                ProblemKind::Dns,
                "the name does not exist (NXDOMAIN); check the name, or add the record",
            ),
            Trouble::NoRecords => failed(
                absent,
                "there are none; add one, and wait until all name servers have it",
            ),
            Trouble::Answered(ResponseCode::ServFail) => failed(
                ProblemKind::Dns,
                "the answer was SERVFAIL; check that the domain's name servers answer, and DNSSEC if it is signed",
            ),
            Trouble::Answered(code) => failed(
                ProblemKind::Dns,
                &format!("the answer was an error: {code}; check the domain's name servers"),
            ),
            Trouble::Garbled(why) => failed(
                ProblemKind::Dns,
                &format!("the answer cannot be used: {why}; check the domain's name servers"),
            ),
            Trouble::Timeout if self.is_alive().await => failed(
                ProblemKind::Dns,
                "no answer in time; check that the domain's name servers answer",
            ),
            Trouble::Timeout => ValidationError::Retry {
                why: "the DNS resolvers do not answer".to_owned(),
            },
            Trouble::Unreachable(why) => ValidationError::Retry {
                why: format!("the DNS resolvers cannot be reached: {why}"),
            },
        }
    }

    /// Whether a resolver answers anything: every one knows the root's name servers, or says at once that it refuses.
    ///
    /// Has a short limit of its own, since it is asked when a validation's time may be over.
    async fn is_alive(&self) -> bool {
        let asked = self.inner.lookup(Name::root(), RecordType::NS);
        match Deadline::after(ALIVE_TIMEOUT).run(asked).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !matches!(trouble(error), Trouble::Timeout | Trouble::Unreachable(_)),
            Err(_) => false,
        }
    }
}

fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    options.attempts = 1;
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.use_hosts_file = ResolveHosts::Never;
    options.case_randomization = true;
    // A worker validates many names at once over few connections.
    options.max_active_requests = 4096;
    options
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn fqdn(name: &str) -> Result<Name, ValidationError> {
    Name::from_ascii(format!("{name}.")).map_err(|error| {
        let detail = format!("{name} cannot be looked up in DNS: {error}");
        ValidationError::failed(ProblemKind::Dns, detail)
    })
}

fn trouble(error: NetError) -> Trouble {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Trouble::NoSuchName,
            _ => Trouble::NoRecords,
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Trouble::Answered(code),
        NetError::Timeout => Trouble::Timeout,
        NetError::Io(_) | NetError::NoConnections | NetError::Busy => {
            Trouble::Unreachable(error.to_string())
        }
        other => Trouble::Garbled(other.to_string()),
    }
}

/// The records of this kind that the name has, or the name that its CNAMEs lead to.
fn at_the_end_of_the_chain(answers: &[Record], name: &Name, kind: RecordType) -> Vec<RData> {
    let mut owner = name;
    // A chain is no longer than the answer, a loop of CNAMEs notwithstanding.
    for _ in answers {
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *owner => Some(&target.0),
            _ => None,
        });
        match next {
            Some(target) => owner = target,
            None => break,
        }
    }
    answers
        .iter()
        .filter(|record| record.name == *owner && record.record_type() == kind)
        .map(|record| record.data.clone())
        .collect()
}

/// One of the first, one of the second, and so on: with a few tries, each family gets one.
fn taking_turns(first: Vec<IpAddr>, second: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut addresses: Vec<IpAddr> = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] || addresses.len() >= MAX_ADDRESSES {
            return addresses;
        }
        for address in pair.into_iter().flatten() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
