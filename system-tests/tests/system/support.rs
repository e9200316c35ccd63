//! What several topics use.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs OpenSSL; gives what it wrote.
pub fn openssl(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("openssl is not there: `make test` installs it, or `apt-get install openssl`")?;
    ensure!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// What a command that has to succeed wrote.
pub fn succeeded(output: &Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// The one line in which a command that has to fail says why.
pub fn refused(output: &Output) -> Result<String> {
    let said = String::from_utf8(output.stderr.clone())?;
    ensure!(!output.status.success(), "it should have failed: {said}");
    // Before it may stand what was done until then.
    let (_, why) = said.rsplit_once("certfleet: ").context(said.clone())?;
    ensure!(
        why.trim_end().lines().count() == 1,
        "more than one line: {why:?}"
    );
    Ok(why.to_owned())
}
