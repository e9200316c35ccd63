//! A place to deliver to is added.

use certfleet_domain::{
    AgentName, CommandName, Endpoint, FileContent, PathPattern, ProjectName, TargetFile, TargetName,
};
use certfleet_management::views::TargetView;
use certfleet_management::{NewTarget, add_target, parse_mode, parse_owner};
use certfleet_storage::Store;
use clap::Args;

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
    /// Whose it is: its agent is of the same project.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
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

/// Adds it.
pub async fn run(store: &Store, args: AddArgs, out: Output) -> Result<(), Failure> {
    let wish = NewTarget {
        files: args.files(),
        name: args.name,
        project: args.project,
        agent: args.agent,
        reload: args.run,
        probe: args.probe,
    };
    let plan = add_target(store, wish).await?;
    let target = plan.carry_out(store, Operator::here().sender()).await?;
    let view = TargetView::from(&target);
    out.show(&view, |sheet| {
        sheet.line(format_args!(
            "certificates can be delivered there: certfleet cert add www.example.org --upstream NAME --target {}",
            view.name
        ));
    })
}
