//! What the operator decides about validation.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

/// What the operator decides about validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationSettings {
    /// Networks that may be connected to although they are not global unicast, such as `10.0.0.0/8`.
    ///
    /// Addresses of cloud metadata services have to be listed one by one, as `/32` or `/128`; no wider network covers
    /// them. See [`crate::AddressPolicy`].
    pub allowed_networks: Vec<IpNet>,
    /// The port that http-01 starts at. RFC 8555 §8.3 has 80.
    pub http_port: u16,
    /// The port of `https` redirects that name none.
    pub https_port: u16,
    /// The port of tls-alpn-01. RFC 8737 §3 has 443.
    pub tls_alpn_port: u16,
    /// The recursive resolvers to ask. Empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// How long one DNS lookup may take.
    pub dns_timeout: Duration,
    /// How long one TCP connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a whole validation may take.
    pub total_timeout: Duration,
    /// What http-01 calls itself.
    pub user_agent: String,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            http_port: 80,
            https_port: 443,
            tls_alpn_port: 443,
            resolvers: Vec::new(),
            dns_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            user_agent: concat!(
                "certfleet/",
                env!("CARGO_PKG_VERSION"),
                " (ACME validation)"
            )
            .to_owned(),
        }
    }
}
