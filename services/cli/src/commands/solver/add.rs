//! A zone is added, once it was shown that it can be changed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_dns_update::{Change, TsigKey, Txt, Zone};
use certfleet_domain::{
    Clock as _, DnsName, ProjectName, SolverName, SystemClock, SystemRng, TsigAlgorithm,
};
use certfleet_management::{NewSolver, add_solver, key_from_base64};
use clap::Args;
use rand::RngCore as _;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Which zone, and how it is changed.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name in the fleet.
    name: SolverName,
    /// The zone.
    #[arg(long, value_name = "DOMAIN")]
    zone: DnsName,
    /// Its primary server, such as 192.0.2.53:53, which takes dynamic updates (RFC 2136).
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// By what name the server knows the key that updates are signed with (TSIG).
    #[arg(long, value_name = "NAME")]
    key_name: DnsName,
    /// The file with the key, in base64 as `tsig-keygen` and `keymgr -t` give it.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The key's algorithm: hmac-sha256, hmac-sha384 or hmac-sha512.
    #[arg(long, value_name = "NAME", default_value_t)]
    algorithm: TsigAlgorithm,
    /// A server that has to show a proof before an authority is told to look; may be given several times. Without it, the
    /// primary alone.
    #[arg(long = "watch", value_name = "ADDRESS:PORT")]
    watched: Vec<SocketAddr>,
    /// Do not try it, where the zone's server is not to be reached from here.
    #[arg(long)]
    untried: bool,
    /// Whose it is: names in it are proven for certificates of the same project.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
}

#[derive(Serialize)]
struct Added {
    name: String,
    zone: String,
    tried: bool,
}

/// Adds it.
pub async fn run(args: AddArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let secret = read_key(&args.key_file)?;
    let settings = settings(config)?;
    let store = store(&settings).await?;
    if store.solvers.find(&args.name).await?.is_some() {
        return Err(already(&args.name));
    }
    if !args.untried {
        try_it(&args, secret.clone()).await?;
    }
    let vault = vault(&store, &settings).await?;
    let wish = NewSolver {
        name: args.name,
        project: args.project,
        zone: args.zone,
        server: args.server,
        watched: args.watched,
        key_name: args.key_name,
        algorithm: args.algorithm,
        key: secret,
    };
    let plan = add_solver(&store, &vault, wish).await?;
    let solver = plan.carry_out(&store, Operator::here().sender()).await?;
    let added = Added {
        name: solver.name.to_string(),
        zone: solver.zone.to_string(),
        tried: !args.untried,
    };
    out.show(&added, |sheet| {
        sheet.line(format_args!(
            "names in {0} are proven by dns-01 from now on, wildcards too: certfleet cert add '*.{0}' --upstream NAME",
            added.zone
        ));
    })
}

fn already(name: &SolverName) -> Failure {
    Failure::new(format!(
        "there is a solver {name} already; nothing was done"
    ))
}

/// Publishes a record, looks for it, and removes it.
async fn try_it(args: &AddArgs, secret: Zeroizing<Vec<u8>>) -> Result<(), Failure> {
    let zone = Zone {
        name: args.zone.to_string(),
        server: args.server,
        key: TsigKey {
            name: args.key_name.to_string(),
            algorithm: args.algorithm,
            secret,
        },
    };
    let mut octets = [0; 16];
    SystemRng.fill_bytes(&mut octets);
    let record = Txt {
        name: format!("_acme-challenge.certfleet-test.{}", args.zone),
        text: URL_SAFE_NO_PAD.encode(octets),
    };
    let now = u64::try_from(SystemClock.now().unix_timestamp()).unwrap_or_default();
    let refused = || {
        format!(
            "the zone {} cannot be changed, and nothing was added",
            args.zone
        )
    };
    let add = Change {
        add: vec![record.clone()],
        remove: Vec::new(),
    };
    zone.apply(&add, now).await.with_context(refused)?;
    let texts = Zone::texts(args.server, &record.name).await;
    let remove = Change {
        add: Vec::new(),
        remove: vec![record.clone()],
    };
    zone.apply(&remove, now).await.with_context(refused)?;
    if texts.with_context(refused)?.contains(&record.text) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{}: the server took a record, and does not show it: nothing was added",
        refused()
    )))
}

/// The key in this file.
fn read_key(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = || file.display().to_string();
    let text = Zeroizing::new(std::fs::read_to_string(file).with_context(shown)?);
    // What is wrong with it would tell of it.
    key_from_base64(&text).ok_or_else(|| {
        Failure::new(format!(
            "{}: a key of 16 octets or more in base64 is due, and nothing else",
            shown()
        ))
    })
}
