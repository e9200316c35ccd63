//! The last signed checkpoint of the audit trail, in a file: kept where whoever can write to the database may not reach.
//!
//! It only ever grows. Where the database says less than the file, entries were taken out of the log: then the file stays as
//! it is, and it is said aloud.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use certfleet_audit::{Checkpoint, CheckpointKey};
use certfleet_storage::Store;

/// About as often as one is signed.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps the file for as long as this is polled.
pub async fn keep(store: Store, file: PathBuf) {
    let mut written = String::new();
    loop {
        match look(&store, &file, &mut written).await {
            Ok(()) => {}
            Err(error) => tracing::error!("audit.checkpoint_file {}: {error:#}", file.display()),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(store: &Store, file: &Path, written: &mut String) -> anyhow::Result<()> {
    let audit = store.audit();
    let Some(key) = audit.key().await? else {
        return Ok(());
    };
    let Some(last) = audit.last_checkpoint().await? else {
        return Ok(());
    };
    if last.note == *written {
        return Ok(());
    }
    grows(&kept(file)?, &last.note, &key)?;
    write(file, &last.note)?;
    *written = last.note;
    Ok(())
}

/// What the file says; nothing where there is none.
fn kept(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        kept => kept,
    }
}

/// Whether the next one may take the place of the one that is kept.
fn grows(kept: &str, next: &str, key: &CheckpointKey) -> anyhow::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    let kept = Checkpoint::open(kept, key)
        .map_err(|error| anyhow::anyhow!("what is in it is not of this audit trail: {error}"))?;
    let next = Checkpoint::open(next, key)?;
    anyhow::ensure!(
        kept.size <= next.size,
        "it has a checkpoint of {} entries, and the database only one of {}: the end of the audit trail was cut off. Run \
         `certfleet audit verify --checkpoint` with it",
        kept.size,
        next.size
    );
    Ok(())
}

/// In one step, so that nobody reads half of it; two workers may have the same file.
fn write(file: &Path, note: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = file.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    let mut open = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&new)?;
    open.write_all(note.as_bytes())?;
    open.sync_all()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use certfleet_audit::{CheckpointSigner, Head};

    use super::*;

    fn signer(origin: &str) -> CheckpointSigner {
        CheckpointSigner::new(origin, &CheckpointSigner::generate().unwrap()).unwrap()
    }

    fn head(entries: u64) -> Head {
        let mut head = Head::default();
        for number in 0..entries {
            head.append(format!("entry {number}").as_bytes());
        }
        head
    }

    #[test]
    fn the_file_grows_and_is_never_of_another_log() {
        let ours = signer("certfleet/one");
        let (short, long) = (ours.sign(&head(3)), ours.sign(&head(5)));
        let key = ours.key();
        grows("", &short, &key).unwrap();
        grows(&short, &long, &key).unwrap();
        grows(&long, &long, &key).unwrap();
        let cut = grows(&long, &short, &key).unwrap_err().to_string();
        assert!(
            cut.contains("5 entries") && cut.contains("cut off"),
            "{cut}"
        );
        let other = signer("certfleet/other").sign(&head(3));
        assert!(grows(&other, &long, &key).is_err());
        assert!(grows("hello", &long, &key).is_err());
    }

    #[test]
    fn it_is_replaced_in_one_step() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("checkpoint");
        assert_eq!(kept(&file).unwrap(), "");
        for note in ["one\n", "two\n"] {
            write(&file, note).unwrap();
            assert_eq!(kept(&file).unwrap(), note);
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
