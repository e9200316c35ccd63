//! The URLs of an authority's resources: all made from the configured external URL, never from a Host header.

use std::fmt::Display;

use certfleet_domain::{
    AccountId, AuthorityName, AuthorizationId, CertificateId, ChallengeId, OrderId,
};

/// The external URL of this certfleet, without a slash at its end.
#[derive(Debug, Clone)]
pub struct ExternalUrl(String);

impl ExternalUrl {
    /// From the setting.
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// The URL of a path and query; for a request's, that which its client has to have signed (RFC 8555 §6.4).
    pub fn under(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.0)
    }

    /// It, as it is.
    pub fn base(&self) -> &str {
        &self.0
    }

    /// The URLs of one authority.
    pub fn authority(&self, authority: &AuthorityName) -> Urls {
        Urls(format!("{}/acme/{authority}", self.0))
    }
}

/// The URLs of one authority.
#[derive(Debug, Clone)]
pub struct Urls(String);

impl Urls {
    fn at(&self, path: impl Display) -> String {
        format!("{}/{path}", self.0)
    }

    /// The directory.
    pub fn directory(&self) -> String {
        self.at("directory")
    }

    /// newNonce.
    pub fn new_nonce(&self) -> String {
        self.at("new-nonce")
    }

    /// newAccount.
    pub fn new_account(&self) -> String {
        self.at("new-account")
    }

    /// newOrder.
    pub fn new_order(&self) -> String {
        self.at("new-order")
    }

    /// newAuthz.
    pub fn new_authz(&self) -> String {
        self.at("new-authz")
    }

    /// revokeCert.
    pub fn revoke_cert(&self) -> String {
        self.at("revoke-cert")
    }

    /// keyChange.
    pub fn key_change(&self) -> String {
        self.at("key-change")
    }

    /// renewalInfo.
    pub fn renewal_info(&self) -> String {
        self.at("renewal-info")
    }

    /// An account: what clients give as `kid`.
    pub fn account(&self, id: AccountId) -> String {
        self.at(format_args!("account/{id}"))
    }

    /// The account that a `kid` names, if it is one of this authority.
    pub fn account_of(&self, kid: &str) -> Option<AccountId> {
        let rest = kid.strip_prefix(&self.0)?.strip_prefix("/account/")?;
        rest.parse().ok()
    }

    /// An account's orders.
    pub fn orders(&self, id: AccountId) -> String {
        self.at(format_args!("account/{id}/orders"))
    }

    /// The page of an account's orders behind one of them.
    pub fn orders_after(&self, id: AccountId, after: OrderId) -> String {
        self.at(format_args!("account/{id}/orders?after={after}"))
    }

    /// An order.
    pub fn order(&self, id: OrderId) -> String {
        self.at(format_args!("order/{id}"))
    }

    /// Where an order's CSR goes.
    pub fn finalize(&self, id: OrderId) -> String {
        self.at(format_args!("order/{id}/finalize"))
    }

    /// An authorization.
    pub fn authorization(&self, id: AuthorizationId) -> String {
        self.at(format_args!("authorization/{id}"))
    }

    /// A challenge.
    pub fn challenge(&self, authorization: AuthorizationId, id: ChallengeId) -> String {
        self.at(format_args!("challenge/{authorization}/{id}"))
    }

    /// A certificate.
    pub fn certificate(&self, id: CertificateId) -> String {
        self.at(format_args!("certificate/{id}"))
    }

    /// Another chain of a certificate.
    pub fn alternate(&self, id: CertificateId, number: usize) -> String {
        self.at(format_args!("certificate/{id}/{number}"))
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    #[test]
    fn a_kid_is_taken_only_if_it_is_exactly_an_accounts_url() {
        let urls = ExternalUrl::new("https://ca.example/").authority(&"default".parse().unwrap());
        let other = ExternalUrl::new("https://ca.example").authority(&"other".parse().unwrap());
        let id = AccountId::generate(&SystemClock, &mut SystemRng);
        assert_eq!(urls.account_of(&urls.account(id)), Some(id));
        assert_eq!(urls.account_of(&other.account(id)), None);
        assert_eq!(urls.account_of(&format!("{}/", urls.account(id))), None);
        assert_eq!(urls.account_of(&id.to_string()), None);
    }
}
