//! A section: one struct, one file.

use serde::de::DeserializeOwned;

/// What a section is checked for beyond the types of its values: the key that is wrong, and why.
pub(super) type Complaint = (&'static str, String);

/// One section of the settings.
pub trait Section: DeserializeOwned {
    /// Its name in the file and in environment variables.
    const NAME: &'static str;

    /// What its types do not say; the first thing that is wrong.
    fn check(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

/// Refuses a value that lies outside its bounds.
pub(super) fn require(holds: bool, key: &'static str, due: &str) -> Result<(), Complaint> {
    if holds {
        Ok(())
    } else {
        Err((key, due.to_owned()))
    }
}
