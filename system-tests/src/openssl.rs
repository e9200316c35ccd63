//! The `OpenSSL` command line.

use std::process::{Command, Stdio};

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
