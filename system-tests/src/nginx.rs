//! A real nginx, with a server for each name.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::{Signal, pick_free_ports};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rcgen::generate_simple_self_signed;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long it may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A running nginx. It is stopped when this is dropped.
pub struct Nginx {
    home: PathBuf,
    port: u16,
    process: Child,
}

impl Nginx {
    /// Serves these names with certificates of its own making, from `tls/NAME.pem` and `tls/NAME.key` in its home.
    pub async fn start(home: &Path, names: &[String]) -> Result<Self> {
        let port = *pick_free_ports(1)?.first().context("no free port")?;
        let tls = home.join("tls");
        fs::create_dir_all(&tls)?;
        for name in names {
            let made = generate_simple_self_signed(vec![name.clone()])?;
            fs::write(tls.join(format!("{name}.pem")), made.cert.pem())?;
            fs::write(
                tls.join(format!("{name}.key")),
                made.signing_key.serialize_pem(),
            )?;
        }
        fs::write(home.join("nginx.conf"), configuration(home, port, names)?)?;
        let process = Command::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(home)
            .arg("-c")
            .arg(home.join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(
                "nginx is not there: `make test` installs it, or `apt-get install nginx-light`",
            )?;
        let nginx = Self {
            home: home.to_owned(),
            port,
            process,
        };
        nginx.await_listening().await?;
        Ok(nginx)
    }

    async fn await_listening(&self) -> Result<()> {
        let until = Instant::now() + LISTENS_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            ensure!(
                Instant::now() < until,
                "nginx does not listen: {}",
                self.log()
            );
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The port on 127.0.0.1 at which it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its certificates lie.
    pub fn certificates(&self) -> PathBuf {
        self.home.join("tls")
    }

    /// The command line that has it load its certificates again, after a look at whether they are good.
    pub fn reload_line(&self) -> String {
        let (home, file) = (self.home.display(), self.home.join("nginx.conf"));
        let nginx = format!("/usr/sbin/nginx -p {home} -c {}", file.display());
        format!("{nginx} -q -t && {nginx} -s reload")
    }

    /// How often it has loaded its certificates again.
    pub fn reloads(&self) -> usize {
        self.log().matches("signal 1 (SIGHUP) received").count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.process.wait();
    }
}

fn configuration(home: &Path, port: u16, names: &[String]) -> Result<String> {
    let home = home.display();
    let mut text = format!(
        "daemon off;\nworker_processes 1;\npid {home}/nginx.pid;\nerror_log {home}/error.log notice;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\naccess_log off;\nserver_names_hash_max_size 8192;\nserver_names_hash_bucket_size 128;\n\
         client_body_temp_path {home}/body;\nproxy_temp_path {home}/proxy;\nfastcgi_temp_path {home}/fastcgi;\n\
         uwsgi_temp_path {home}/uwsgi;\nscgi_temp_path {home}/scgi;\n",
    );
    for name in names {
        writeln!(
            text,
            "server {{ listen 127.0.0.1:{port} ssl; server_name {name}; ssl_certificate {home}/tls/{name}.pem; \
             ssl_certificate_key {home}/tls/{name}.key; return 200 ok; }}"
        )?;
    }
    text.push_str("}\n");
    Ok(text)
}
