//! Certificates are revoked while the workers that sign CRLs and OCSP answers die, and stand still with lists in their
//! hands that are old when they go on.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_crash_points::{CrashPoint, Strike};
use certfleet_supervisor::Signal;
use certfleet_system_tests::acme::{Account, Acme};
use certfleet_system_tests::{Plan, RelyingParty, fresh_name};
use futures_util::future::try_join_all;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use x509_parser::{parse_x509_certificate, parse_x509_crl};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::{Ground, LEASE, PAUSE};
use crate::load::{Clients, Load};
use crate::points::Points;

const CLIENTS: usize = 4;
const REVOKERS: usize = 2;
const WORKERS: u32 = 4;
const POINTS: [CrashPoint; 3] = [
    CrashPoint::RevokedRead,
    CrashPoint::CrlWritten,
    CrashPoint::OcspResponseSigned,
];
/// Lists are signed every ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longer than a lease, and than another run that signs the same list.
const STANDS_STILL: Duration = Duration::from_secs(LEASE.as_secs() + 15);
/// CA-4.
const LISTED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let mut plan = Plan::new("revocation");
    plan.worker = WORKERS;
    let kills = setting.scale.of(1, 10);
    let pauses = setting.scale.of(1, 5);
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let stop = CancellationToken::new();
            let revokers: Vec<_> = (0..REVOKERS).map(|_| employ(ground, &stop)).collect();
            let points = Points::of(ground, "certfleet-worker");
            for point in POINTS.iter().cycle().take(POINTS.len() * kills) {
                points.strike(*point, Strike::Kill, PATIENCE).await?;
            }
            figures.add("workers killed while they signed", POINTS.len() * kills);
            for _ in 0..pauses {
                let pid = points
                    .strike(CrashPoint::RevokedRead, Strike::Pause, PATIENCE)
                    .await?;
                sleep(STANDS_STILL).await;
                kill(Pid::from_raw(pid), Signal::SIGCONT).context("it is gone")?;
            }
            figures.add("workers paused with an old list in their hands", pauses);
            stop.cancel();
            let revoked: Vec<Told> = try_join_all(revokers)
                .await?
                .into_iter()
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect();
            figures.add("certificates revoked, OCSP told so at once", revoked.len());
            let slowest = all_listed(ground, &revoked).await?;
            figures.add(
                "the longest until the CRL listed one",
                format!("{slowest:.1?}"),
            );
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// A certificate that was revoked.
struct Told {
    serial: Vec<u8>,
    crl: String,
    /// How long it took until the CRL listed it, where that was found out at once.
    listed_after: Option<Duration>,
}

/// Somebody who revokes one certificate after the other, and looks at what relying parties are told.
fn employ(ground: &Ground, stop: &CancellationToken) -> JoinHandle<Result<Vec<Told>>> {
    let (ground, stop) = (ground.clone(), stop.clone());
    tokio::spawn(async move {
        let acme = ground.acme().await?.retrying(PATIENCE);
        let account = acme.new_account().await?;
        let mut all = Vec::new();
        while !stop.is_cancelled() {
            all.push(revoke(&ground, &acme, &account, all.len()).await?);
        }
        Ok(all)
    })
}

async fn revoke(ground: &Ground, acme: &Acme, account: &Account, number: usize) -> Result<Told> {
    let name = fresh_name("revoked");
    let issued = acme.issue(account, &[&name], ground.answers()).await?;
    let party = RelyingParty::new(ground.root(), &issued)?;
    told(&party, "good").await?;
    acme.revoke(account, &issued.certificate, Some(1))
        .await?
        .expect(200)?;
    let revoked_at = Instant::now();
    told(&party, "revoked").await?;
    let (_, certificate) = parse_x509_certificate(&issued.certificate)?;
    let serial = certificate.raw_serial().to_vec();
    let mut listed_after = None;
    // Every tenth is waited for; of all others it is looked for in the end.
    while number.is_multiple_of(10) && listed_after.is_none() {
        let listed = serials(&party.fetch_crl().await?)?.contains(&serial);
        listed_after = listed.then(|| revoked_at.elapsed());
        ensure!(
            revoked_at.elapsed() < LISTED_WITHIN,
            "{name} is not listed after {LISTED_WITHIN:?}"
        );
        sleep(PAUSE).await;
    }
    Ok(Told {
        serial,
        crl: party.crl.clone(),
        listed_after,
    })
}

/// Asks until there is an answer, as a worker that is killed leaves none; it has to be this one.
async fn told(party: &RelyingParty, due: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        // The answers to challenges come from this runtime as well.
        match block_in_place(|| party.ask_ocsp(&[])) {
            Ok(said) if said.contains(&format!("leaf.pem: {due}")) => return Ok(()),
            Ok(said) => ensure!(said.contains("trylater"), "{said} where {due} is due"),
            Err(error) => ensure!(Instant::now() < until, "{due} is due: {error}"),
        }
        sleep(PAUSE).await;
    }
}

/// Every one of them is in the CRL that it names, and nothing is there that was not revoked. Gives the longest that it took.
async fn all_listed(ground: &Ground, revoked: &[Told]) -> Result<Duration> {
    let http = reqwest::Client::builder().timeout(LISTED_WITHIN).build()?;
    let until = Instant::now() + LISTED_WITHIN;
    let all: BTreeSet<&[u8]> = revoked.iter().map(|one| one.serial.as_slice()).collect();
    ensure!(all.len() == revoked.len() && !all.is_empty());
    let urls: BTreeSet<&str> = revoked.iter().map(|one| one.crl.as_str()).collect();
    loop {
        let mut listed = BTreeSet::new();
        for url in &urls {
            let response = http.get(*url).send().await?.error_for_status()?;
            listed.extend(serials(&response.bytes().await?)?);
        }
        let strangers = listed.iter().filter(|one| !all.contains(one.as_slice()));
        ensure!(
            strangers.count() == 0,
            "something is listed that was not revoked"
        );
        if listed.len() == all.len() {
            break;
        }
        let missing = all.len() - listed.len();
        ensure!(Instant::now() < until, "{missing} are not listed");
        sleep(PAUSE).await;
    }
    let database = ground.database().await?;
    let unlisted = doc! { "unlisted": true };
    while database.count("certificates", unlisted.clone()).await? > 0 {
        ensure!(
            Instant::now() < until,
            "it is not noted that all are listed"
        );
        sleep(PAUSE).await;
    }
    let slowest = revoked.iter().filter_map(|one| one.listed_after).max();
    slowest.context("none was waited for")
}

fn serials(crl: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
    let (_, list) = parse_x509_crl(crl)?;
    let listed = list.iter_revoked_certificates();
    Ok(listed.map(|one| one.raw_serial().to_vec()).collect())
}
