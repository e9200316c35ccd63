//! Many certificates for one host: how many deliveries, and how many reloads.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_domain::{Placement, PlacementId, SystemClock, SystemRng};
use certfleet_system_tests::{Binaries, Nginx};
use comfy_table::Table;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ground::Ground;
use crate::say;

/// Measures it.
pub async fn measure(ground: &Ground, certificates: u32, table: &mut Table) -> Result<()> {
    table.set_header(["what", "figure"]);
    let names: Vec<String> = (0..certificates)
        .map(|number| format!("n{number}.web.fleet.test"))
        .collect();
    let nginx = Nginx::start(&ground.home.path().join("nginx"), &names).await?;
    let mut agent = start_agent(ground, &nginx)?;
    let target = ground
        .store
        .deliveries
        .target(&"web".parse()?)
        .await?
        .context("a target")?;
    let began = Instant::now();
    ground
        .add(&names, |managed, name| {
            let id = PlacementId::generate(&SystemClock, &mut SystemRng);
            let placement =
                Placement::new(id, managed.id, &target, name.clone(), managed.created_at);
            Ok(ground.store.deliveries.insert_placement(&placement)?)
        })
        .await?;
    let placed = doc! { "placed.seen": true };
    ground
        .until("placements", placed, certificates.into())
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    let first = nginx.reloads();
    table.add_row([
        "certificates had, delivered and seen",
        &certificates.to_string(),
    ]);
    table.add_row(["after", &format!("{seconds:.0} s")]);
    table.add_row(["reloads while they came", &first.to_string()]);

    // All at once, as when they are renewed together: the same versions, delivered anew.
    let due = doc! { "$set": { "next_at": bson::DateTime::now(), "wanted_at": bson::DateTime::now() }, "$inc": { "version": 1_i64 } };
    let began = Instant::now();
    ground
        .collection("placements")
        .update_many(doc! {}, due)
        .await?;
    ground
        .until(
            "placements",
            doc! { "next_at": { "$exists": false } },
            certificates.into(),
        )
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    table.add_row([
        "all due at once: delivered and seen after",
        &format!("{seconds:.1} s"),
    ]);
    table.add_row(["reloads", &(nginx.reloads() - first).to_string()]);
    let _ = agent.kill();
    let _ = agent.wait();
    Ok(())
}

/// An agent that may write what the nginx reads, enrolled, and running.
fn start_agent(ground: &Ground, nginx: &Nginx) -> Result<std::process::Child> {
    let home = ground.home.path();
    let settings = json!({
        "state": home.join("agent"),
        "directories": [nginx.certificates()],
        "commands": { "reload-nginx": ["/bin/sh", "-c", nginx.reload_line()] },
    });
    let file = home.join("agent.yaml");
    fs::write(&file, settings.to_string())?;
    let invited = certfleet(ground, &["agent", "invite", "host"])?;
    let text = |field: &str| {
        invited[field]
            .as_str()
            .map(str::to_owned)
            .context("invitation")
    };
    let program = Binaries::find()?.directory().join("certfleet-agent");
    let enrolled = Command::new(&program)
        .arg("--config")
        .arg(&file)
        .args([
            "enrol",
            "--name",
            "host",
            "--server",
            &text("url")?,
            "--root",
        ])
        .arg(ground.cluster.root())
        .env("CERTFLEET_AGENT_TOKEN", text("token")?)
        .output()?;
    ensure!(enrolled.status.success(), "{enrolled:?}");
    let chain = nginx
        .certificates()
        .join("{name}.pem")
        .display()
        .to_string();
    let key = nginx
        .certificates()
        .join("{name}.key")
        .display()
        .to_string();
    let probe = format!("127.0.0.1:{}", nginx.port());
    let add = [
        "target",
        "add",
        "web",
        "--agent",
        "host",
        "--run",
        "reload-nginx",
    ];
    let files = ["--chain", &chain, "--key", &key, "--probe", &probe];
    certfleet(ground, &[&add[..], &files].concat())?;
    say("the agent is enrolled")?;
    let log = fs::File::create(home.join("agent.log"))?;
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(file)
        .arg("run")
        .stdin(Stdio::null());
    Ok(command.stdout(log.try_clone()?).stderr(log).spawn()?)
}

fn certfleet(ground: &Ground, arguments: &[&str]) -> Result<Value> {
    let output = ground
        .cluster
        .certfleet(&[arguments, &["--json"]].concat())?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
