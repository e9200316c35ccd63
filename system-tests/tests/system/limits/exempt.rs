//! Renewals that say what they replace (RFC 9773 §5).

use anyhow::{Result, ensure};
use certfleet_domain::ProblemKind;
use certfleet_system_tests::{Cluster, fresh_name};

use super::{Replicas, require_refused, wish};

#[tokio::test]
async fn an_order_that_replaces_a_certificate_is_exempt() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let limits = "orders_per_account: 1/1d, orders_per_domain: 1/1d, orders_per_name_set: 1/1d";
    let replicas = Replicas::start(&cluster, limits).await?;
    let [acme, _] = replicas.clients(&cluster).await?;
    let account = acme.new_account().await?;
    let names = [fresh_name("renewed")];
    let issued = acme.issue(&account, &names, cluster.answers()).await?;
    let new_order = &acme.directory().new_order;
    let plain = wish(&names);
    let refused = acme.post(&account, new_order, &plain).await?;
    for limit in [
        "orders_per_account",
        "orders_per_domain",
        "orders_per_name_set",
    ] {
        ensure!(refused.text().contains(limit), "{}", refused.text());
    }
    require_refused(&refused, "3 problems")?;
    ensure!(
        refused.problem()?.subproblems.len() == 3,
        "{}",
        refused.text()
    );

    // One that would have other names beside is no renewal.
    let more = [names[0].clone(), fresh_name("not-renewed")];
    let mut wider = wish(&more);
    wider["replaces"] = issued.cert_id()?.to_string().into();
    let refused = acme.post(&account, new_order, &wider).await?;
    require_refused(&refused, "2 problems")?;

    let mut renewal = plain.clone();
    renewal["replaces"] = issued.cert_id()?.to_string().into();
    let (url, order) = acme.order(&account, &renewal).await?;
    let csr = certfleet_system_tests::acme::Csr::new(&names)?;
    acme.complete(&account, &url, &order, csr).await?;
    // It is replaced now: the exemption is used up.
    acme.post(&account, new_order, &renewal)
        .await?
        .expect_problem(409, ProblemKind::AlreadyReplaced)?;
    require_refused(&acme.post(&account, new_order, &plain).await?, "")?;
    Ok(())
}
