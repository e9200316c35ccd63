//! A backup is read from front to end.

use std::path::{Path, PathBuf};

use certfleet_backup::{BackupError, Manifest, inspect};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::output::{Output, progress};

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    documents: u64,
    manifest: Manifest,
}

/// Reads it, and says what is in it.
pub async fn run(file: &Path, out: Output) -> Result<(), Failure> {
    let manifest = whole(file).await?;
    let checked = Checked {
        file: file.to_owned(),
        documents: manifest.documents(),
        manifest,
    };
    out.show(&checked, |sheet| {
        sheet.line(format_args!(
            "{} is whole: {} documents",
            file.display(),
            checked.documents
        ));
        super::write(sheet, &checked.manifest);
    })
}

/// What is in a backup, every digest of which is right.
pub async fn whole(file: &Path) -> Result<Manifest, Failure> {
    let octets = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let bar = progress(octets, "octets");
    let path = file.to_owned();
    let read = {
        let bar = bar.clone();
        spawn_blocking(move || inspect(&path, |at| bar.set_position(at))).await?
    };
    bar.finish_and_clear();
    read.map_err(|error| match error {
        BackupError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::not_found("file", file.display())
        }
        error => error.into(),
    })
}
