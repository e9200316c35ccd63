//! An nginx on a host, and everything that goes wrong there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::Nginx;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::host::{Agent, Host};
use super::{PATIENCE, PAUSE};
use crate::support::{refused, succeeded};

/// The serial number of what is served to whoever asks for this name.
fn served(nginx: &Nginx, name: &str) -> Result<String> {
    let line = format!(
        "openssl s_client -connect 127.0.0.1:{} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -serial",
        nginx.port()
    );
    let output = Command::new("/bin/sh").args(["-c", &line]).output()?;
    let text = succeeded(&output)?;
    let serial = text.trim().strip_prefix("serial=").context("no serial")?;
    Ok(serial.trim_start_matches('0').to_owned())
}

/// An nginx on a host.
pub(super) struct Web<'t> {
    pub(super) host: &'t Host<'t>,
    pub(super) nginx: &'t Nginx,
}

impl Web<'_> {
    pub(super) async fn one_is_served_and_renewed(&self, name: &str) -> Result<String> {
        let (host, nginx) = (self.host, self.nginx);
        let probe = format!("127.0.0.1:{}", nginx.port());
        let more = ["--run", "reload-nginx", "--probe", &probe];
        host.add_target("web", &nginx.certificates(), &more)?;
        let id = host.add(name, &["web"])?;
        let placed = host.until_placed(&id, 1).await?;
        ensure!(placed["seen"] == true && placed["name"] == name, "{placed}");
        self.is_served(&id, name)?;
        ensure!(nginx.reloads() == 1, "{} reloads", nginx.reloads());
        let key = nginx.certificates().join(format!("{name}.key"));
        let bits = fs::metadata(&key)?.permissions().mode();
        ensure!(bits & 0o777 == 0o600, "others may read the key: {bits:o}");

        host.certfleet(&["cert", "renew", &id])?;
        host.until_placed(&id, 2).await?;
        self.is_served(&id, name)?;
        ensure!(nginx.reloads() == 2, "{} reloads", nginx.reloads());
        // Once more, though nothing has changed.
        host.certfleet(&["cert", "deliver", &id])?;
        let until = Instant::now() + PATIENCE;
        while nginx.reloads() < 3 {
            ensure!(Instant::now() < until, "it is not delivered again");
            sleep(PAUSE).await;
        }
        host.until_placed(&id, 2).await?;
        Ok(id)
    }

    pub(super) fn is_served(&self, id: &str, name: &str) -> Result<()> {
        let (served, due) = (served(self.nginx, name)?, self.host.serial(id)?);
        ensure!(served == due, "{served} is served, and {due} should be");
        Ok(())
    }

    pub(super) async fn many_are_one_delivery(&self, names: &[String]) -> Result<()> {
        let before = self.nginx.reloads();
        let mut all = Vec::new();
        for name in names {
            all.push((self.host.add(name, &["web"])?, name));
        }
        for (id, name) in &all {
            self.host.until_placed(id, 1).await?;
            self.is_served(id, name)?;
        }
        // They come within seconds of each other.
        let reloads = self.nginx.reloads() - before;
        ensure!(
            reloads == 1,
            "{reloads} reloads for {} certificates",
            names.len()
        );
        Ok(())
    }

    pub(super) async fn what_the_owner_has_not_allowed_is_not_done(&self, id: &str) -> Result<()> {
        let host = self.host;
        let elsewhere = host.home.join("elsewhere");
        fs::create_dir_all(&elsewhere)?;
        // A link out of what is allowed leads out of it.
        let way_out = self.nginx.certificates().join("out");
        std::os::unix::fs::symlink(&elsewhere, &way_out)?;
        let within = self.nginx.certificates();
        for (target, directory, more, why) in [
            ("elsewhere", &elsewhere, [].as_slice(), "directories"),
            ("way-out", &way_out, &[], "directories"),
            ("command", &within, &["--run", "rm-rf"], "rm-rf"),
        ] {
            host.add_target(target, directory, more)?;
            host.certfleet(&["cert", "deliver", id, "--target", target])?;
            let is = |placement: &&Value| placement["target"] == target;
            let refused = |shown: &Value, _: &Value| {
                let all = shown["placements"].as_array();
                let placement = all.and_then(|all| all.iter().find(is));
                placement.is_some_and(|placement| {
                    let trouble = placement["trouble"].as_str().unwrap_or_default();
                    placement["status"] == "failing" && trouble.contains(why)
                })
            };
            host.until(id, refused).await?;
        }
        let written = fs::read_dir(&elsewhere)?.count();
        ensure!(written == 0, "{written} files were written elsewhere");
        // The same certificate, and another one in its place.
        let (there, none) = (
            ["cert", "deliver", id, "--target", "web"],
            ["--as", "none.example"],
        );
        let twice = refused(&host.cluster.certfleet(&there)?)?;
        ensure!(twice.contains("already"), "{twice}");
        let misnamed = refused(&host.cluster.certfleet(&[&there[..], &none].concat())?)?;
        ensure!(misnamed.contains("none of its names"), "{misnamed}");
        Ok(())
    }

    pub(super) async fn a_command_that_fails_leaves_what_was_there(
        &self,
        id: &str,
        name: &str,
    ) -> Result<()> {
        let (host, nginx) = (self.host, self.nginx);
        let files = ["pem", "key"].map(|end| nginx.certificates().join(format!("{name}.{end}")));
        let read = || -> Result<Vec<String>> {
            files
                .iter()
                .map(|file| Ok(fs::read_to_string(file)?))
                .collect()
        };
        let (before, served_before) = (read()?, served(nginx, name)?);
        let fail = host.home.join("fail");
        fs::write(&fail, "")?;
        host.certfleet(&["cert", "renew", id])?;
        let failed = host
            .until(id, |_, placement| placement["status"] == "failing")
            .await?;
        let trouble = failed["trouble"].as_str().unwrap_or_default();
        ensure!(
            trouble.contains("told to fail") && trouble.contains("exit status: 3"),
            "{failed}"
        );
        ensure!(read()? == before, "the former files are not back");
        ensure!(
            served(nginx, name)? == served_before,
            "the former is not served"
        );
        fs::remove_file(&fail)?;
        // A minute later it is tried again; a person need not wait.
        host.certfleet(&["cert", "deliver", id])?;
        host.until_placed(id, 3).await?;
        self.is_served(id, name)?;
        Ok(())
    }

    /// A certificate that lies where nothing serves it from: the probe finds another.
    pub(super) async fn what_is_not_served_is_put_back(&self, name: &str) -> Result<()> {
        let (host, nginx) = (self.host, self.nginx);
        let beside = nginx.certificates().join("beside");
        fs::create_dir_all(&beside)?;
        let probe = format!("127.0.0.1:{}", nginx.port());
        host.add_target(
            "beside",
            &beside,
            &["--run", "reload-nginx", "--probe", &probe],
        )?;
        let id = host.add(name, &["beside"])?;
        let failed = host
            .until(&id, |_, placement| placement["status"] == "failing")
            .await?;
        let trouble = failed["trouble"].as_str().unwrap_or_default();
        ensure!(
            trouble.contains("another certificate is served"),
            "{failed}"
        );
        let left = fs::read_dir(&beside)?.count();
        ensure!(left == 0, "{left} files are left");
        Ok(())
    }

    /// Somebody puts another certificate there: a worker that looks from outside sees it, has it delivered anew, and sees that it
    /// has helped.
    pub(super) async fn what_is_changed_behind_its_back_is_found_and_repaired(
        &self,
        id: &str,
        name: &str,
    ) -> Result<()> {
        let (host, nginx) = (self.host, self.nginx);
        let other = rcgen::generate_simple_self_signed(vec![name.to_owned()])?;
        let tls = nginx.certificates();
        fs::write(tls.join(format!("{name}.pem")), other.cert.pem())?;
        fs::write(
            tls.join(format!("{name}.key")),
            other.signing_key.serialize_pem(),
        )?;
        let reloaded = Command::new("/bin/sh")
            .args(["-c", &nginx.reload_line()])
            .output()?;
        succeeded(&reloaded)?;
        let endpoint = format!("127.0.0.1:{}", nginx.port());
        // An address at which nobody listens, and a name that another certificate is for.
        let nobody = format!("127.99.0.9:{}", nginx.port());
        host.certfleet(&["cert", "watch", id, &nobody, "--repair"])?;
        host.certfleet(&["cert", "watch", id, &endpoint, "--repair"])?;
        let twice = refused(&host.cluster.certfleet(&["cert", "watch", id, &endpoint])?)?;
        ensure!(twice.contains("already"), "{twice}");
        let found = self.until_drift(id, |found| found.len() == 2).await?;
        let at = |endpoint: &str| found.iter().find(|found| found["endpoint"] == endpoint);
        let (there, nowhere) = (
            at(&endpoint).context("there")?,
            at(&nobody).context("nowhere")?,
        );
        ensure!(
            there["drift"] == "otherIssuer" && there["repaired_at"].is_string(),
            "{there}"
        );
        ensure!(
            nowhere["drift"] == "unreachable" && nowhere["repaired_at"].is_null(),
            "{nowhere}"
        );
        self.until_drift(id, |found| found.len() == 1).await?;
        self.is_served(id, name)
    }

    /// What is wrong with what is served of a certificate, as soon as it is so.
    pub(super) async fn until_drift(
        &self,
        id: &str,
        is: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.host.certfleet(&["cert", "drift"])?;
            let mut found = all.as_array().context("no list")?.clone();
            found.retain(|found| found["managed"] == id);
            if is(&found) {
                return Ok(found);
            }
            ensure!(Instant::now() < until, "{found:?}");
            sleep(PAUSE).await;
        }
    }

    /// The agent is killed while the command runs: the next one finds what was there before, puts it back, and delivers.
    pub(super) async fn killed_in_the_middle(
        &self,
        id: &str,
        name: &str,
        agent: Agent,
    ) -> Result<Agent> {
        let (host, nginx) = (self.host, self.nginx);
        let file = nginx.certificates().join(format!("{name}.pem"));
        let before = fs::read_to_string(&file)?;
        let (block, blocked) = (host.home.join("block"), host.home.join("blocked"));
        fs::write(&block, "")?;
        host.certfleet(&["cert", "renew", id])?;
        let until = Instant::now() + PATIENCE;
        while !blocked.exists() {
            ensure!(Instant::now() < until, "the command was not run");
            sleep(PAUSE).await;
        }
        ensure!(
            fs::read_to_string(&file)? != before,
            "the command was run before all was written"
        );
        drop(agent);
        // Without the API there is nothing but what it has left on its disk.
        let enrolment = host.state().join("enrolment.json");
        let known = fs::read_to_string(&enrolment)?;
        let nowhere = known.replace("localhost", "127.0.0.1:1/");
        fs::write(&enrolment, nowhere)?;
        host.command()?.args(["run", "--once"]).output()?;
        ensure!(
            fs::read_to_string(&file)? == before,
            "what was there before is not back"
        );
        let kept = fs::read_dir(host.state())?.filter_map(Result::ok);
        let kept: Vec<_> = kept.map(|entry| entry.file_name()).collect();
        let copies = kept
            .iter()
            .filter(|name| name.to_string_lossy().starts_with("before"));
        ensure!(copies.count() == 0, "{kept:?}");
        fs::write(&enrolment, known)?;
        fs::remove_file(&block)?;
        let agent = host.start()?;
        host.until_placed(id, 4).await?;
        self.is_served(id, name)?;
        Ok(agent)
    }
}
