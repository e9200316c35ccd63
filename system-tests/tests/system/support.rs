//! What several topics use.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
pub use certfleet_system_tests::openssl;

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
