//! `certfleet ca create`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use certfleet_data_kit::tokens;
use certfleet_domain::{AuthorityName, InvalidPkcs11Uri, Pkcs11Uri, SystemClock, SystemRng};
use certfleet_pkcs11::TokenAccess;
use certfleet_signer::KeyAlgorithm;
use clap::Args;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::view::AuthorityView;
use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::hierarchy::{Import, ImportedKey, KeyPlan, NewAuthority, Plan};
use crate::operator::Operator;
use crate::output::Output;

const KEYS: &str = "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096 to make one; or pkcs11:token=LABEL;object=LABEL for a pair that is in a token and stays there, several times where several tokens have it";

/// Make an authority, or import one.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name, as it stands in its directory's URL: 1 to 32 lower-case letters, digits and inner hyphens.
    name: AuthorityName,

    #[arg(long, value_name = "KEY", default_value = "ecdsa-p256", help = format!("The intermediate's key, which signs certificates: {KEYS}"))]
    key: Vec<KeyArg>,

    #[arg(
        long,
        value_name = "KEY",
        default_value = "ecdsa-p256",
        help = "The root's key, likewise"
    )]
    root_key: Vec<KeyArg>,

    /// The organization in the subjects of root and intermediate.
    #[arg(long, default_value = "certfleet")]
    organization: String,

    /// The country in the same, two capital letters.
    #[arg(long)]
    country: Option<String>,

    /// How long the root is valid, in years.
    #[arg(long, value_name = "YEARS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    root_years: u16,

    /// How long the intermediate is valid, in years; no longer than the root.
    #[arg(long, value_name = "YEARS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=50))]
    intermediate_years: u16,

    /// Import instead of making: the root's certificate.
    #[arg(long, value_name = "PEM", requires = "import_key", conflicts_with_all = ["key", "root_key", "organization", "country", "root_years", "intermediate_years"])]
    import_root: Option<PathBuf>,

    /// The issuing certificate, then what leads from it to the root; without it, the root itself signs.
    #[arg(long, value_name = "PEM", requires = "import_root")]
    import_chain: Option<PathBuf>,

    /// The key of the issuing certificate: a file with PKCS#8, SEC1 or PKCS#1, not encrypted; or pkcs11:token=LABEL;object=LABEL,
    /// several times where several tokens have it.
    #[arg(long, value_name = "KEY", requires = "import_root")]
    import_key: Vec<String>,
}

/// One `--key`.
#[derive(Debug, Clone)]
enum KeyArg {
    Make(KeyAlgorithm),
    InToken(Pkcs11Uri),
}

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(Pkcs11Uri::SCHEME) {
            let uri = text
                .parse::<Pkcs11Uri>()
                .map_err(|error| error.to_string())?;
            return Ok(Self::InToken(uri));
        }
        let algorithm = text
            .parse::<KeyAlgorithm>()
            .map_err(|error| error.to_string())?;
        Ok(Self::Make(algorithm))
    }
}

fn plan(option: &str, args: Vec<KeyArg>) -> Result<KeyPlan, Failure> {
    if let [KeyArg::Make(algorithm)] = args.as_slice() {
        return Ok(KeyPlan::Made(*algorithm));
    }
    let place = |arg| match arg {
        KeyArg::InToken(uri) => Ok(uri),
        KeyArg::Make(_) => Err(Failure::Invalid(format!(
            "{option}: only a key in tokens can be named several times"
        ))),
    };
    let places = args.into_iter().map(place).collect::<Result<_, _>>()?;
    Ok(KeyPlan::InTokens(places))
}

/// Makes or imports an authority, and stores it.
pub async fn run(args: CreateArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    if args.intermediate_years > args.root_years {
        return Err(Failure::Invalid(
            "--intermediate-years is longer than --root-years; it must not be".to_owned(),
        ));
    }
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let vault = vault(&store, &settings).await?;
    let name = args.name.clone();
    let taken = || Failure::new(format!("there is an authority {name} already"));
    // Before keys are made for nothing; what decides is the database, below.
    if store.authorities.find(&args.name).await?.is_some() {
        return Err(taken());
    }
    let new = new(args, tokens(&settings.pkcs11)).await?;
    let stored = new
        .store(&store, &vault, &mut SystemRng, &Operator::here())
        .await?;
    let authority = stored.ok_or_else(taken)?;
    let view = AuthorityView::of(&authority)?;
    out.show(&view, |sheet| {
        AuthorityView::table(sheet, std::slice::from_ref(&view));
        sheet.line(format_args!(
            "\nIts root, for its clients to trust: certfleet ca root {name} --out {name}-root.pem"
        ));
    })
}

async fn new(args: CreateArgs, tokens: Option<TokenAccess>) -> Result<NewAuthority, Failure> {
    if let Some(root) = &args.import_root {
        let import = Import {
            root: read(root)?.to_string(),
            chain: match &args.import_chain {
                Some(chain) => Some(read(chain)?.to_string()),
                None => None,
            },
            key: imported(&args.import_key)?,
        };
        let read = move || import.read(args.name, tokens.as_ref(), &SystemClock, &mut SystemRng);
        return Ok(spawn_blocking(read).await??);
    }
    let plan = Plan {
        organization: args.organization,
        country: args.country,
        root_key: plan("--root-key", args.root_key)?,
        issuer_key: plan("--key", args.key)?,
        root_years: args.root_years,
        intermediate_years: args.intermediate_years,
    };
    let make = move || plan.make(args.name, tokens.as_ref(), &SystemClock, &mut SystemRng);
    Ok(spawn_blocking(make).await??)
}

fn imported(keys: &[String]) -> Result<ImportedKey, Failure> {
    match keys {
        [file] if !file.starts_with(Pkcs11Uri::SCHEME) => {
            Ok(ImportedKey::Pem(read(Path::new(file))?))
        }
        places => {
            let places = places.iter().map(|place| place.parse());
            let places = places.collect::<Result<_, _>>();
            let wrong =
                |error: InvalidPkcs11Uri| Failure::Invalid(format!("--import-key: {error}"));
            Ok(ImportedKey::InTokens(places.map_err(wrong)?))
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(file);
    text.map(Zeroizing::new)
        .with_context(|| format!("cannot read {}", file.display()))
}
