//! A process's own audit file, verified.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_audit::{LocalChain, LocalEntry};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Verified {
    file: PathBuf,
    server: Option<String>,
    entries: u64,
}

/// Reads the file from front to end; names the first line that is wrong.
pub fn run(file: &Path, out: Output) -> Result<(), Failure> {
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    let mut chain: Option<LocalChain> = None;
    let mut server = None;
    for (line, number) in BufReader::new(opened).lines().zip(1_u64..) {
        let line = line.with_context(|| file.display().to_string())?;
        let wrong = |why| Failure::Tampered(format!("{}, line {number}: {why}", file.display()));
        let entry = LocalEntry::parse(&line).map_err(wrong)?;
        server.get_or_insert_with(|| entry.server.to_string());
        let chain = chain.get_or_insert_with(|| LocalChain::new(entry.server));
        chain.follow(&entry).map_err(wrong)?;
    }
    let answer = Verified {
        file: file.to_owned(),
        server,
        entries: chain.map_or(0, |chain| chain.size()),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "{} is whole: {} entries of server {}",
            file.display(),
            answer.entries,
            answer.server.as_deref().unwrap_or("none")
        ));
    })
}
