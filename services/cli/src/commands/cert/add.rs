//! A managed certificate is added.

use certfleet_domain::{
    Clock as _, Identifier, ProjectName, SystemClock, TargetName, UpstreamName,
};
use certfleet_management::views::CertificateView;
use certfleet_management::{NewCertificate, add_certificate};
use certfleet_storage::Store;
use clap::Args;

use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Which names, and from whom.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The names: DNS names, IP addresses, and wildcards in zones that the fleet may change (`certfleet solver`).
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Identifier>,
    /// From whom, in order of preference: the next is asked when the certificate would expire first. May be given several
    /// times.
    #[arg(long = "upstream", value_name = "NAME", required = true)]
    upstreams: Vec<UpstreamName>,
    /// Where to deliver it, each time that it is renewed, called by the first of the names; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<TargetName>,
    /// Whose it is: its authorities and its targets are of the same project.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
}

/// Adds it.
pub async fn run(store: &Store, args: AddArgs, out: Output) -> Result<(), Failure> {
    let wish = NewCertificate {
        project: args.project,
        names: args.names,
        upstreams: args.upstreams,
        targets: args.targets,
    };
    let plan = add_certificate(store, wish).await?;
    let managed = plan.carry_out(store, Operator::here().sender()).await?;
    let view = CertificateView::of(&managed, SystemClock.now());
    out.show(&view, |sheet| {
        sheet.line(format_args!(
            "a worker gets it: certfleet cert show {}",
            view.id
        ));
    })
}
