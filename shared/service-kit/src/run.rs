//! The beginning and the end of a service's `main`.
//!
//! ```no_run
//! use certfleet_service_kit::{Context, Program, run, settings::SchedulerSettings};
//!
//! fn main() -> std::process::ExitCode {
//!     let program = Program {
//!         name: env!("CARGO_PKG_NAME"),
//!         version: env!("CARGO_PKG_VERSION"),
//!         about: env!("CARGO_PKG_DESCRIPTION"),
//!     };
//!     run(program, async |context: Context<SchedulerSettings>| {
//!         context.health.started();
//!         context.signals.shutdown.cancelled().await;
//!         Ok(())
//!     })
//! }
//! ```

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::ServiceArgs;
use crate::health::Health;
use crate::listener::bind;
use crate::metrics::Metrics;
use crate::probes::management;
use crate::reload::Reload;
use crate::serve::Server;
use crate::server_id::server_id;
use crate::settings::{Base, Given, Limits, LongRunning, Notices, SecretText, Source};
use crate::shutdown::Signals;
use crate::telemetry::{self, LogLevel};
use crate::tls;
use crate::traces::Traces;

/// Exit code for settings that are not valid; the command line's mistakes have the same.
const INVALID: u8 = 2;

/// How long probes may go on after the service has ended.
const LAST_PROBES: Duration = Duration::from_secs(1);

/// What the program is.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name, such as `certfleet-api`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
}

/// What a service is given to begin with.
pub struct Context<S> {
    /// Its settings, checked.
    pub settings: S,
    /// Its rate limits, as they are by now.
    pub limits: watch::Receiver<Limits>,
    /// By what people are told, as it is by now.
    pub notices: watch::Receiver<Notices>,
    /// Who it is.
    pub server_id: ServerId,
    /// When to stop, and when to look at files again.
    pub signals: Signals,
    /// Where it registers its parts, and says that it has started.
    pub health: Arc<Health>,
    /// Where it registers its metrics.
    pub metrics: Arc<Metrics>,
}

/// Runs a service: reads arguments and settings, starts the logs and the management port, runs `main`
/// to its end, and serves the probes for as long.
///
/// Exit codes: 0 for a clean end, 1 for an error, 2 for settings or arguments that are not valid, 130
/// when a second signal cut the end short. Each error is told on standard error.
pub fn run<S, F>(program: Program, main: F) -> ExitCode
where
    S: LongRunning,
    F: AsyncFnOnce(Context<S>) -> anyhow::Result<()>,
{
    let args = ServiceArgs::of_process(program.name, program.version, program.about);
    let file = args.config();
    let loaded = Source::of_process(file.clone()).and_then(|source| S::load_given(&source));
    let (settings, running) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            tell(program, &error);
            return ExitCode::from(INVALID);
        }
    };
    if args.validate_only {
        tell(program, &"settings are valid");
        return ExitCode::SUCCESS;
    }
    match start(program, settings, file, running, main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Unlogged(error)) => {
            tell(program, &format_args!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(Failure::Logged(error)) => {
            tracing::error!("{} ends: {error:#}", program.name);
            ExitCode::FAILURE
        }
    }
}

/// Why a service has ended: before there were logs to tell it, or after.
enum Failure {
    Unlogged(anyhow::Error),
    Logged(anyhow::Error),
}

/// What there is before the logs: who the process is, and the traces, whose spans say so.
struct Beginning {
    runtime: Runtime,
    server_id: ServerId,
    log_level: LogLevel,
    traces: Option<Traces>,
}

impl Beginning {
    fn of(program: Program, base: &Base) -> anyhow::Result<Self> {
        tls::install_crypto_provider();
        let runtime = Runtime::new().context("no threads")?;
        let server_id = server_id(&base.state.dir, &SystemClock, &mut SystemRng)?;
        let traces = Traces::start(&base.telemetry, program, server_id, runtime.handle())?;
        let log_level = telemetry::init_with(&base.log, traces.as_ref().map(Traces::layer))?;
        Ok(Self {
            runtime,
            server_id,
            log_level,
            traces,
        })
    }
}

fn start<S, F>(
    program: Program,
    settings: S,
    file: Option<PathBuf>,
    running: Given,
    main: F,
) -> Result<(), Failure>
where
    S: LongRunning,
    F: AsyncFnOnce(Context<S>) -> anyhow::Result<()>,
{
    let Beginning {
        runtime,
        server_id,
        log_level,
        traces,
    } = Beginning::of(program, settings.base()).map_err(Failure::Unlogged)?;
    let base = settings.base();
    let reload = Reload {
        file,
        running,
        log_level,
        metrics_token: watch::Sender::new(base.management.metrics_token.clone()),
        limits: watch::Sender::new(settings.limits()),
        notices: watch::Sender::new(settings.notices()),
    };
    let ended = runtime.block_on(async {
        let context = context(program, settings, server_id, &reload)?;
        if let Some(traces) = &traces {
            traces.register(context.metrics.registry())?;
        }
        serve(program, context, reload, main).await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    // Not for ever: a lookup that blocks must not keep the process.
    runtime.shutdown_timeout(LAST_PROBES);
    ended.map_err(Failure::Logged)
}

/// Runs `main` to its end, and serves the probes for as long.
async fn serve<S, F>(
    program: Program,
    context: Context<S>,
    reload: Reload,
    main: F,
) -> anyhow::Result<()>
where
    S: LongRunning,
    F: AsyncFnOnce(Context<S>) -> anyhow::Result<()>,
{
    let probes = management_server(&context, reload.metrics_token.subscribe())?;
    tokio::spawn(reload.run::<S>(context.signals.clone()));
    tracing::info!(
        version = program.version,
        server_id = %context.server_id,
        management = %probes.listener.local_addr()?,
        "{} starts",
        program.name
    );
    let probes_end = CancellationToken::new();
    let probes = tokio::spawn(probes.run(probes_end.clone()));
    let ended = main(context).await;
    probes_end.cancel();
    probes.await.context("the management port")?;
    tracing::info!("{} has ended", program.name);
    ended
}

fn context<S: LongRunning>(
    program: Program,
    settings: S,
    server_id: ServerId,
    reload: &Reload,
) -> anyhow::Result<Context<S>> {
    let signals = Signals::listen().context("signals")?;
    Ok(Context {
        server_id,
        health: Arc::new(Health::new(program.version, signals.shutdown.clone())),
        metrics: Arc::new(Metrics::new(program.name, program.version)?),
        settings,
        limits: reload.limits.subscribe(),
        notices: reload.notices.subscribe(),
        signals,
    })
}

fn management_server<S: LongRunning>(
    context: &Context<S>,
    metrics_token: watch::Receiver<Option<SecretText>>,
) -> anyhow::Result<Server> {
    let settings = &context.settings.base().management;
    Ok(Server {
        listener: bind(settings.listen, false).context("management.listen")?,
        router: management(
            Arc::clone(&context.health),
            Arc::clone(&context.metrics),
            metrics_token,
        ),
        tls: None,
        drain: LAST_PROBES,
    })
}

/// For what has to be said before there are logs; a line of its own for each line.
fn tell(program: Program, text: &dyn Display) {
    for line in text.to_string().lines() {
        // Nowhere is left to say that standard error is gone.
        let _ = writeln!(std::io::stderr(), "{}: {line}", program.name);
    }
}
