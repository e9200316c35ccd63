//! While the cluster serves: a process that dies is told of and started again, with a growing pause if it keeps dying.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use certfleet_supervisor::Cluster;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;

/// The pause before the first restart; doubled with each that follows at once.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Who was ready for this long did not fail at its start.
const STEADY: Duration = Duration::from_secs(1);

/// Kind and index.
type Name = (String, u32);

/// A process that died, or did before.
struct Trouble {
    /// Restarts in a row after which it did not last.
    failures: u32,
    /// When it is to be started again; `None` while it runs.
    restart_at: Option<Instant>,
    /// When it was last ready.
    ready_at: Option<Instant>,
}

/// Keeps the cluster running until `shutdown`.
pub async fn supervise(cluster: &mut Cluster, progress: &Progress, shutdown: &CancellationToken) {
    let mut troubles = BTreeMap::<Name, Trouble>::new();
    loop {
        for (name, status) in dead(cluster) {
            note(&mut troubles, &name, status, progress);
        }
        let due = troubles
            .iter()
            .filter_map(|(name, trouble)| Some((trouble.restart_at?, name.clone())))
            .min();
        let Some((at, name)) = due else {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = cluster.next_exit() => continue,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = cluster.next_exit() => continue,
            () = sleep_until(at) => {}
        }
        let restart = cluster.restart(&name.0, name.1);
        let Some(restarted) = shutdown.run_until_cancelled(restart).await else {
            return;
        };
        let Some(trouble) = troubles.get_mut(&name) else {
            continue;
        };
        trouble.restart_at = None;
        match restarted {
            Ok(()) => {
                trouble.ready_at = Some(Instant::now());
                progress.note(&format!("{} {} runs again", name.0, name.1));
            }
            // It is seen as dead again in the next round.
            Err(error) => progress.note(&format!("{error}")),
        }
    }
}

/// Those that do not run, whether they were told of or not.
fn dead(cluster: &Cluster) -> Vec<(Name, ExitStatus)> {
    let services = cluster.services().iter().filter_map(|service| {
        let name = (service.spec().service.clone(), service.spec().index);
        Some((name, service.process().exit_status()?))
    });
    let members = cluster.replica_set().into_iter().flat_map(|set| {
        set.members().iter().filter_map(|member| {
            let name = ("mongod".to_owned(), member.index());
            Some((name, member.process().exit_status()?))
        })
    });
    services.chain(members).collect()
}

/// Decides when a dead process is to be started again, unless that is decided already.
fn note(
    troubles: &mut BTreeMap<Name, Trouble>,
    name: &Name,
    status: ExitStatus,
    progress: &Progress,
) {
    let trouble = troubles.entry(name.clone()).or_insert(Trouble {
        failures: 0,
        restart_at: None,
        ready_at: None,
    });
    if trouble.restart_at.is_some() {
        return;
    }
    let lasted = trouble
        .ready_at
        .take()
        .is_some_and(|ready| ready.elapsed() >= STEADY);
    if lasted {
        trouble.failures = 0;
    }
    let pause = pause(trouble.failures);
    trouble.failures += 1;
    trouble.restart_at = Some(Instant::now() + pause);
    progress.note(&format!(
        "{} {} ended unasked ({status}); it is started again in {:.1} s",
        name.0,
        name.1,
        pause.as_secs_f64()
    ));
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_with_failures_at_once_and_not_with_others() {
        let progress = Progress::new(true);
        let mut troubles = BTreeMap::new();
        let name: Name = ("worker".to_owned(), 0);
        let mut die = async |ready_for: Duration| {
            note(&mut troubles, &name, ExitStatus::from_raw(9), &progress);
            let trouble = troubles.get_mut(&name).unwrap();
            let pause = trouble.restart_at.take().unwrap() - Instant::now();
            trouble.ready_at = Some(Instant::now());
            advance(ready_for).await;
            pause
        };
        let moment = Duration::from_millis(10);
        assert_eq!(die(moment).await, FIRST_PAUSE);
        assert_eq!(die(moment).await, FIRST_PAUSE * 2);
        assert_eq!(die(STEADY).await, FIRST_PAUSE * 4);
        assert_eq!(die(moment).await, FIRST_PAUSE);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
