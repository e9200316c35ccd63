//! The disk of a member is full. In a mount namespace of its own, where each member's data lie on a small disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::Plan;
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::{Drill, Setting};
use crate::drills::namespace;
use crate::figures::{Figures, Spread};
use crate::ground::{BACK_WITHIN, Ground, PAUSE};
use crate::load::{Clients, Load};

const CLIENTS: usize = 8;
const ORDERS_BETWEEN: usize = 20;
const FULL_FOR: Duration = Duration::from_secs(20);
/// How long a member may go on before it finds that its disk is full.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

/// What stands before the mongod: a small disk for its data.
const ON_A_SMALL_DISK: &str = r#"
for argument; do
    [ "$previous" = --dbpath ] && data=$argument
    previous=$argument
done
[ -z "$data" ] || mountpoint -q "$data" || mount -t tmpfs -o size=700m tmpfs "$data" || exit 1
exec MONGOD "$@"
"#;

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    if !namespace::is_own() {
        return namespace::run(Drill::DiskFull, setting, "--mount").await;
    }
    let wrapper = namespace::mongod(ON_A_SMALL_DISK).await?;
    let mut plan = Plan::new("disk-full");
    plan.mongod = Some(wrapper.program());
    let ground = Ground::start(plan).await?;
    let data = ground.data().to_owned();
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let database = ground.database().await?;
            load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
            let primary = ground.primary(&database).await?;
            let disk = disks_below(&data)?
                .into_iter()
                .find(|disk| disk.ends_with(format!("{}/data", primary.index)))
                .context("the primary's data lie on no disk of their own")?;
            let began = Instant::now();
            let filler = disk.join("filler");
            fill(&filler)?;
            noticed(ground, primary.index, primary.pid).await?;
            figures.add(
                "the primary found its disk full after",
                format!("{:.1} s", began.elapsed().as_secs_f64()),
            );
            ground.primary_after(&database, &primary).await?;
            load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
            sleep(FULL_FOR.saturating_sub(began.elapsed())).await;
            fs::remove_file(filler)?;
            ground
                .member_back(primary.index, primary.pid, BACK_WITHIN)
                .await?;
            load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
            let mut gaps = Spread::default();
            gaps.add(load.gap_since(began));
            figures.add("no order accepted for", gaps);
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            for disk in disks_below(&data)? {
                let unmounted = Command::new("umount").arg("-l").arg(&disk).status()?;
                ensure!(unmounted.success(), "{} stays mounted", disk.display());
            }
            Ok(figures)
        })
        .await
}

/// The disks that are mounted below a directory.
fn disks_below(data: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from)
        .filter(|disk| disk.starts_with(data))
        .collect())
}

/// Writes until nothing more fits.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    loop {
        match file.write(&zeros) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the member has ended.
async fn noticed(ground: &Ground, index: u32, pid: i32) -> Result<()> {
    let until = Instant::now() + NOTICED_WITHIN;
    let proc = PathBuf::from(format!("/proc/{pid}"));
    while proc.exists() {
        ensure!(
            Instant::now() < until,
            "mongod {index} goes on with a full disk after {NOTICED_WITHIN:?}: {}",
            ground.logs().display()
        );
        sleep(PAUSE).await;
    }
    Ok(())
}
