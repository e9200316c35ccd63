//! `adapter`: how Kubernetes is told how much work waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use super::section::Section;
use super::text::text;
use super::urls::ExternalUrl;

/// How Kubernetes is told how much work waits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adapter {
    /// Where its API server asks, over TLS.
    #[serde(deserialize_with = "text")]
    pub listen: SocketAddr,
    /// The chain, PEM, the server's own certificate first; read again when it changes.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The cluster's own API server.
    pub kubernetes_url: ExternalUrl,
    /// The roots of its certificate, PEM.
    pub kubernetes_ca_file: PathBuf,
    /// The token of this program's service account; read for each call.
    pub kubernetes_token_file: PathBuf,
}

impl Default for Adapter {
    fn default() -> Self {
        let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 6443).into(),
            certificate: "/etc/certfleet/adapter/tls.crt".into(),
            key: "/etc/certfleet/adapter/tls.key".into(),
            kubernetes_url: ExternalUrl::kubernetes(),
            kubernetes_ca_file: account.join("ca.crt"),
            kubernetes_token_file: account.join("token"),
        }
    }
}

impl Section for Adapter {
    const NAME: &'static str = "adapter";
}
