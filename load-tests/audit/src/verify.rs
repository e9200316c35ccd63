//! `certfleet audit verify`, as people run it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::log::Log;

/// What it said.
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub why: String,
    answer: String,
}

/// Runs it with these arguments, the key that was kept, and the last checkpoint that was kept.
pub async fn verify(log: &Log, arguments: &[&Path]) -> Result<Said> {
    let output = Command::new(certfleet()?)
        .env("CERTFLEET_DATABASE_URI", &log.space.uri)
        .env("CERTFLEET_DATABASE_NAME", &log.space.database)
        .args([
            "--json",
            "audit",
            "verify",
            "--key",
            &log.key,
            "--checkpoint",
        ])
        .arg(&log.kept[0])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .context("certfleet does not start")?;
    Ok(Said {
        code: output.status.code(),
        why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        answer: String::from_utf8(output.stdout)?,
    })
}

/// Verifies a log that is whole. Gives how many entries were read, and in how many seconds.
pub async fn whole(log: &Log, arguments: &[&Path]) -> Result<(u64, f64)> {
    let said = verify(log, arguments).await?;
    ensure!(said.code == Some(0), "{:?}: {}", said.code, said.why);
    let answer: Value = serde_json::from_str(&said.answer)?;
    let read = answer["read"].as_u64().context("no count")?;
    let seconds = answer["seconds"].as_f64().context("no time")?;
    ensure!(answer["entries"] == log.size, "{answer}");
    Ok((read, seconds))
}

/// The program beside this one.
fn certfleet() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("certfleet");
    ensure!(
        path.exists(),
        "{} is not there: cargo build --release --workspace --bins",
        path.display()
    );
    Ok(path)
}
