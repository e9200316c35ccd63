//! The key that all secrets of the cluster are sealed under: made once, and never again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_domain::SystemRng;
use certfleet_secrets::{generate_kek_file, read_kek_file};

use crate::failure::Failure;

/// Where it lies in a data directory.
pub fn file_in(directory: &Path) -> PathBuf {
    directory.join("kek")
}

/// Makes the key if there is none, and says which it is.
pub fn ensure(file: &Path) -> Result<String, Failure> {
    use certfleet_secrets::KekProvider as _;
    if !file.exists() {
        // Made under another name, so that a crash leaves no half of it.
        let new = file.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(anyhow::Error::new(error)
                    .context(format!("cannot remove {}", new.display()))
                    .into());
            }
            _ => {}
        }
        let id = generate_kek_file(&new, &mut SystemRng)?;
        std::fs::rename(&new, file).with_context(|| format!("cannot make {}", file.display()))?;
        return Ok(format!("made {} ({id})", file.display()));
    }
    let kek = read_kek_file(file)?;
    Ok(format!("{} ({})", file.display(), kek.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_a_crash_in_the_middle_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let file = file_in(directory.path());
        std::fs::write(file.with_extension("new"), "ab").unwrap();
        let made = ensure(&file).unwrap();
        assert!(made.starts_with("made "));
        let key = std::fs::read(&file).unwrap();
        ensure(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), key);
    }
}
