//! A place to deliver to is added.

use std::collections::BTreeSet;

use certfleet_audit::Act;
use certfleet_domain::{
    AgentName, Clock as _, CommandName, Endpoint, FileContent, PathPattern, SystemClock, Target,
    TargetFile, TargetName,
};
use certfleet_storage::{CommitError, Store};
use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Which place.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name.
    name: TargetName,
    /// The agent on whose host it is.
    #[arg(long, value_name = "NAME")]
    agent: AgentName,
    /// Write the chain into this file, such as /etc/nginx/tls/{name}.pem, where {name} is the certificate's name. Without
    /// {name}, the target has room for one certificate.
    #[arg(long, value_name = "PATH")]
    chain: Option<PathPattern>,
    /// Write the private key into this file.
    #[arg(long, value_name = "PATH")]
    key: Option<PathPattern>,
    /// Write the chain and the key behind it into this one file.
    #[arg(long, value_name = "PATH", required_unless_present_any = ["chain", "key"])]
    combined: Option<PathPattern>,
    /// Whose the files are, `user` or `user:group`; without it, the agent's.
    #[arg(long, value_name = "OWNER", value_parser = parse_owner)]
    owner: Option<String>,
    /// The permission bits of files with a key, in octal.
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = parse_mode)]
    key_mode: u32,
    /// Run this when files have changed, once for all of them: a command that the agent's own settings have under this name.
    #[arg(long, value_name = "COMMAND")]
    run: Option<CommandName>,
    /// Look afterwards, from the host, whether the certificate is served here; if not, the former files are put back.
    #[arg(long, value_name = "HOST:PORT")]
    probe: Option<Endpoint>,
}

fn parse_owner(text: &str) -> Result<String, String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let parts: Vec<&str> = text.split(':').collect();
    let good = |part: &&str| (1..=32).contains(&part.len()) && part.bytes().all(plain);
    if parts.len() > 2 || !parts.iter().all(good) {
        return Err("user or user:group is due".to_owned());
    }
    Ok(text.to_owned())
}

/// Nobody but owner and group reads a key, and nobody executes it.
fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|error| error.to_string())?;
    if mode & !0o660 != 0 || mode & 0o400 == 0 {
        return Err("400 to 660 is due: a key is for its owner and perhaps a group".to_owned());
    }
    Ok(mode)
}

impl AddArgs {
    fn files(&self) -> Vec<TargetFile> {
        [
            (&self.chain, FileContent::Chain),
            (&self.key, FileContent::Key),
            (&self.combined, FileContent::ChainAndKey),
        ]
        .into_iter()
        .filter_map(|(path, content)| {
            let mode = match content {
                FileContent::Chain => content.usual_mode(),
                FileContent::Key | FileContent::ChainAndKey => self.key_mode,
            };
            Some(TargetFile {
                path: path.clone()?,
                content,
                mode,
                owner: self.owner.clone(),
            })
        })
        .collect()
    }
}

#[derive(Serialize)]
struct Added {
    name: String,
    agent: String,
}

/// Adds it.
pub async fn run(store: &Store, args: &AddArgs, out: Output) -> Result<(), Failure> {
    let files = args.files();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if paths.len() < files.len() {
        let why = "two of the files are the same one; nothing was done";
        return Err(Failure::Invalid(why.to_owned()));
    }
    let named = files.iter().filter(|file| file.path.has_name()).count();
    if named != 0 && named != files.len() {
        let why = "{name} is in some of the paths and not in others: either each certificate has files of its own, or there is one; nothing was done";
        return Err(Failure::Invalid(why.to_owned()));
    }
    if store.deliveries.agent(&args.agent).await?.is_none() {
        return Err(Failure::not_found("agent", &args.agent));
    }
    let target = Target {
        name: args.name.clone(),
        agent: args.agent.clone(),
        files,
        reload: args.run.clone(),
        probe: args.probe.clone(),
        created_at: SystemClock.now(),
        version: 0,
    };
    let paths: Vec<&str> = target.files.iter().map(|file| file.path.as_str()).collect();
    let event = Operator::here()
        .event(Act::CreateTarget, format_args!("target/{}", target.name))
        .with_detail(format_args!("on {}: {}", target.agent, paths.join(" ")));
    let unit = store.deliveries.insert_target(&target)?.recording(&event)?;
    store.commit(unit).await.map_err(|error| match error {
        CommitError::Storage(error) => error.into(),
        CommitError::Changed { .. } | CommitError::Duplicate { .. } => {
            Failure::new(format!("there is a target {} already", target.name))
        }
    })?;
    let added = Added {
        name: target.name.to_string(),
        agent: target.agent.to_string(),
    };
    out.show(&added, |sheet| {
        sheet.line(format_args!(
            "certificates can be delivered there: certfleet cert add www.example.org --upstream NAME --target {}",
            added.name
        ));
    })
}
