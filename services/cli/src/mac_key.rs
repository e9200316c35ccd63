//! The MAC key by which another authority binds an account (RFC 8555 §7.3.4), from a file.

use std::path::Path;

use anyhow::Context as _;
use certfleet_management::mac_key_from_base64url;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The key in this file.
pub fn read_mac_key(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = || file.display().to_string();
    let text = Zeroizing::new(std::fs::read_to_string(file).with_context(shown)?);
    // What is wrong with it would tell of it.
    mac_key_from_base64url(&text).ok_or_else(|| {
        Failure::new(format!(
            "{}: a key in base64url is due, as the authority gives it",
            shown()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_with_and_without_padding_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("eab");
        for good in ["AAECAw", "AAECAw==\n"] {
            std::fs::write(&file, good).unwrap();
            let key = read_mac_key(&file).ok().unwrap();
            assert_eq!(*key, [0, 1, 2, 3]);
        }
        for wrong in ["", "AA+CAw", "not a key"] {
            std::fs::write(&file, wrong).unwrap();
            assert!(read_mac_key(&file).is_err(), "{wrong:?}");
        }
    }
}
