//! A command of the host's owner, run once for all that was delivered.

use std::process::Stdio;
use std::time::Duration;

use certfleet_agent_protocol::Item;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// So much of what a command says is kept, in octets: the end of it.
const KEPT: usize = 400;

/// What a command reads: all of it at once, as a JSON array on its standard input.
#[derive(Serialize)]
struct Told<'a> {
    target: &'a str,
    name: &'a str,
    files: Vec<&'a str>,
}

/// Runs it; else why it failed.
pub async fn run(line: &[String], items: &[Item], within: Duration) -> Result<(), String> {
    let (program, arguments) = line.split_first().ok_or("there is no program")?;
    let told: Vec<Told<'_>> = items
        .iter()
        .map(|item| Told {
            target: item.target.as_str(),
            name: &item.served_name,
            files: item.files.iter().map(|file| file.path.as_str()).collect(),
        })
        .collect();
    let told = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Whether it reads it is its own business.
    let tell = async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&told).await;
        }
    };
    let running = async {
        let ((), said, complaint, status) =
            tokio::join!(tell, end_of(stdout), end_of(stderr), child.wait());
        (said, complaint, status)
    };
    let Ok((said, complaint, status)) = timeout(within, running).await else {
        if let Some(group) = group {
            // Whatever it has started goes with it.
            let _ = killpg(group, Signal::SIGKILL);
        }
        return Err(format!("not done within {within:?}: killed"));
    };
    let status = status.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let why = if complaint.is_empty() {
        said
    } else {
        complaint
    };
    Err(format!("{status}: {why}"))
}

/// The end of what is said, read to where it is over.
async fn end_of(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            kept.extend_from_slice(piece.get(..read).unwrap_or_default());
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
