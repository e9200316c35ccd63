//! The programs of the services: beside this one, as cargo and packages put them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::failure::Failure;

/// The programs of the services.
#[derive(Debug, Clone)]
pub struct Programs {
    pub api: PathBuf,
    pub worker: PathBuf,
    pub scheduler: PathBuf,
}

impl Programs {
    /// Those beside this program.
    pub fn find() -> Result<Self, Failure> {
        let this = std::env::current_exe().context("cannot find this program's own file")?;
        Self::beside(this.parent().unwrap_or(Path::new("/")))
    }

    fn beside(directory: &Path) -> Result<Self, Failure> {
        let find = |name: &str| {
            let path = directory.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(Failure::new(format!(
                "there is no {name} in {}, beside this program: build all of certfleet with `cargo build --release`, or \
                 install its programs together",
                directory.display()
            )))
        };
        Ok(Self {
            api: find("certfleet-api")?,
            worker: find("certfleet-worker")?,
            scheduler: find("certfleet-scheduler")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["certfleet-api", "certfleet-scheduler"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let Err(Failure::Failed(error)) = Programs::beside(directory.path()) else {
            panic!("it was not missed");
        };
        assert!(error.to_string().contains("certfleet-worker"));
    }
}
