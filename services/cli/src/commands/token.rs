//! `certfleet token`: who may do what over the REST API (ADM-2).

use std::path::PathBuf;
use std::time::Duration;

use certfleet_domain::{Clock as _, Grant, SystemClock, TokenId};
use certfleet_management::views::TokenView;
use certfleet_management::{NewToken, add_token, revoke_token};
use certfleet_service_kit::settings::parse_duration;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment_or_none};

/// Say who may do what over the REST API.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token: prints it, once.
    Create(CreateArgs),
    /// List tokens: what each is for, and when it was used last.
    List,
    /// Have a token count no more, at once and for good.
    Revoke {
        /// Its id.
        id: TokenId,
    },
}

/// Which token.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Whom it is for.
    #[arg(value_name = "LABEL")]
    label: String,
    /// What it lets its bearer do: viewer, auditor, operator or admin, everywhere, or in one project as in operator@web. May be
    /// given several times.
    #[arg(long = "role", value_name = "ROLE[@PROJECT]", required = true)]
    grants: Vec<Grant>,
    /// How long it counts, such as 90d; without it, until it is revoked.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    view: TokenView,
    token: String,
}

/// Carries out a `token` command.
pub async fn run(
    command: TokenCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    let operator = Operator::here();
    let now = SystemClock.now();
    match command {
        TokenCommand::Create(args) => {
            let wish = NewToken {
                label: args.label,
                grants: args.grants,
                expires_at: args.expires_in.map(|duration| now + duration),
            };
            let plan = add_token(&store, wish).await?;
            let made = plan.carry_out(&store, operator.sender()).await?;
            let made = Made {
                view: TokenView::of(&made.token, None, now),
                token: made.text.to_string(),
            };
            out.show(&made, |sheet| {
                sheet.title("The token was made; it is not shown again");
                sheet.pairs([
                    ("id", made.view.id.clone()),
                    ("token", made.token.clone()),
                    ("roles", roles(&made.view)),
                    ("until", moment_or_none(made.view.expires_at)),
                ]);
                sheet.line("");
                sheet.line(format_args!(
                    "curl -H 'Authorization: Bearer {}' https://.../api/v1/certificates",
                    made.token
                ));
            })
        }
        TokenCommand::List => {
            let uses = store.access.last_uses().await?;
            let tokens = store.access.tokens().await?;
            let all: Vec<TokenView> = tokens
                .iter()
                .map(|token| TokenView::of(token, uses.get(&token.id).copied(), now))
                .collect();
            out.show(&all, |sheet| {
                if all.is_empty() {
                    sheet.line(
                        "there is no token; `certfleet token create LABEL --role admin` makes one",
                    );
                    return;
                }
                let rows = all.iter().map(|one| {
                    [
                        one.id.clone(),
                        one.label.clone(),
                        one.status.to_owned(),
                        roles(one),
                        moment_or_none(one.expires_at),
                        moment_or_none(one.used_at),
                    ]
                });
                let heads = ["id", "label", "status", "roles", "until", "used last"];
                sheet.table(heads, rows);
            })
        }
        TokenCommand::Revoke { id } => {
            let found = store.access.token(id).await?;
            let token = found.ok_or_else(|| Failure::not_found("token", id))?;
            let plan = revoke_token(&store, token)?;
            let revoked = plan.carry_out(&store, operator.sender()).await?;
            let view = TokenView::of(&revoked, None, now);
            out.show(&view, |sheet| {
                sheet.line("the token counts no more");
            })
        }
    }
}

fn roles(token: &TokenView) -> String {
    let all = token.grants.iter().map(|grant| match &grant.project {
        None => grant.role.to_owned(),
        Some(project) => format!("{}@{project}", grant.role),
    });
    all.collect::<Vec<_>>().join(" ")
}
