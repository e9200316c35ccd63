//! An authority is added.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_domain::{Budget, Contact, ProjectName, Rate, UpstreamName};
use certfleet_management::{NewBinding, NewUpstream, add_upstream};
use certfleet_service_kit::settings::{WebUrl, parse_rate};
use clap::Args;
use serde::Serialize;

use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::mac_key::read_mac_key;
use crate::operator::Operator;
use crate::output::Output;

/// Which authority.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name in the fleet.
    name: UpstreamName,
    /// The URL of its ACME directory.
    #[arg(long, value_name = "URL")]
    directory: WebUrl,
    /// The roots that the directory's own certificate leads to, PEM; without it, those that the workers' system trusts.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// How the authority reaches you, such as mailto:pki@example.org; may be given several times.
    #[arg(long = "contact", value_name = "URL", value_parser = parse_contact)]
    contacts: Vec<Contact>,
    /// The profile to order, where the authority has several.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Keep to the limits that Let's Encrypt publishes: 300 orders in 3 hours, 50 for a registered domain and 5 for exactly the
    /// same names in 7 days. All workers together do; orders that say what they replace are exempt.
    #[arg(long, conflicts_with_all = ["orders", "orders_per_domain", "orders_per_name_set"])]
    lets_encrypt_limits: bool,
    /// At most so many orders, such as 300/3h.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    orders: Option<Rate>,
    /// At most so many orders with a name in one registered domain.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    orders_per_domain: Option<Rate>,
    /// At most so many orders for exactly the same names.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    orders_per_name_set: Option<Rate>,
    /// The identifier of the key that binds the account to one there (RFC 8555, 7.3.4).
    #[arg(long, value_name = "KID", requires = "eab_key_file")]
    eab_kid: Option<String>,
    /// The file with that key, in base64url as authorities give it.
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    eab_key_file: Option<PathBuf>,
    /// Whose it is: certificates of the same project can be had from it.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
}

impl AddArgs {
    fn budget(&self) -> Budget {
        if self.lets_encrypt_limits {
            return Budget::lets_encrypt();
        }
        Budget {
            orders: self.orders,
            orders_per_domain: self.orders_per_domain,
            orders_per_name_set: self.orders_per_name_set,
        }
    }
}

fn parse_contact(text: &str) -> Result<Contact, String> {
    Contact::parse(text).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Added {
    name: String,
    directory: String,
}

/// Adds it.
pub async fn run(args: AddArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let budget = args.budget();
    let roots = args.root.as_deref().map(read_roots).transpose()?;
    let key = args.eab_key_file.as_deref().map(read_mac_key).transpose()?;
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let binding = match (args.eab_kid, key) {
        (Some(kid), Some(key)) => {
            let vault = vault(&store, &settings).await?;
            Some(NewBinding { kid, key, vault })
        }
        _ => None,
    };
    let wish = NewUpstream {
        name: args.name,
        project: args.project,
        directory: args.directory.as_str().to_owned(),
        roots,
        contacts: args.contacts,
        profile: args.profile,
        budget,
        binding,
    };
    let plan = add_upstream(&store, wish).await?;
    let upstream = plan.carry_out(&store, Operator::here().sender()).await?;
    let added = Added {
        name: upstream.name.to_string(),
        directory: upstream.directory,
    };
    out.show(&added, |sheet| {
        sheet.line(format_args!(
            "the fleet can have certificates from {}: certfleet cert add www.example.org --upstream {}",
            added.directory, added.name
        ));
    })
}

fn read_roots(file: &Path) -> Result<String, Failure> {
    let shown = || file.display().to_string();
    Ok(std::fs::read_to_string(file).with_context(shown)?)
}
