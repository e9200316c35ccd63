//! Certificates of the fleet on a host: a real agent before a real nginx, which is killed, lied to, shut out, and has commands
//! that fail.

mod host;
mod web;

use std::fs;
use std::net::Ipv4Addr;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::{Clock as _, SystemClock};
use certfleet_system_tests::{Cluster, Nginx, Outsider, fresh_name};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Identity;
use serde_json::json;
use tokio::time::{Instant, sleep};

use self::host::{Agent, Host};
use self::web::Web;
use crate::support::{refused, succeeded};

const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);
/// Where the authority finds what the fleet shows.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_served_where_they_should_be_whatever_fails_on_the_host() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let home = tempfile::tempdir()?;
    let mut api = Outsider::proving(&cluster, ADDRESS, home.path()).await?;
    let names: Vec<String> = (0..12).map(|_| fresh_name("web")).collect();
    let nginx = Nginx::start(&home.path().join("nginx"), &names).await?;
    let host = Host::new(&cluster, home.path())?;
    let reload = host.told_to_fail_or_to_stand_still(&nginx.reload_line());
    host.allow(&[nginx.certificates()], &[("reload-nginx", &reload)])?;

    only_who_was_invited_gets_in(&host)?;
    let agent = host.start()?;
    let web = Web {
        host: &host,
        nginx: &nginx,
    };
    let id = web.one_is_served_and_renewed(&names[0]).await?;
    web.many_are_one_delivery(&names[1..11]).await?;
    web.what_the_owner_has_not_allowed_is_not_done(&id).await?;
    web.a_command_that_fails_leaves_what_was_there(&id, &names[0])
        .await?;
    web.what_is_not_served_is_put_back(&names[11]).await?;
    web.what_is_changed_behind_its_back_is_found_and_repaired(&id, &names[0])
        .await?;
    let agent = web.killed_in_the_middle(&id, &names[0], agent).await?;
    let agent = host
        .shows_another_certificate_before_its_own_is_over(agent)
        .await?;
    host.who_is_invited_anew_is_shut_out(agent).await?;

    succeeded(&cluster.certfleet(&["audit", "verify"])?)?;
    api.end().await?;
    Ok(())
}

fn only_who_was_invited_gets_in(host: &Host<'_>) -> Result<()> {
    let run_once = || {
        host.command()?
            .args(["run", "--once"])
            .output()
            .context("agent")
    };
    ensure!(
        said(&run_once()?).contains("not enrolled"),
        "it runs without being known"
    );
    let (url, token) = host.invite(&[])?;
    let again = refused(&host.cluster.certfleet(&["agent", "invite", &host.name])?)?;
    ensure!(again.contains("--again"), "{again}");
    let wrong = host.enrol(&(url.clone(), "x".repeat(43)))?;
    ensure!(said(&wrong).contains("token"), "{wrong:?}");
    succeeded(&host.enrol(&(url.clone(), token.clone()))?)?;
    // Another host with the same token.
    let other = Host {
        cluster: host.cluster,
        name: host.name.clone(),
        home: host.home.join("other"),
    };
    fs::create_dir_all(&other.home)?;
    other.allow(&[], &[])?;
    let late = other.enrol(&(url.clone(), token))?;
    ensure!(said(&late).contains("used before"), "{late:?}");
    let plain = other.enrol(&(url.replace("https", "http"), "x".to_owned()))?;
    ensure!(said(&plain).contains("https"), "{plain:?}");
    let nothing_due = run_once()?;
    ensure!(nothing_due.status.success(), "{nothing_due:?}");
    Ok(())
}

/// What a command that fails says.
fn said(output: &Output) -> String {
    if output.status.success() {
        return String::new();
    }
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Host<'_> {
    /// A shell line that fails while there is a file `fail` in its home, and stands still while there is one called `block`.
    fn told_to_fail_or_to_stand_still(&self, line: &str) -> String {
        let home = self.home.display();
        format!(
            "if [ -e {home}/fail ]; then echo told to fail >&2; exit 3; fi; \
             if [ -e {home}/block ]; then touch {home}/blocked; exec sleep 100; fi; {line}"
        )
    }

    /// An agent whose certificate is in the last third of its life makes another, which the API goes by from then on.
    async fn shows_another_certificate_before_its_own_is_over(
        &self,
        agent: Agent,
    ) -> Result<Agent> {
        drop(agent);
        let (url, token) = self.invite(&["--again"])?;
        let old = identity(&self.name, 25, 5)?;
        fs::write(self.state().join("identity-enrolling.pem"), &old)?;
        succeeded(&self.enrol(&(url.clone(), token))?)?;
        ensure!(
            self.ask(&url, &old).await? == 200,
            "it is not known by the certificate it enrolled with"
        );
        let agent = self.start()?;
        let until = Instant::now() + PATIENCE;
        while self.ask(&url, &old).await? == 200 {
            ensure!(
                Instant::now() < until,
                "the former certificate still counts"
            );
            sleep(PAUSE).await;
        }
        let shown = fs::read_to_string(self.state().join("identity.pem"))?;
        ensure!(
            shown != old && self.ask(&url, &shown).await? == 200,
            "the next one does not count"
        );
        Ok(agent)
    }

    async fn who_is_invited_anew_is_shut_out(&self, agent: Agent) -> Result<()> {
        let shown = fs::read_to_string(self.state().join("identity.pem"))?;
        let (url, _) = self.invite(&["--again"])?;
        ensure!(self.ask(&url, &shown).await? == 403, "it is let in yet");
        ensure!(
            self.ask(&url, &identity("stranger", 1, 5)?).await? == 403,
            "a stranger is let in"
        );
        drop(agent);
        let listed = self.certfleet(&["agent", "list"])?;
        let all = listed.as_array().context("no list")?;
        let own = all.iter().find(|agent| agent["name"] == self.name.as_str());
        let own = own.context("it is not listed")?;
        ensure!(
            own["status"] == "invited" && own["heard_of_at"].is_string(),
            "{own}"
        );
        Ok(())
    }

    /// Asks for what is due, as whoever has this identity; gives the status.
    async fn ask(&self, url: &str, identity: &str) -> Result<u16> {
        let identity = Identity::from_pem(identity.as_bytes())?;
        let http = self.cluster.http_builder()?.identity(identity).build()?;
        let ask = json!({ "wait": 0, "software": "test" });
        let answer = http
            .post(format!("{url}/agent/v1/deliveries"))
            .json(&ask)
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }
}

/// A certificate of an agent's own making, that began and ends so many days from now, with its key.
fn identity(name: &str, began: i64, ends: i64) -> Result<String> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    let now = SystemClock.now();
    params.not_before = now - time::Duration::days(began);
    params.not_after = now + time::Duration::days(ends);
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}
