//! Certificates that another client keeps on disk are taken over (DEP-5).

mod layouts;

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use certfleet_domain::{ProjectName, Upstream, UpstreamName};
use certfleet_management::{NewImport, Refused, import_certificate};
use certfleet_pki::{Leaf, Signer as _};
use certfleet_secrets::Secret;
use certfleet_signer::InternalKey;
use certfleet_storage::{Store, Vault};
use clap::Args;
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use self::layouts::{Client, Kept};
use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, joined};

/// What to take over.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Whose directory DIRECTORY is.
    #[arg(
        long,
        value_name = "CLIENT",
        requires = "directory",
        required_unless_present = "chain",
        conflicts_with = "chain"
    )]
    from: Option<Client>,
    /// Where that client keeps its certificates, such as /etc/letsencrypt, ~/.lego or ~/.acme.sh.
    #[arg(value_name = "DIRECTORY", requires = "from")]
    directory: Option<PathBuf>,
    /// Take over this one chain, PEM: the certificate first.
    #[arg(long, value_name = "FILE", requires = "key")]
    chain: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "chain")]
    key: Option<PathBuf>,
    /// From whom they are to be had from now on, in order of preference. May be given several times.
    #[arg(long = "upstream", value_name = "NAME", required = true)]
    upstreams: Vec<UpstreamName>,
    /// Whose they are.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
    /// Only say what would be taken over.
    #[arg(long)]
    dry_run: bool,
}

/// What became of one.
#[derive(Serialize)]
struct Taken {
    /// Where it lies.
    chain: PathBuf,
    names: Vec<String>,
    /// `imported`, `wouldBeImported` or `refused`.
    outcome: &'static str,
    /// Its id from now on.
    id: Option<String>,
    /// Why it was refused.
    why: Option<String>,
}

/// Takes them over; a failure if one of them was refused.
pub async fn run(args: ImportArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let kept = match (&args.from, &args.directory, &args.chain, &args.key) {
        (Some(client), Some(directory), ..) => client.kept(directory)?,
        (.., Some(chain), Some(key)) => vec![Kept::alone(chain, key)],
        _ => return Err(Failure::Invalid("a directory is due".to_owned())),
    };
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let vault = vault(&store, &settings).await?;
    let mut first = None;
    if let Some(name) = args.upstreams.first() {
        let found = store.fleet.upstream(name).await?;
        first =
            Some(found.ok_or_else(|| Failure::not_found("authority in the fleet called", name))?);
    }
    let mut all = Vec::new();
    for one in kept {
        let from_first = first.as_ref().is_some_and(|first| is_from(&one, first));
        all.push(import(&store, &vault, &args, one, from_first).await?);
    }
    let refused = all.iter().filter(|one| one.why.is_some()).count();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no certificate in it");
            return;
        }
        let rows = all.iter().map(|one| {
            let said = one.id.clone().or_else(|| one.why.clone());
            [
                joined(&one.names),
                one.outcome.to_owned(),
                said.unwrap_or_default(),
                one.chain.display().to_string(),
            ]
        });
        sheet.table(["names", "outcome", "", "from"], rows);
    })?;
    match refused {
        0 => Ok(()),
        refused => Err(Failure::new(format!(
            "{refused} of {} were not taken over",
            all.len()
        ))),
    }
}

/// Whether it was had from this authority, as far as its client has noted that.
fn is_from(kept: &Kept, upstream: &Upstream) -> bool {
    let host = |url: &str| Url::parse(url).ok()?.host_str().map(str::to_owned);
    let noted = kept.server.as_deref().and_then(host);
    noted.is_some() && noted == host(&upstream.directory)
}

async fn import(
    store: &Store,
    vault: &Vault,
    args: &ImportArgs,
    kept: Kept,
    is_from_the_first: bool,
) -> Result<Taken, Failure> {
    let mut taken = Taken {
        chain: kept.chain.clone(),
        names: Vec::new(),
        outcome: "refused",
        id: None,
        why: None,
    };
    let (chain, leaf, key) = match read(&kept) {
        Ok(read) => read,
        Err(why) => {
            taken.why = Some(format!("{why:#}"));
            return Ok(taken);
        }
    };
    taken.names = leaf.names.iter().map(ToString::to_string).collect();
    let wish = NewImport {
        project: args.project.clone(),
        chain,
        leaf,
        key,
        upstreams: args.upstreams.clone(),
        is_from_the_first,
    };
    let done = match import_certificate(store, vault, wish).await {
        Ok(_) if args.dry_run => {
            taken.outcome = "wouldBeImported";
            return Ok(taken);
        }
        Ok(plan) => plan.carry_out(store, Operator::here().sender()).await,
        Err(refused) => Err(refused),
    };
    match done {
        Ok(managed) => {
            taken.outcome = "imported";
            taken.id = Some(managed.id.to_string());
        }
        Err(refused @ (Refused::Storage(_) | Refused::Vault(_))) => return Err(refused.into()),
        Err(refused) => taken.why = Some(refused.to_string()),
    }
    Ok(taken)
}

/// The chain, what it says, and the key, which is the certificate's.
fn read(kept: &Kept) -> anyhow::Result<(String, Leaf, Secret)> {
    let shown = |path: &PathBuf| path.display().to_string();
    let chain = fs::read_to_string(&kept.chain).with_context(|| shown(&kept.chain))?;
    let leaf = Leaf::of_chain(&chain).with_context(|| shown(&kept.chain))?;
    let text = fs::read_to_string(&kept.key).map(Zeroizing::new);
    let text = text.with_context(|| shown(&kept.key))?;
    let key = InternalKey::from_pem(&text).with_context(|| shown(&kept.key))?;
    anyhow::ensure!(
        key.spki_der() == leaf.spki,
        "{}: it is not the key of {}",
        shown(&kept.key),
        shown(&kept.chain)
    );
    let key = Secret::new(key.to_pkcs8_der()?.to_vec());
    Ok((chain, leaf, key))
}
