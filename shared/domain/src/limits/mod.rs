//! Rate limits: how much of something is let through, and of whom it is counted.
//!
//! Pure: the arithmetic is in [`Rate`], what is counted together in [`LimitKey`]. Where the state is kept, and whose
//! clock judges, is the storage's matter.

mod gcra;
mod key;

use serde::{Deserialize, Serialize};

pub use gcra::{Charge, InvalidRate, Rate, Verdict};
pub use key::{LimitKey, registered_domain};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// New accounts from one IPv4 address or IPv6 /48 network.
    AccountsPerAddress,
    /// New orders and pre-authorizations of one account.
    OrdersPerAccount,
    /// Orders with a name in one registered domain, whoever orders.
    OrdersPerDomain,
    /// Orders for exactly the same names, whoever orders.
    OrdersPerNameSet,
    /// Validations of one name that failed for one account.
    FailedValidations,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AccountsPerAddress,
        Self::OrdersPerAccount,
        Self::OrdersPerDomain,
        Self::OrdersPerNameSet,
        Self::FailedValidations,
    ];

    /// The key in the settings' section `limits`, the label of its metrics, and what clients are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountsPerAddress => "accounts_per_address",
            Self::OrdersPerAccount => "orders_per_account",
            Self::OrdersPerDomain => "orders_per_domain",
            Self::OrdersPerNameSet => "orders_per_name_set",
            Self::FailedValidations => "failed_validations",
        }
    }
}

/// The terms under which one attempt at a challenge was let through. They travel with the attempt: whoever ends it need
/// not know the settings, and settings that change meanwhile do not change what it was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttemptTerms {
    /// What the attempt was charged, to be given back unless it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// After how many failures in a row the name is paused for the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after: Option<u32>,
}

impl AttemptTerms {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
