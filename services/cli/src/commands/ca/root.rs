//! `certfleet ca root`.

use std::path::PathBuf;

use anyhow::Context as _;
use certfleet_domain::AuthorityName;
use certfleet_pki::certificate_pem;
use serde_json::json;

use super::find;
use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Prints an authority's root.
pub async fn run(
    name: &AuthorityName,
    file: Option<PathBuf>,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    let authority = find(&store, name).await?;
    let pem = certificate_pem(&authority.issuer.root);
    if let Some(file) = file {
        std::fs::write(&file, &pem).with_context(|| format!("cannot write {}", file.display()))?;
        let answer = json!({ "authority": name.as_str(), "file": file });
        return out.show(&answer, |sheet| {
            sheet.line(format_args!("the root of {name} is in {}", file.display()));
        });
    }
    if out.is_json() {
        return out.show(&json!({ "authority": name.as_str(), "root": pem }), |_| {});
    }
    Output::raw(&pem)
}
