//! One build takes the place of another, part by part, in the order of the Helm chart, and nobody notices.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::Signal;
use certfleet_system_tests::{Binaries, Plan};
use serde_json::Value;

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::Ground;
use crate::load::{Clients, Load};

/// Each request is sent once: the first that is not answered fails the drill.
const CLIENTS: usize = 6;
/// Clients are at work with each mix of builds.
const ORDERS_BETWEEN: usize = 10;
const ORDERS_WITHIN: Duration = Duration::from_secs(60);

/// Migrations, then the API, then the workers, then the schedulers: as the chart has it.
const ORDER: [&str; 3] = ["api", "worker", "scheduler"];
const PROGRAMS: [&str; 4] = [
    "certfleet",
    "certfleet-api",
    "certfleet-worker",
    "certfleet-scheduler",
];

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let next = Binaries::find()?.directory().to_owned();
    let former = setting.former.as_deref().unwrap_or(&next);
    let installed = tempfile::Builder::new()
        .prefix("certfleet-installed-")
        .tempdir()?;
    for program in PROGRAMS {
        install(program, former, installed.path())?;
    }
    let plan = Plan {
        binaries: Some(installed.path().to_owned()),
        ..Plan::new("upgrade")
    };
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Strict).await?;
            load.goes_on(ORDERS_BETWEEN, ORDERS_WITHIN).await?;
            let steps = migrate(ground)?;
            // The former build alone, on the schema of the next.
            load.goes_on(ORDERS_BETWEEN, ORDERS_WITHIN).await?;
            for service in ORDER {
                install(&format!("certfleet-{service}"), &next, installed.path())?;
                for index in [0, 1] {
                    ground
                        .replace(service, index, Signal::SIGTERM)
                        .await
                        .with_context(|| format!("{service} {index}"))?;
                    is_of(ground, service, index, &next)?;
                    load.goes_on(ORDERS_BETWEEN, ORDERS_WITHIN).await?;
                }
            }
            let records = load.finish().await?;
            figures.add("steps of the schema that were new", steps);
            figures.add(
                "the former build",
                match setting.former {
                    Some(_) => "another",
                    None => "this one as well: --former DIRECTORY names another",
                },
            );
            figures.add("requests without an answer", 0);
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Puts a build's program into the place of another's; running processes go on with what they have.
fn install(program: &str, from: &Path, to: &Path) -> Result<()> {
    let new = to.join(format!("{program}.new"));
    fs::copy(from.join(program), &new)
        .with_context(|| format!("{program} of {}", from.display()))?;
    fs::rename(new, to.join(program))?;
    Ok(())
}

/// Brings the schema up to date by the command of the next build. Gives how many steps were new.
fn migrate(ground: &Ground) -> Result<usize> {
    let output = ground.certfleet(&["db", "migrate", "--json"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "db migrate: {said}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let applied = answer["applied"].as_array();
    Ok(applied.context("db migrate says nothing of steps")?.len())
}

/// That a process runs the program of this build.
fn is_of(ground: &Ground, service: &str, index: u32, build: &Path) -> Result<()> {
    let pid = ground.process(service, index)?.pid;
    let runs = fs::metadata(PathBuf::from(format!("/proc/{pid}/exe")))?;
    let due = fs::metadata(build.join(format!("certfleet-{service}")))?;
    ensure!(
        runs.size() == due.size(),
        "{service} {index} runs another program than that of {}",
        build.display()
    );
    Ok(())
}
