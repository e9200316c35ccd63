//! Whether accounts have to be bound.

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::{Authority, AuthorityName};
use serde::Serialize;

use crate::commands::ca::change;
use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Answer {
    authority: String,
    external_account_required: bool,
}

/// Has an authority require it, or not any more.
pub async fn run(
    name: &AuthorityName,
    required: bool,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    let detail = if required {
        "accounts have to be bound"
    } else {
        "accounts need not be bound"
    };
    change(&store, name, Act::ChangeAuthority, detail, |authority| {
        Authority {
            external_account_required: required,
            ..authority
        }
    })
    .await?;
    let answer = Answer {
        authority: name.to_string(),
        external_account_required: required,
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "new accounts of {name} {}; all replicas know within 10 s",
            if required {
                "have to be bound: `certfleet eab create` makes keys for that"
            } else {
                "need not be bound"
            }
        ));
    })
}
