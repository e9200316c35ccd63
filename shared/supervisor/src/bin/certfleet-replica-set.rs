//! `certfleet-replica-set DIRECTORY [COMMAND [ARGUMENT]...]`: a replica set on loopback, for a command or until Ctrl-C.
//!
//! The command, if there is one, runs with `CERTFLEET_TEST_MONGO_URI` set, and its exit code becomes this program's:
//! one set for all the test programs of a run. Without a command, the connection string is written to standard output.
//! The data stays in the directory; mongod is looked for as everywhere else, tools being cached in `.certfleet/tools`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use certfleet_supervisor::{Cluster, Mongo, MongodBinary, MongodOptions};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let directory = match arguments.next() {
        Some(directory) if !directory.to_string_lossy().starts_with('-') => directory,
        // Nobody means a directory of the name `--help`.
        _ => return fail("usage: certfleet-replica-set DIRECTORY [COMMAND [ARGUMENT]...]"),
    };
    match run(Path::new(&directory), arguments.collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nowhere is left to tell of an error on standard error.
    let _ = writeln!(io::stderr(), "certfleet-replica-set: {message}");
    ExitCode::FAILURE
}

async fn run(
    directory: &Path,
    command: Vec<OsString>,
) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let work = async {
        let mongod = MongodBinary::find(None, Path::new(".certfleet/tools")).await?;
        let options = MongodOptions {
            test_commands: true,
            ..MongodOptions::default()
        };
        let cluster = Cluster::open(directory, Mongo::Own(mongod, options)).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(cluster)
    };
    let cluster = tokio::select! {
        cluster = work => cluster?,
        _ = terminate.recv() => return Ok(1),
        _ = interrupt.recv() => return Ok(1),
    };
    let task = attend(cluster.mongo_uri().to_owned(), command);
    let done = tokio::select! {
        code = task => code,
        _ = terminate.recv() => Ok(0),
        _ = interrupt.recv() => Ok(0),
        exited = cluster.next_exit() => {
            Err(format!("{} {} ended unasked: {}", exited.service, exited.index, exited.status).into())
        }
    };
    cluster.stop().await?;
    done
}

async fn attend(
    uri: String,
    command: Vec<OsString>,
) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    let Some((program, arguments)) = command.split_first() else {
        writeln!(io::stdout(), "{uri}")?;
        return std::future::pending().await;
    };
    let status = Command::new(program)
        .args(arguments)
        .env("CERTFLEET_TEST_MONGO_URI", uri)
        .kill_on_drop(true)
        .status()
        .await?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
