//! Rate limits (ACME-13): N clients over all replicas get exactly the configured number through, at every limit.

mod attempts;
mod cost;
mod exactly;
mod exempt;
mod failover;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use certfleet_domain::ProblemKind;
use certfleet_system_tests::acme::{Account, Acme, Answer, identifiers};
use certfleet_system_tests::{Cluster, Outsider};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::reload::said;

/// Two API replicas beside those of the cluster, under settings of their own.
struct Replicas {
    replicas: [Outsider; 2],
    directory: TempDir,
}

impl Replicas {
    /// Starts them, and waits until both are ready.
    async fn start(cluster: &Cluster, limits: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("settings.yaml");
        std::fs::write(&file, yaml(limits))?;
        let settings = [("CERTFLEET_CONFIG", file.as_os_str())];
        let start = |index: usize| {
            let state = directory.path().join(index.to_string());
            std::fs::create_dir(&state)?;
            let log = directory.path().join(format!("{index}.log"));
            Outsider::start(cluster, "api", &settings, &state, &log)
        };
        let mut replicas = [start(0)?, start(1)?];
        for replica in &mut replicas {
            replica
                .await_probe("/readyz", |status, _| status == 200)
                .await?;
        }
        Ok(Self {
            replicas,
            directory,
        })
    }

    /// Gives both other limits while they run.
    async fn reload(&self, limits: &str) -> Result<()> {
        let file = self.directory.path().join("settings.yaml");
        std::fs::write(file, yaml(limits))?;
        for (index, replica) in self.replicas.iter().enumerate() {
            let log: PathBuf = self.directory.path().join(format!("{index}.log"));
            let before = std::fs::read_to_string(&log)?.len();
            replica.reload()?;
            let length = said(&log, before, "the settings were read again").await?;
            let new = std::fs::read_to_string(&log)?;
            let new = new.get(before..length).unwrap_or_default();
            ensure!(!new.contains("need a restart"), "{new}");
        }
        Ok(())
    }

    /// A client of each, whose requests come from this address.
    async fn clients_from(&self, cluster: &Cluster, from: [u8; 4]) -> Result<[Acme; 2]> {
        let http = cluster
            .http_builder()?
            .http1_only()
            .pool_max_idle_per_host(0)
            .local_address(Some(from.into()))
            .build()?;
        let [a, b] = &self.replicas;
        Ok([
            Acme::connect(http.clone(), &a.directory()).await?,
            Acme::connect(http, &b.directory()).await?,
        ])
    }

    async fn clients(&self, cluster: &Cluster) -> Result<[Acme; 2]> {
        self.clients_from(cluster, [127, 0, 0, 1]).await
    }

    /// An account, as each of the replicas calls it: they have URLs of their own.
    async fn account(&self, clients: &[Acme; 2]) -> Result<[Account; 2]> {
        let account = clients[0].new_account().await?;
        Ok([account.clone(), self.at_other(&account)])
    }

    fn at_other(&self, account: &Account) -> Account {
        Account {
            key: account.key.clone(),
            url: self.url_at_other(&account.url),
        }
    }

    /// The URL of a resource of the first replica at the second.
    fn url_at_other(&self, url: &str) -> String {
        let [a, b] = self
            .replicas
            .each_ref()
            .map(|replica| replica.directory().replace("/directory", ""));
        url.replace(&a, &b)
    }

    /// The value of a counter of a limit, over both.
    async fn counted(&self, counter: &str, limit: &str) -> Result<u64> {
        let mut sum = 0;
        for replica in &self.replicas {
            let (_, text, _) = replica.probe("/metrics").await?;
            let line = format!("{counter}{{limit=\"{limit}\"}} ");
            let values = text.lines().filter_map(|found| found.strip_prefix(&line));
            for value in values {
                sum += value.parse::<u64>()?;
            }
        }
        Ok(sum)
    }
}

fn yaml(limits: &str) -> String {
    format!("log: {{ level: info }}\nlimits: {{ {limits} }}\n")
}

/// The wish of an order.
fn wish(names: &[impl AsRef<str>]) -> Value {
    json!({ "identifiers": identifiers(names) })
}

/// New orders for these wishes, all at once, each client in turn.
async fn order_all(
    clients: &[Acme; 2],
    accounts: &[&[Account; 2]],
    wishes: &[Value],
) -> Result<Vec<Answer>> {
    let orders = wishes.iter().enumerate().map(async |(index, wish)| {
        let (client, account) = (
            &clients[index % 2],
            &accounts[index / 2 % accounts.len()][index % 2],
        );
        client
            .post(account, &client.directory().new_order, wish)
            .await
    });
    try_join_all(orders).await
}

/// How many were let through with this status; all others have to be told of the limit.
fn let_through(answers: &[Answer], status: u16, limit: &str) -> Result<usize> {
    let mut through = 0;
    for answer in answers {
        if answer.status == status {
            through += 1;
        } else {
            require_refused(answer, limit)?;
        }
    }
    Ok(through)
}

/// Whether an answer is a refusal by this limit, as it has to be.
fn require_refused(answer: &Answer, limit: &str) -> Result<()> {
    let problem = answer.expect_problem(429, ProblemKind::RateLimited)?;
    ensure!(problem.detail.contains(limit), "{}", problem.detail);
    let wait = answer.retry_after();
    ensure!(wait.is_some_and(|wait| wait.as_secs() > 0), "{wait:?}");
    ensure!(answer.nonce().is_some(), "no nonce");
    Ok(())
}
