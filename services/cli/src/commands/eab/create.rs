//! A key is made, and shown once.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_audit::Act;
use certfleet_domain::{
    AuthorityName, Clock as _, EabKey, EabKeyId, EabKeyState, SystemClock, SystemRng, Timestamp,
};
use certfleet_secrets::Secret;
use certfleet_service_kit::settings::parse_duration;
use certfleet_storage::{CommitError, SecretName};
use clap::Args;
use rand::RngCore as _;
use serde::Serialize;

use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment_or_none};

/// As long as the longest digest of the MACs that are taken (RFC 7518 §3.2), so that a client may choose.
const OCTETS: usize = 64;

/// What the key is for.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Whom it is for: a line for people.
    #[arg(long, value_name = "TEXT", value_parser = parse_label)]
    label: Option<String>,
    /// The authority whose accounts it binds; without it, the default one.
    #[arg(long, value_name = "NAME")]
    authority: Option<AuthorityName>,
    /// How many accounts it may bind.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    accounts: u32,
    /// How long it may be used, such as 7d; without it, until it is used up. Accounts that it has bound stay.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

fn parse_label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("a line of 1 to 200 characters is due".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Serialize)]
struct Made {
    kid: String,
    hmac_key: String,
    authority: String,
    accounts: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<Timestamp>,
}

/// Makes a key.
pub async fn run(args: &CreateArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let vault = vault(&store, &settings).await?;
    let name = args
        .authority
        .as_ref()
        .unwrap_or(&settings.acme.default_authority);
    let authority = store.authorities.find(name).await?;
    let authority = authority.ok_or_else(|| Failure::not_found("authority", name))?;
    let now = SystemClock.now();
    let key = EabKey {
        id: EabKeyId::generate(&SystemClock, &mut SystemRng),
        authority: authority.name,
        label: args.label.clone(),
        left: args.accounts,
        bound: 0,
        expires_at: args.expires_in.map(|duration| now + duration),
        state: EabKeyState::Active,
        created_at: now,
        version: 0,
    };
    let mut octets = vec![0; OCTETS];
    SystemRng.fill_bytes(&mut octets);
    let secret = Secret::new(octets);
    let event = Operator::here().event(Act::CreateEabKey, format_args!("eab-key/{}", key.id));
    let name = SecretName::EabKey(key.id);
    let sealed = vault.insert(&name, &secret, &mut SystemRng).await?;
    let unit = store.eab_keys.insert(&key)?.and(sealed);
    store
        .commit(unit.recording(&event)?)
        .await
        .map_err(|error| match error {
            CommitError::Storage(error) => error.into(),
            // A KEK rotation came in between, and this sealed under the former one.
            CommitError::Changed { .. } | CommitError::Duplicate { .. } => Failure::new(
                "another KEK seals since a moment ago: nothing was done; give the command again",
            ),
        })?;
    let made = Made {
        kid: key.id.to_string(),
        hmac_key: URL_SAFE_NO_PAD.encode(secret.expose()),
        authority: key.authority.to_string(),
        accounts: key.left,
        expires_at: key.expires_at,
    };
    out.show(&made, |sheet| {
        sheet.title("The key was made; it is not shown again");
        sheet.pairs([
            ("key identifier", made.kid.clone()),
            ("MAC key", made.hmac_key.clone()),
            ("authority", made.authority.clone()),
            ("accounts", made.accounts.to_string()),
            ("until", moment_or_none(made.expires_at)),
        ]);
        sheet.line("");
        sheet.line(format_args!(
            "certbot register --server https://.../acme/{}/directory --eab-kid {} --eab-hmac-key {}",
            made.authority, made.kid, made.hmac_key
        ));
    })
}
