//! What the services of the cluster are told: by variables, over whatever else the environment and the file of
//! `--config` say.

use std::path::{Path, PathBuf};

use certfleet_service_kit::settings::{CliSettings, ServiceSettings, Source, check_all};

use super::args::UpArgs;
use super::ports::Ports;
use crate::failure::Failure;

/// Stands for the database's address until that is known.
const NOT_YET: &str = "mongodb://127.0.0.1:1/?replicaSet=certfleet";

/// Variables for a service.
pub type Environment = Vec<(&'static str, String)>;

/// What all of the cluster's processes share.
pub struct Shared {
    source: Source,
    /// Variables for every service.
    pub environment: Environment,
    /// Where clients reach the API.
    pub api_url: String,
}

impl Shared {
    /// Gathers and checks the settings, so that a wrong one is told before anything is started.
    pub fn gather(
        args: &UpArgs,
        config: Option<PathBuf>,
        kek_file: Option<&Path>,
        ports: &Ports,
    ) -> Result<Self, Failure> {
        let api_url = format!("https://localhost:{}", args.port);
        let uri = args.mongo_uri.as_deref().unwrap_or(NOT_YET);
        let mut environment: Environment = vec![
            ("CERTFLEET_DATABASE_URI", uri.to_owned()),
            ("CERTFLEET_LOG_FORMAT", "json".to_owned()),
            // All processes share this machine: a thread for each of its cores in each of them would only meet the
            // others.
            ("TOKIO_WORKER_THREADS", threads(args).to_string()),
            ("CERTFLEET_SERVER_LISTEN", ports.api.to_string()),
            ("CERTFLEET_SERVER_EXTERNAL_URL", api_url.clone()),
            ("CERTFLEET_SERVER_REUSE_PORT", "true".to_owned()),
            ("CERTFLEET_REVOCATION_LISTEN", ports.revocation.to_string()),
            (
                "CERTFLEET_REVOCATION_URL",
                format!("http://{}", ports.revocation),
            ),
            ("CERTFLEET_AGENTS_LISTEN", ports.agents.to_string()),
            (
                "CERTFLEET_AGENTS_URL",
                format!("https://localhost:{}", ports.agents.port()),
            ),
            ("CERTFLEET_AUDIT_PUBLISH", "true".to_owned()),
            ("CERTFLEET_TLS_MODE", "managed".to_owned()),
            ("CERTFLEET_TLS_NAMES", "127.0.0.1,::1".to_owned()),
            (
                "CERTFLEET_VALIDATION_ALLOW_NETWORKS",
                "127.0.0.0/8,::1/128".to_owned(),
            ),
            ("CERTFLEET_VALIDATION_HTTP_PORT", ports.http01.to_string()),
            (
                "CERTFLEET_VALIDATION_TLS_ALPN_PORT",
                ports.tls_alpn.to_string(),
            ),
        ];
        let checkpoint = std::path::absolute(&args.data)?.join("audit.checkpoint");
        let checkpoint = checkpoint.to_string_lossy().into_owned();
        environment.push(("CERTFLEET_AUDIT_CHECKPOINT_FILE", checkpoint));
        // Without one of its own, the cluster has that of the settings.
        if let Some(file) = kek_file {
            environment.push(("CERTFLEET_KEK_FILE", file.to_string_lossy().into_owned()));
        }
        if !args.resolver.is_empty() {
            let resolvers = args.resolver.iter().map(|resolver| resolver.0.to_string());
            let resolvers: Vec<String> = resolvers.collect();
            environment.push(("CERTFLEET_VALIDATION_RESOLVERS", resolvers.join(",")));
        }
        if let Some(config) = &config {
            let config = std::path::absolute(config)?;
            environment.push(("CERTFLEET_CONFIG", config.to_string_lossy().into_owned()));
        }
        let mut source = Source::of_process(config)?;
        lay_over(&mut source, &environment);
        check_all(&source)?;
        Ok(Self {
            source,
            environment,
            api_url,
        })
    }

    /// Tells the services something more.
    pub fn tell(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// The settings for what this program itself does in the database.
    pub fn at(&mut self, mongo_uri: &str) -> Result<CliSettings, Failure> {
        if let Some((_, uri)) = self
            .environment
            .iter_mut()
            .find(|(name, _)| *name == "CERTFLEET_DATABASE_URI")
        {
            mongo_uri.clone_into(uri);
        }
        lay_over(&mut self.source, &self.environment);
        Ok(CliSettings::load(&self.source)?)
    }
}

/// How many threads each API and worker process gets, so that together they have about one per core.
fn threads(args: &UpArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processes = usize::try_from(args.api.max(args.worker)).unwrap_or(usize::MAX);
    (cores / processes.max(1)).max(1)
}

fn lay_over(source: &mut Source, environment: &Environment) {
    for (name, value) in environment {
        source.environment.insert((*name).to_owned(), value.clone());
    }
}
