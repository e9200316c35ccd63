//! How fast secrets are sealed anew under another KEK, by where the KEK is: in memory, in a PKCS#11 token (SoftHSM2), in Vault
//! (its own core and transit engine), in AWS KMS (moto). On a replica set of three of this program's own, as a worker does
//! it, with nothing else to do.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use certfleet_domain::SystemRng;
use certfleet_kek::{Access, AwsAccess, VaultAccess, open};
use certfleet_pkcs11::TokenAccess;
use certfleet_queue_load::ground::Ground;
use certfleet_secrets::{KekId, KekProvider, Keyring, LocalKek, Place, Secret};
use certfleet_storage::{Store, Vault};
use certfleet_testkit::{Kms, SoftHsm, VaultServer};
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use mongodb::{Client, Collection};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// What a run is for.
const FOREVER: Duration = Duration::from_secs(3600);
const SECRETS: &str = "secrets";
const SEALED: &str = "sealed";
/// The size of an ECDSA key, which is what most secrets are.
const OCTETS: usize = 138;

/// How fast secrets are sealed anew under another KEK, by where the KEK is.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How many secrets are sealed anew in memory, and in turn for each other place a tenth of that.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    secrets: u32,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Some(hsm) = SoftHsm::inherited() else {
        return again_with_a_token();
    };
    // Vault's client wants one, though it never encrypts here.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let done = Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            runtime.block_on(Ground::lend(async |ground| {
                measure(ground, &cli, &hsm).await
            }))
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// A token's module reads its settings once, and from the environment, as AWS's credentials are read: so this program starts
/// itself once more, with both.
fn again_with_a_token() -> ExitCode {
    let hsm = SoftHsm::new();
    hsm.make_aes("kek-1");
    let again = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs([hsm.environment()])
            .envs(Kms::environment())
            .status()
    });
    match again {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

async fn measure(ground: &mut Ground, cli: &Cli, hsm: &SoftHsm) -> Result<()> {
    let (vault, kms) = (VaultServer::start().await, Kms::start().await);
    vault.make_key("kek-1").await;
    let access = Access {
        tokens: Some(TokenAccess {
            module: SoftHsm::module(),
            pin_file: Some(hsm.pin_file()),
        }),
        vault: VaultAccess {
            token_file: Some(vault.token_file("kek-1").await),
            ..VaultAccess::default()
        },
        aws: AwsAccess {
            endpoint: Some(kms.endpoint().parse()?),
        },
    };
    let elsewhere = [
        ("PKCS#11 (SoftHSM2)", SoftHsm::uri("kek-1")),
        ("Vault", vault.source("kek-1")),
        ("AWS KMS (moto)", kms.make_key().await),
    ];
    let (first, second) = (local(1), local(2));
    let mut ring: Vec<Arc<dyn KekProvider>> = vec![Arc::clone(&second)];
    let mut places = BTreeMap::new();
    for (name, source) in &elsewhere {
        let kek = open(&source.parse()?, &access)?;
        places.insert(*name, kek.id().clone());
        ring.push(kek);
    }
    let space = ground.space().await?;
    let keyring = Keyring::new(Arc::clone(&first), ring)?;
    let bench = Bench {
        vault: Vault::new(&space.store, Arc::new(keyring)),
        secrets: Client::with_uri_str(&space.uri)
            .await?
            .database(&space.database)
            .collection(SECRETS),
        database: space.database.clone(),
        store: space.store.clone(),
    };
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "from",
        "to",
        "secrets",
        "sealed anew/s",
        "ratio",
    ]);
    bench.fill(first.as_ref(), cli.secrets).await?;
    let memory = bench.rotate(second.id(), cli.secrets).await?;
    let mut row = |from: &str, to: &str, many: u32, rate: f64| {
        let ratio = format!("{:.2}", rate / memory);
        table.add_row([from, to, &many.to_string(), &format!("{rate:.0}"), &ratio]);
        say(&format!("{from} to {to}: {rate:.0}/s"))
    };
    row("file", "file", cli.secrets, memory)?;
    let few = cli.secrets / 10;
    bench.leave(few).await?;
    for (name, _) in elsewhere {
        let there = bench.rotate(&places[name], few).await?;
        row("file", name, few, there)?;
        let back = bench.rotate(second.id(), few).await?;
        row(name, "file", few, back)?;
    }
    say(&format!("\n{table}"))
}

fn local(number: u8) -> Arc<dyn KekProvider> {
    Arc::new(LocalKek::new(&[number; 32]))
}

/// Where secrets lie.
struct Bench {
    vault: Vault,
    store: Store,
    secrets: Collection<Document>,
    database: String,
}

impl Bench {
    /// So many secrets, sealed under this KEK.
    async fn fill(&self, kek: &dyn KekProvider, many: u32) -> Result<()> {
        let begin = self.store.keks.begin(kek.id());
        self.store.commit(begin).await?;
        let keyring = Keyring::new(local(1), Vec::new())?;
        let secret = Secret::new(vec![7; OCTETS]);
        let mut batch = Vec::new();
        for number in 0..many {
            let name = format!("load/{number:08}");
            let place = Place::new(&*self.database, SECRETS, &*name, SEALED);
            let sealed = keyring.seal(&place, &secret, &mut SystemRng).await?;
            let bytes = Binary {
                subtype: BinarySubtype::Generic,
                bytes: sealed.as_bytes().to_vec(),
            };
            batch.push(doc! { "_id": name, "kek": sealed.kek().as_str(), SEALED: bytes });
            if batch.len() == 1_000 || number + 1 == many {
                self.secrets.insert_many(std::mem::take(&mut batch)).await?;
            }
        }
        Ok(())
    }

    /// Leaves so many of them.
    async fn leave(&self, few: u32) -> Result<()> {
        let rest = doc! { "_id": { "$gte": format!("load/{few:08}") } };
        self.secrets.delete_many(rest).await?;
        Ok(())
    }

    /// Has this KEK seal, and all be sealed anew under it; gives how many were in a second.
    async fn rotate(&self, kek: &KekId, many: u32) -> Result<f64> {
        let sealing = self.store.keks.sealing().await?.context("none seals")?;
        let switch = self.store.keks.switch(&sealing, kek);
        self.store.commit(switch).await?;
        let began = Instant::now();
        let done = self.vault.rewrap(Instant::now() + FOREVER).await?;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(
            done.sealed == u64::from(many) && done.left.is_empty(),
            "{done:?} where {many} are due"
        );
        Ok(f64::from(many) / seconds)
    }
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
