//! `certfleet up`, broken off, killed and started again: each start ends well, or says in one line what to do; the data
//! stays; nothing is left running.

use std::time::Duration;

use anyhow::{Result, ensure};
use certfleet_supervisor::{Signal, pick_free_ports};
use certfleet_system_tests::up::{Ground, root};
use tokio::time::sleep;

use crate::support::refused;

/// How long a start may take on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(120);
const END_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn it_is_interrupted_killed_and_started_again_on_the_same_data() -> Result<()> {
    let port = pick_free_ports(1)?[0];
    let ground = Ground::new(port).await?;
    for milliseconds in [100, 1_000, 3_000, 6_000] {
        let up = ground.up().await?;
        sleep(Duration::from_millis(milliseconds)).await;
        up.signal(Signal::SIGINT)?;
        up.end(END_WITHIN).await?;
        let left = ground.left()?;
        ensure!(
            left.is_empty(),
            "interrupted after {milliseconds} ms: {left:#?}"
        );
    }

    // Killed in the middle of a start, so that it cannot stop what it has started.
    let up = ground.up().await?;
    sleep(Duration::from_secs(4)).await;
    up.signal(Signal::SIGKILL)?;
    up.end(END_WITHIN).await?;

    let mut up = ground.up().await?;
    let first = root(&up.summary(START_WITHIN).await?)?;

    // Beside itself: on the same data, and on the same port.
    let said = refused(&ground.up_in_vain()?)?;
    let data = ground.data().display().to_string();
    ensure!(said.contains(&data), "{said}");
    let other = Ground::new(port).await?;
    let said = refused(&other.up_in_vain()?)?;
    ensure!(said.contains(&port.to_string()), "{said}");
    ensure!(other.left()?.is_empty(), "{:#?}", other.left()?);

    // Killed while it serves.
    up.signal(Signal::SIGKILL)?;
    up.end(END_WITHIN).await?;
    let mut up = ground.up().await?;
    let again = root(&up.summary(START_WITHIN).await?)?;
    ensure!(first == again, "it has begun with another root");

    up.signal(Signal::SIGTERM)?;
    let status = up.end(END_WITHIN).await?;
    ensure!(status.success(), "it ended with {status}");
    let left = ground.left()?;
    ensure!(left.is_empty(), "{left:#?}");
    Ok(())
}
