//! Where a managed certificate goes: to more targets, or to the same ones once more.

use certfleet_domain::{Identifier, ManagedId, TargetName};
use certfleet_management::{Refused, deliver, deliver_again};
use certfleet_storage::Store;
use clap::Args;

use super::find;
use super::show;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// What to deliver, and where.
#[derive(Debug, Args)]
pub struct DeliverArgs {
    /// The managed certificate.
    id: ManagedId,
    /// Where to, from now on and each time that it is renewed; may be given several times. Without it: once more to
    /// wherever it goes already.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<TargetName>,
    /// Which of its names it is called by there; without it, its first one.
    #[arg(long = "as", value_name = "NAME", requires = "targets")]
    called: Option<Identifier>,
}

/// Has it delivered.
pub async fn run(store: &Store, args: &DeliverArgs, out: Output) -> Result<(), Failure> {
    loop {
        let managed = find(store, args.id).await?;
        let plan = if args.targets.is_empty() {
            deliver_again(store, managed).await?
        } else {
            deliver(store, managed, &args.targets, args.called.as_ref()).await?
        };
        match plan.carry_out(store, Operator::here().sender()).await {
            Ok(_) => break,
            // A worker has it in hand: once more, over what it has written.
            Err(Refused::Meanwhile) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    show::run(store, args.id, out).await
}
