//! Certificates by what they have in common.

use bson::{Document, doc};
use certfleet_domain::{AccountId, AuthorityName, Timestamp};

use crate::documents::to_bson_time;

/// Which certificates: those that are signed, valid and not revoked, and of which all of this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Their authority.
    pub authority: Option<AuthorityName>,
    /// Who ordered them: one of these, if there are any.
    pub accounts: Vec<AccountId>,
    /// A name that is among theirs, or above one of them.
    pub name: Option<String>,
    /// They were issued at this moment or later.
    pub issued_since: Option<Timestamp>,
    /// They were issued before this moment.
    pub issued_before: Option<Timestamp>,
    /// They are valid beyond this moment.
    pub valid_at: Timestamp,
}

impl Selection {
    /// Whether nothing is asked of them, so that it is all there are.
    pub fn is_everything(&self) -> bool {
        self.authority.is_none()
            && self.accounts.is_empty()
            && self.name.is_none()
            && self.issued_since.is_none()
            && self.issued_before.is_none()
    }

    pub(super) fn filter(&self) -> Document {
        let mut filter = doc! {
            "state.status": "issued", "not_after": { "$gte": to_bson_time(self.valid_at) },
        };
        if let Some(authority) = &self.authority {
            filter.insert("authority", authority.as_str());
        }
        if !self.accounts.is_empty() {
            let accounts: Vec<String> = self.accounts.iter().map(ToString::to_string).collect();
            filter.insert("account", doc! { "$in": accounts });
        }
        if let Some(name) = &self.name {
            filter.insert("identifiers", doc! { "$regex": at_or_below(name) });
        }
        let mut issued = Document::new();
        if let Some(since) = self.issued_since {
            issued.insert("$gte", to_bson_time(since));
        }
        if let Some(before) = self.issued_before {
            issued.insert("$lt", to_bson_time(before));
        }
        if !issued.is_empty() {
            filter.insert("created_at", issued);
        }
        filter
    }
}

/// A regular expression for a name and all names below it. What could mean something in it stands for itself.
fn at_or_below(name: &str) -> String {
    let literal: String = name
        .to_lowercase()
        .chars()
        .flat_map(|c| {
            let plain = c.is_ascii_alphanumeric() || c == '-';
            (!plain).then_some('\\').into_iter().chain([c])
        })
        .collect();
    format!("(^|\\.){literal}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_as_it_is() {
        assert_eq!(at_or_below("Example.org"), r"(^|\.)example\.org$");
        assert_eq!(at_or_below("a.*|b"), r"(^|\.)a\.\*\|b$");
    }
}
