//! A backup is written beside those of the days before, of which the oldest go.

use std::path::{Path, PathBuf};

use certfleet_domain::{Clock as _, SystemClock, Timestamp};
use clap::Args;
use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, PrimitiveDateTime};

use super::{check, create};
use crate::failure::Failure;
use crate::output::Output;

/// How the names of backups say when they were begun.
const NAME: &[BorrowedFormatItem<'_>] =
    format_description!("certfleet-[year]-[month]-[day]T[hour][minute][second]Z.tar");
/// What a run that was killed has left behind.
const PART: &str = ".part";

/// Where, and how many.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// The directory. What it holds besides is left alone.
    directory: PathBuf,
    /// Remove backups of more than so many days ago, once the new one is there and every digest in it is right.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
}

#[derive(Serialize)]
struct Kept {
    file: PathBuf,
    documents: u64,
    removed: Vec<String>,
}

/// Writes one, reads it again, and removes what is too old.
pub async fn run(args: &KeepArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    let name = now
        .format(NAME)
        .map_err(|why| Failure::new(format!("the time cannot be written: {why}")))?;
    let file = args.directory.join(name);
    create::write(&file, config).await?;
    let manifest = check::whole(&file).await?;
    let removed = remove_outdated(&args.directory, now, args.days)?;
    let kept = Kept {
        documents: manifest.documents(),
        file,
        removed,
    };
    out.show(&kept, |sheet| {
        sheet.line(format_args!(
            "{} is there and whole: {} documents",
            kept.file.display(),
            kept.documents
        ));
        for name in &kept.removed {
            sheet.line(format_args!("{name} was removed"));
        }
    })
}

fn remove_outdated(directory: &Path, now: Timestamp, days: u16) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_outdated(&name, now, days) {
            std::fs::remove_file(entry.path())?;
            removed.push(name);
        }
    }
    removed.sort();
    Ok(removed)
}

/// Whether a file of this name is a backup from before so many days, or part of one that has not become whole within one.
fn is_outdated(name: &str, now: Timestamp, days: u16) -> bool {
    let (name, days) = match name.strip_suffix(PART) {
        Some(name) => (name, 1),
        None => (name, days),
    };
    let begun = PrimitiveDateTime::parse(name, NAME);
    begun.is_ok_and(|begun| now - begun.assume_utc() > Duration::days(days.into()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_is_too_old_is_told_by_its_name_alone() {
        let now = datetime!(2026-03-20 12:00 UTC);
        for (name, due) in [
            ("certfleet-2026-03-20T120000Z.tar", false),
            ("certfleet-2026-03-06T120000Z.tar", false),
            ("certfleet-2026-03-06T115959Z.tar", true),
            ("certfleet-2019-01-01T000000Z.tar", true),
            ("certfleet-2026-03-19T115959Z.tar.part", true),
            ("certfleet-2026-03-19T130000Z.tar.part", false),
            ("certfleet-2019-01-01.tar", false),
            ("certfleet-2019-01-01T000000Z.tar.gz", false),
            ("before-the-upgrade-2019-01-01T000000Z.tar", false),
            ("lost+found", false),
        ] {
            assert_eq!(is_outdated(name, now, 14), due, "{name}");
        }
    }
}
