use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::*;
use crate::measure::steps::Step;
use crate::peers::{Ground, Kind, Peer};
use crate::{dns, responder};

/// Full flows against a real server that resolves names at our DNS responder and validates at our HTTP-01
/// responder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_end_with_certificates_from_a_server_that_validates() {
    if std::process::Command::new("pebble")
        .arg("-help")
        .output()
        .is_err()
    {
        eprintln!("not tested: pebble is not installed (Debian package pebble)");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let answers = KeyAuthorizations::default();
    let http01 = responder::start(any, answers.clone()).await.unwrap();
    let ground = Ground {
        directory: home.path().to_owned(),
        dns: dns::start(any).await.unwrap(),
        http01_port: http01.port(),
        certfleet: PathBuf::new(),
        other: None,
        share: None,
    };
    let peer = Peer::start(Kind::PebbleValidating, &ground).await.unwrap();
    let mut plan = Plan {
        directory: peer.directory.clone(),
        tls: Arc::clone(&peer.tls),
        reach: Reach::Loopback,
        clients: 2,
        extent: Extent::Flows(6),
        names: 2,
        accounts: Accounts::PerFlow,
        flow_timeout: Duration::from_secs(30),
        answers: answers.clone(),
    };
    let per_flow = start(plan.clone()).await.unwrap();
    let summary = finished(per_flow).await;
    assert_eq!((summary.flows, summary.failed), (6, 0), "{summary:?}");
    let per_flow = |step| format!("{:.2}", summary.step(step).unwrap().per_flow);
    let counts = [Step::NewAccount, Step::NewOrder, Step::Challenge].map(per_flow);
    assert_eq!(counts, ["1.00", "1.00", "2.00"]);
    assert!(answers.is_empty());

    // Somebody who does not answer challenges gets nothing, and it is said why.
    plan.answers = KeyAuthorizations::default();
    plan.accounts = Accounts::Shared;
    plan.extent = Extent::Flows(1);
    let unanswered = start(plan).await.unwrap();
    let summary = finished(unanswered).await;
    assert_eq!((summary.flows, summary.failed), (0, 1), "{summary:?}");
    let reason = summary.failures.keys().next().unwrap();
    assert!(reason.starts_with("validation: "), "{summary:?}");
    peer.stop().await.unwrap();
}

async fn finished(running: Running) -> crate::measure::tally::Summary {
    let seen = running.finish(None).await.unwrap();
    seen.tally.summary(seen.measured)
}
