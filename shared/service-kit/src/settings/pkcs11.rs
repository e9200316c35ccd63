//! `pkcs11`: how PKCS#11 tokens are reached, for the keys that are named as `pkcs11:token=LABEL;object=LABEL`.

use std::path::PathBuf;

use serde::Deserialize;

use super::section::{Complaint, Section, require};

/// How PKCS#11 tokens are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pkcs11 {
    /// The module, a shared library; several tokens of different makes are reached through p11-kit's proxy module.
    pub module: Option<PathBuf>,
    /// The file that holds the user's PIN; nobody but its owner may be able to read it. Without it, the token has to have a
    /// PIN pad of its own.
    pub pin_file: Option<PathBuf>,
}

impl Section for Pkcs11 {
    const NAME: &'static str = "pkcs11";

    fn check(&self) -> Result<(), Complaint> {
        require(
            self.module.is_some() || self.pin_file.is_none(),
            "module",
            "the module that reaches the tokens is due, such as /usr/lib/softhsm/libsofthsm2.so",
        )
    }
}
