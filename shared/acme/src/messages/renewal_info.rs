//! When a certificate is to be renewed, as its authority sees it (RFC 9773 §4.2).

use certfleet_domain::{RenewalWindow, Timestamp};
use serde::{Deserialize, Serialize};

use super::timestamp::required;

/// The answer of the `renewalInfo` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    /// When to renew.
    pub suggested_window: SuggestedWindow,
    /// A page that says why, for people.
    #[serde(
        default,
        rename = "explanationURL",
        skip_serializing_if = "Option::is_none"
    )]
    pub explanation_url: Option<String>,
}

/// A window of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    /// Its beginning.
    #[serde(with = "required")]
    pub start: Timestamp,
    /// Its end.
    #[serde(with = "required")]
    pub end: Timestamp,
}

impl RenewalInfo {
    /// What to tell of this window.
    pub fn new(window: RenewalWindow, explanation_url: Option<String>) -> Self {
        Self {
            suggested_window: SuggestedWindow {
                start: window.start(),
                end: window.end(),
            },
            explanation_url,
        }
    }

    /// The window; `None` if it ends before it begins or with it, which a client is to ignore (RFC 9773 §4.2).
    pub fn window(&self) -> Option<RenewalWindow> {
        RenewalWindow::new(self.suggested_window.start, self.suggested_window.end)
    }
}
