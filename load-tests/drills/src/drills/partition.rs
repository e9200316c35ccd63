//! The network is cut between the primary and others. In a network namespace of its own, where nobody else is.
//!
//! The members run as users of their own, by which the firewall knows whose packets are whose.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::ProcessEntry;
use certfleet_system_tests::{Database, Plan};
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::{Drill, Setting};
use crate::drills::namespace;
use crate::figures::{Figures, Spread};
use crate::ground::{BACK_WITHIN, Ground};
use crate::load::{Clients, Load};

const CLIENTS: usize = 8;
const ORDERS_BETWEEN: usize = 20;
const CUT_FOR: Duration = Duration::from_secs(15);
/// Member 0's user; the others follow.
const FIRST_USER: u32 = 40_000;

/// What stands before the mongod: another user, that may write where the member's data lie.
const AS_ANOTHER_USER: &str = r#"
for argument; do
    [ "$previous" = --dbpath ] && user=$((FIRST_USER + $(basename "$(dirname "$argument")")))
    previous=$argument
done
[ -n "$user" ] || exec MONGOD "$@"
exec setpriv --reuid "$user" --clear-groups --inh-caps +dac_override --ambient-caps +dac_override MONGOD "$@"
"#;

/// From whom the primary is cut off.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The other members; clients reach it, and may believe in it.
    Members,
    /// Everybody.
    All,
}

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    if !namespace::is_own() {
        return namespace::run(Drill::Partition, setting, "--net").await;
    }
    command("ip", &["link", "set", "lo", "up"])?;
    let times = setting.scale.of(1, 2);
    let wrapper =
        namespace::mongod(&AS_ANOTHER_USER.replace("FIRST_USER", &FIRST_USER.to_string())).await?;
    let mut plan = Plan::new("partition");
    plan.mongod = Some(wrapper.program());
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let database = ground.database().await?;
            for (cut, name) in [
                (
                    Cut::Members,
                    "primary cut off from the members: no order accepted for",
                ),
                (
                    Cut::All,
                    "primary cut off from everybody: no order accepted for",
                ),
            ] {
                let mut gaps = Spread::default();
                for _ in 0..times {
                    load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                    let began = Instant::now();
                    cut_off(ground, &database, cut).await?;
                    load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                    gaps.add(load.gap_since(began));
                }
                figures.add(name, gaps);
            }
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Cuts, waits, and mends. Returns when another was chosen.
async fn cut_off(ground: &Ground, database: &Database, cut: Cut) -> Result<()> {
    let primary = ground.primary(database).await?;
    let members: Vec<ProcessEntry> = ground
        .processes()?
        .into_iter()
        .filter(|process| process.service == "mongod")
        .collect();
    ensure!(members.len() == 3, "{} members", members.len());
    command("nft", &["--", &rules(&primary, &members, cut)?])?;
    sleep(CUT_FOR).await;
    command("nft", &["delete", "table", "inet", "drill"])?;
    ground.primary_after(database, &primary).await?;
    Ok(())
}

fn rules(primary: &ProcessEntry, members: &[ProcessEntry], cut: Cut) -> Result<String> {
    let port = port_of(primary)?;
    let user = FIRST_USER + primary.index;
    let mut rules = "add table inet drill; \
         add chain inet drill out { type filter hook output priority 0; }; "
        .to_owned();
    match cut {
        Cut::Members => {
            for other in members.iter().filter(|other| other.index != primary.index) {
                let (its_port, its_user) = (port_of(other)?, FIRST_USER + other.index);
                write!(
                    rules,
                    "add rule inet drill out meta skuid {user} tcp dport {its_port} drop; \
                     add rule inet drill out meta skuid {its_user} tcp dport {port} drop; "
                )?;
            }
        }
        Cut::All => write!(
            rules,
            "add rule inet drill out meta skuid {user} drop; \
             add rule inet drill out tcp dport {port} drop; \
             add rule inet drill out tcp sport {port} drop; "
        )?,
    }
    Ok(rules)
}

/// `mongodb://127.0.0.1:27017`
fn port_of(member: &ProcessEntry) -> Result<u16> {
    let port = member.management.trim_end_matches('/').rsplit(':').next();
    port.and_then(|port| port.parse().ok())
        .with_context(|| format!("no port in {}", member.management))
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} does not start; is it installed?"))?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
