//! Whom the cluster's API server says to believe, and how one shows oneself.
//!
//! Kubernetes keeps that in the `ConfigMap` `extension-apiserver-authentication` of `kube-system`: the authority of the front
//! proxy, which says in headers for whom it asks; the names it may have; and the authority of clients that come by
//! themselves.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::kubernetes::AuthenticationConfig;

/// Somebody who asks, as Kubernetes names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user's name.
    pub name: String,
    /// The user's groups.
    pub groups: Vec<String>,
}

/// The group of all whose name is known.
const AUTHENTICATED: &str = "system:authenticated";

impl Caller {
    /// One whose name is known, by whatever way. The API server's own users come with no group.
    pub fn known(name: String, mut groups: Vec<String>) -> Self {
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name, groups }
    }
}

/// Why there is nobody to believe.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// What is said is not what is due.
    #[error("extension-apiserver-authentication: {0}")]
    Config(String),
}

/// Whom to believe.
#[derive(Debug)]
pub struct Trusted {
    front_proxy: Arc<dyn ClientCertVerifier>,
    /// Whom the front proxy's certificate may be for; whomever, if there is none.
    allowed_names: Vec<String>,
    user_headers: Vec<HeaderName>,
    group_headers: Vec<HeaderName>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Trusted {
    /// As the cluster's API server says.
    pub fn read(config: &AuthenticationConfig) -> Result<Self, TrustError> {
        let Some(front_proxy) = &config.requestheader_client_ca_file else {
            return Err(TrustError::Config(
                "requestheader-client-ca-file is missing: the API server has no front proxy \
                 (--requestheader-client-ca-file)"
                    .to_owned(),
            ));
        };
        let user_headers = headers(config.requestheader_username_headers.as_ref())?;
        if user_headers.is_empty() {
            return Err(TrustError::Config(
                "requestheader-username-headers names no header".to_owned(),
            ));
        }
        let clients = config.client_ca_file.as_deref();
        Ok(Self {
            front_proxy: verifier("requestheader-client-ca-file", front_proxy)?,
            allowed_names: list(config.requestheader_allowed_names.as_ref())?,
            user_headers,
            group_headers: headers(config.requestheader_group_headers.as_ref())?,
            clients: clients
                .map(|roots| verifier("client-ca-file", roots))
                .transpose()?,
        })
    }

    /// Whether anybody whom one may believe has vouched for this chain, the client's own certificate first.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        let by_front_proxy = verify(self.front_proxy.as_ref(), chain, now);
        match (&by_front_proxy, &self.clients) {
            (Err(_), Some(clients)) => verify(clients.as_ref(), chain, now),
            _ => by_front_proxy,
        }
    }

    /// Who asks, with this certificate and these headers.
    pub fn caller(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<Caller, String> {
        let (name, organizations) = subject(chain)?;
        if verify(self.front_proxy.as_ref(), chain, now).is_ok() {
            if !self.allowed_names.is_empty() && !self.allowed_names.contains(&name) {
                return Err(format!(
                    "{name:?} is none of the names that the front proxy may have"
                ));
            }
            return self.named_by(headers);
        }
        let clients = self.clients.as_deref().ok_or("nobody vouches for it")?;
        verify(clients, chain, now).map_err(|why| why.to_string())?;
        if name.is_empty() {
            return Err("the client's certificate has no common name".to_owned());
        }
        Ok(Caller::known(name, organizations))
    }

    /// For whom the front proxy asks.
    fn named_by(&self, headers: &HeaderMap) -> Result<Caller, String> {
        let values = |names: &[HeaderName]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name));
            values
                .filter_map(|value| value.to_str().ok())
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let name = values(&self.user_headers).into_iter().next();
        let name = name.ok_or("the front proxy does not say for whom it asks")?;
        Ok(Caller::known(name, values(&self.group_headers)))
    }
}

fn verify(
    by: &dyn ClientCertVerifier,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let none = || rustls::Error::General("there is no certificate".to_owned());
    let (own, others) = chain.split_first().ok_or_else(none)?;
    by.verify_client_cert(own, others, now).map(|_| ())
}

fn verifier(what: &str, pem: &str) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let wrong = |why: String| TrustError::Config(format!("{what}: {why}"));
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let root = root.map_err(|why| wrong(why.to_string()))?;
        roots.add(root).map_err(|why| wrong(why.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|why| wrong(why.to_string()))
}

/// Common name and organizations, which are Kubernetes' user and groups.
fn subject(chain: &[CertificateDer<'_>]) -> Result<(String, Vec<String>), String> {
    let own = chain.first().ok_or("there is no certificate")?;
    let (_, own) = X509Certificate::from_der(own).map_err(|why| why.to_string())?;
    let subject = own.subject();
    let name = subject.iter_common_name().next();
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().ok().map(str::to_owned)
    };
    let name = name.and_then(text).unwrap_or_default();
    Ok((name, subject.iter_organization().filter_map(text).collect()))
}

/// A list, as JSON; without it, an empty one.
fn list(json: Option<&String>) -> Result<Vec<String>, TrustError> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    serde_json::from_str(json).map_err(|why| TrustError::Config(format!("{json:?}: {why}")))
}

fn headers(json: Option<&String>) -> Result<Vec<HeaderName>, TrustError> {
    let name = |name: String| {
        HeaderName::try_from(&name)
            .map_err(|_| TrustError::Config(format!("{name:?} is no name of a header")))
    };
    list(json)?.into_iter().map(name).collect()
}
