//! The directory (RFC 8555 §7.1.1), with the profiles extension and ARI (RFC 9773 §3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Fresh nonces.
    pub new_nonce: String,
    /// New accounts.
    pub new_account: String,
    /// New orders.
    pub new_order: String,
    /// Pre-authorization, where the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_authz: Option<String>,
    /// Revocation.
    pub revoke_cert: String,
    /// Key rollover.
    pub key_change: String,
    /// ARI, where the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<String>,
    /// About the authority.
    #[serde(default, skip_serializing_if = "DirectoryMeta::is_empty")]
    pub meta: DirectoryMeta,
}

/// About the authority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectoryMeta {
    /// The terms to agree to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// A page about the authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// The names that stand for the authority in CAA records (RFC 8659).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    /// Whether accounts need an external account binding.
    #[serde(skip_serializing_if = "is_false")]
    pub external_account_required: bool,
    /// The profiles by name, each with a description.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, String>,
}

impl DirectoryMeta {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}
