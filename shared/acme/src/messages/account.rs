//! Accounts (RFC 8555 §7.1.2, §7.3).

use certfleet_domain::{Account, AccountStatus, Contact, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DEACTIVATED;

/// How many contacts an account may have, as Boulder has it.
pub const MAX_CONTACTS: usize = 10;

/// The payload of newAccount (RFC 8555 §7.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NewAccount {
    /// Contact URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    /// Whether the holder agrees to the terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// Whether to find an account only, and make none (§7.3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_return_existing: Option<bool>,
    /// A JWS by the key of an external account (§7.3.4), as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
}

impl NewAccount {
    /// The contacts, checked. `invalidContact`, `unsupportedContact` or a problem of several.
    pub fn contacts(&self) -> Result<Vec<Contact>, Problem> {
        parse_contacts(&self.contact)
    }
}

/// The payload of a POST to an account's URL (§7.3.2). What the RFC has the server ignore is not here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountUpdate {
    /// Contact URLs, which replace what there was; absent for no change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    /// Only `deactivated` has a meaning (§7.3.6); any other is to be ignored (§7.3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl AccountUpdate {
    /// The update that gives the account up.
    pub fn deactivation() -> Self {
        Self {
            contact: None,
            status: Some(DEACTIVATED.to_owned()),
        }
    }

    /// Whether it gives the account up.
    pub fn is_deactivation(&self) -> bool {
        self.status.as_deref() == Some(DEACTIVATED)
    }

    /// The new contacts, checked, if they are to change. `invalidContact`, `unsupportedContact` or a problem of
    /// several.
    pub fn contacts(&self) -> Result<Option<Vec<Contact>>, Problem> {
        self.contact.as_deref().map(parse_contacts).transpose()
    }
}

/// An account (§7.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountResponse {
    /// Whether it may be used.
    pub status: AccountStatus,
    /// Contact URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    /// Whether its holder agreed to the terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// The URL of the list of its orders. Required by the RFC, absent at some authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<String>,
}

impl AccountResponse {
    /// The account, with the URL of the list of its orders.
    pub fn new(account: &Account, orders: String) -> Self {
        Self {
            status: account.status,
            contact: account.contacts.iter().map(ToString::to_string).collect(),
            terms_of_service_agreed: account.terms_agreed_at.map(|_| true),
            orders: Some(orders),
        }
    }
}

/// A page of an account's orders (§7.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersList {
    /// URLs of orders.
    pub orders: Vec<String>,
}

fn parse_contacts(urls: &[String]) -> Result<Vec<Contact>, Problem> {
    if urls.len() > MAX_CONTACTS {
        let detail = format!(
            "{} contacts are more than the {MAX_CONTACTS} allowed",
            urls.len()
        );
        return Err(Problem::new(ProblemKind::InvalidContact, detail));
    }
    let mut contacts = Vec::new();
    let mut problems = Vec::new();
    for url in urls {
        match Contact::parse(url) {
            Ok(contact) if contacts.contains(&contact) => {}
            Ok(contact) => contacts.push(contact),
            Err(error) => problems.push(Problem::new(error.kind, error.to_string())),
        }
    }
    match Problem::of_several(problems) {
        Some(problem) => Err(problem),
        None => Ok(contacts),
    }
}
