//! Certificates are to be replaced before their time: what clients are told by ARI (RFC 9773).

use std::path::PathBuf;
use std::time::Duration;

use certfleet_audit::Act;
use certfleet_domain::{Authority, AuthorityName, Clock as _, Replacement, SystemClock, Timestamp};
use certfleet_service_kit::settings::{WebUrl, parse_duration};
use clap::Args;
use serde::Serialize;

use super::change;
use crate::commands::parse_moment;
use crate::connection::open;
use crate::failure::Failure;
use crate::output::{Output, moment};

/// Which, and how soon.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The authority.
    name: AuthorityName,
    /// Those that were issued before this moment, such as 2026-11-26T12:00:00Z; without it, all that there are.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    issued_before: Option<Timestamp>,
    /// Spread over this time from now on, such as 24h, so that not all come at once; without it, now.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    within: Duration,
    /// A page that says why, for those who run the clients.
    #[arg(long, value_name = "URL")]
    explanation_url: Option<WebUrl>,
    /// No longer: what is not replaced yet is renewed when its time comes.
    #[arg(long, conflicts_with_all = ["issued_before", "within", "explanation_url"])]
    end: bool,
}

#[derive(Serialize)]
struct Answer {
    authority: String,
    replacing: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    issued_before: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    until: Option<Timestamp>,
}

/// Says so.
pub async fn run(args: &ReplaceArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let now = SystemClock.now();
    let replacement = (!args.end).then(|| Replacement {
        issued_before: args.issued_before.unwrap_or(now),
        since: now,
        within: args.within.try_into().unwrap_or(time::Duration::MAX),
        explanation_url: args
            .explanation_url
            .as_ref()
            .map(|url| url.as_str().to_owned()),
    });
    let detail = match &replacement {
        None => "no certificates are to be replaced any more".to_owned(),
        Some(replacement) => format!(
            "certificates of before {} are to be replaced",
            moment(replacement.issued_before)
        ),
    };
    let wish = replacement.clone();
    change(
        &store,
        &args.name,
        Act::ChangeAuthority,
        &detail,
        |authority| Authority {
            replacement: wish.clone(),
            ..authority
        },
    )
    .await?;
    let answer = Answer {
        authority: args.name.to_string(),
        replacing: replacement.is_some(),
        issued_before: replacement.as_ref().map(|one| one.issued_before),
        until: replacement.as_ref().map(|one| one.window().end()),
    };
    out.show(&answer, |sheet| {
        sheet.line(&detail);
        sheet.line("all replicas say so within 10 s, and clients learn of it when they ask (every 6 hours, as they are told)");
    })
}
