//! Certificates of the fleet on a host: a real agent before a real nginx, which is killed, lied to, shut out, and has commands
//! that fail.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::{Clock as _, SystemClock};
use certfleet_system_tests::{Binaries, Cluster, Nginx, Outsider, fresh_name};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Identity;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{refused, succeeded};

const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);
/// Where the authority finds what the fleet shows.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 8);

/// A host: its agent's settings and state, and what it serves.
struct Host<'c> {
    cluster: &'c Cluster,
    name: String,
    home: PathBuf,
}

/// A running agent; killed when this is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'c> Host<'c> {
    fn new(cluster: &'c Cluster, home: &Path) -> Result<Self> {
        let name = fresh_name("host")
            .split('.')
            .next()
            .context("a name")?
            .to_owned();
        Ok(Self {
            cluster,
            name: name.chars().take(32).collect(),
            home: home.to_owned(),
        })
    }

    fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// Lets the agent write below these, and run these shell lines.
    fn allow(&self, directories: &[PathBuf], commands: &[(&str, &str)]) -> Result<()> {
        let commands: serde_json::Map<String, Value> = commands
            .iter()
            .map(|(name, line)| ((*name).to_owned(), json!(["/bin/sh", "-c", line])))
            .collect();
        let settings = json!({
            "state": self.state(),
            "directories": directories,
            "commands": commands,
            "probe_seconds": 5,
            "command_seconds": 20,
        });
        // YAML has all of JSON.
        Ok(fs::write(
            self.home.join("agent.yaml"),
            settings.to_string(),
        )?)
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(Binaries::find()?.directory().join("certfleet-agent"));
        command
            .arg("--config")
            .arg(self.home.join("agent.yaml"))
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Invites it; gives the URL and the token.
    fn invite(&self, more: &[&str]) -> Result<(String, String)> {
        let invited = self.certfleet(&[&["agent", "invite", &self.name], more].concat())?;
        let text = |field: &str| invited[field].as_str().map(str::to_owned);
        Ok((text("url").context("url")?, text("token").context("token")?))
    }

    fn enrol(&self, (url, token): &(String, String)) -> Result<Output> {
        let mut command = self.command()?;
        command.args(["enrol", "--server", url, "--name", &self.name, "--root"]);
        command
            .arg(self.cluster.root())
            .env("CERTFLEET_AGENT_TOKEN", token);
        Ok(command.output()?)
    }

    fn start(&self) -> Result<Agent> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.join("agent.log"))?;
        let mut command = self.command()?;
        let child = command
            .arg("run")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Agent(child))
    }

    fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cluster.certfleet(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    fn add_target(&self, target: &str, directory: &Path, more: &[&str]) -> Result<()> {
        let chain = directory.join("{name}.pem").display().to_string();
        let key = directory.join("{name}.key").display().to_string();
        let add = ["target", "add", target, "--agent", &self.name];
        let files = ["--chain", &chain, "--key", &key];
        self.certfleet(&[&add[..], &files, more].concat()).map(drop)
    }

    /// Has a certificate for this name, at these targets; gives its id.
    fn add(&self, name: &str, targets: &[&str]) -> Result<String> {
        self.cluster.answers().add_address(name, ADDRESS.into());
        let mut arguments = vec!["cert", "add", name, "--upstream", "own"];
        for target in targets {
            arguments.extend(["--target", target]);
        }
        let added = self.certfleet(&arguments)?;
        Ok(added["id"].as_str().context("no id")?.to_owned())
    }

    /// The first placement of a certificate, as soon as it is so.
    async fn until(&self, id: &str, is: impl Fn(&Value, &Value) -> bool) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.certfleet(&["cert", "show", id])?;
            let placement = &shown["placements"][0];
            if is(&shown, placement) {
                return Ok(placement.clone());
            }
            if Instant::now() >= until {
                let log = fs::read_to_string(self.home.join("agent.log")).unwrap_or_default();
                anyhow::bail!("{shown}\n{log}");
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until the latest of so many versions is at the first target.
    async fn until_placed(&self, id: &str, versions: usize) -> Result<Value> {
        self.until(id, |shown, placement| {
            let had = shown["versions"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let latest = had.last().map(|version| &version["id"]);
            had.len() == versions
                && placement["status"] == "placed"
                && Some(&placement["version"]) == latest
        })
        .await
    }

    /// The serial number of the current certificate, as OpenSSL writes it.
    fn serial(&self, id: &str) -> Result<String> {
        let shown = self.certfleet(&["cert", "show", id])?;
        let serial = shown["serial"].as_str().context("no serial")?;
        Ok(serial.trim_start_matches('0').to_uppercase())
    }
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_served_where_they_should_be_whatever_fails_on_the_host() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let home = tempfile::tempdir()?;
    let listen = format!("{ADDRESS}:{}", cluster.answers().http01().port());
    let settings = [("CERTFLEET_REVOCATION_LISTEN", OsStr::new(&listen))];
    let log = home.path().join("api.log");
    let mut api = Outsider::start(&cluster, "api", &settings, &home.path().join("api"), &log)?;
    api.await_probe("/readyz", |status, _| status == 200)
        .await?;
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

/// An nginx on a host.
struct Web<'t> {
    host: &'t Host<'t>,
    nginx: &'t Nginx,
}

impl Web<'_> {
    async fn one_is_served_and_renewed(&self, name: &str) -> Result<String> {
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

    fn is_served(&self, id: &str, name: &str) -> Result<()> {
        let (served, due) = (served(self.nginx, name)?, self.host.serial(id)?);
        ensure!(served == due, "{served} is served, and {due} should be");
        Ok(())
    }

    async fn many_are_one_delivery(&self, names: &[String]) -> Result<()> {
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

    async fn what_the_owner_has_not_allowed_is_not_done(&self, id: &str) -> Result<()> {
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

    async fn a_command_that_fails_leaves_what_was_there(&self, id: &str, name: &str) -> Result<()> {
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
    async fn what_is_not_served_is_put_back(&self, name: &str) -> Result<()> {
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
    async fn what_is_changed_behind_its_back_is_found_and_repaired(
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
    async fn until_drift(&self, id: &str, is: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
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
    async fn killed_in_the_middle(&self, id: &str, name: &str, agent: Agent) -> Result<Agent> {
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
