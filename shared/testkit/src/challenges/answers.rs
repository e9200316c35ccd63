//! What is answered, and what was asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A DNS query that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The name, in lower case and without the final dot.
    pub name: String,
    /// The type: `TXT`.
    pub kind: String,
}

/// What is known of a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Name {
    pub(super) txt: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) caa: Vec<(String, String)>,
    pub(super) cname: Option<String>,
    pub(super) servfail: bool,
    pub(super) delay: Duration,
}

#[derive(Debug)]
struct State {
    names: HashMap<String, Name>,
    default_ipv4: Option<Ipv4Addr>,
    http01: HashMap<String, String>,
    redirects: HashMap<String, String>,
    tls_alpn01: HashMap<String, String>,
    queries: Vec<Query>,
    requests: Vec<String>,
}

/// All of it, shared by the listeners.
#[derive(Debug)]
pub(super) struct Answers(Mutex<State>);

impl Default for Answers {
    fn default() -> Self {
        Self(Mutex::new(State {
            names: HashMap::new(),
            default_ipv4: Some(Ipv4Addr::LOCALHOST),
            http01: HashMap::new(),
            redirects: HashMap::new(),
            tls_alpn01: HashMap::new(),
            queries: Vec::new(),
            requests: Vec::new(),
        }))
    }
}

/// A name in lower case and without its final dot.
pub(super) fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Answers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, host: &str, change: impl FnOnce(&mut Name)) {
        change(self.state().names.entry(canonical(host)).or_default());
    }

    pub(super) fn set_default_ipv4(&self, address: Option<Ipv4Addr>) {
        self.state().default_ipv4 = address;
    }

    /// What is known of a canonical name; the default address stands in where there is none. None: it does not exist.
    pub(super) fn name(&self, name: &str) -> Option<Name> {
        let state = self.state();
        let mut known = match (state.names.get(name), state.default_ipv4) {
            (Some(known), _) => known.clone(),
            (None, Some(_)) => Name::default(),
            (None, None) => return None,
        };
        if known.addresses.is_empty() && known.cname.is_none() {
            known.addresses.extend(state.default_ipv4.map(IpAddr::V4));
        }
        Some(known)
    }

    pub(super) fn note_query(&self, name: &str, kind: String) {
        self.state().queries.push(Query {
            name: name.to_owned(),
            kind,
        });
    }

    pub(super) fn queries(&self) -> Vec<Query> {
        self.state().queries.clone()
    }

    pub(super) fn add_http01(&self, token: &str, key_authorization: &str) {
        self.state()
            .http01
            .insert(token.to_owned(), key_authorization.to_owned());
    }

    pub(super) fn remove_http01(&self, token: &str) {
        self.state().http01.remove(token);
    }

    pub(super) fn http01(&self, token: &str) -> Option<String> {
        self.state().http01.get(token).cloned()
    }

    pub(super) fn add_redirect(&self, path: &str, target: &str) {
        self.state()
            .redirects
            .insert(path.to_owned(), target.to_owned());
    }

    pub(super) fn remove_redirect(&self, path: &str) {
        self.state().redirects.remove(path);
    }

    pub(super) fn redirect(&self, path: &str) -> Option<String> {
        self.state().redirects.get(path).cloned()
    }

    pub(super) fn note_request(&self, request: String) {
        self.state().requests.push(request);
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    pub(super) fn add_tls_alpn01(&self, host: &str, key_authorization: &str) {
        self.state()
            .tls_alpn01
            .insert(canonical(host), key_authorization.to_owned());
    }

    pub(super) fn remove_tls_alpn01(&self, host: &str) {
        self.state().tls_alpn01.remove(&canonical(host));
    }

    /// The host whose server name this is, and its key authorization. An address has a name in `in-addr.arpa` or
    /// `ip6.arpa` for one (RFC 8738 §6).
    pub(super) fn tls_alpn01(&self, server_name: &str) -> Option<(String, String)> {
        let server_name = canonical(server_name);
        let state = self.state();
        let (host, key_authorization) = state
            .tls_alpn01
            .iter()
            .find(|(host, _)| server_name == server_name_of(host))?;
        Some((host.clone(), key_authorization.clone()))
    }
}

fn server_name_of(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => canonical(&hickory_proto::rr::Name::from(address).to_ascii()),
        Err(_) => host.to_owned(),
    }
}
