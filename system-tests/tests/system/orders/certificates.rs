//! The certificate's download (RFC 8555 §7.4.2), and what is in it.

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::ProblemKind::Malformed;
use certfleet_system_tests::{Cluster, fresh_name};
use x509_parser::pem::Pem;

use crate::support::openssl;

fn certificates(pem: &str) -> Result<Vec<Vec<u8>>> {
    Pem::iter_from_buffer(pem.as_bytes())
        .map(|block| Ok(block?.contents))
        .collect()
}

#[tokio::test]
async fn a_chain_is_downloaded_with_and_without_its_root_and_openssl_takes_it() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = fresh_name("download");
    let issued = acme.issue(&account, &[&name], cluster.answers()).await?;
    let root = certificates(&std::fs::read_to_string(cluster.root())?)?
        .pop()
        .context("no root")?;

    let short = acme.read(&account, &issued.url).await?.expect(200)?;
    let [alternate] = &short.links("alternate")[..] else {
        anyhow::bail!("Link: alternate: {:?}", short.headers);
    };
    let long = acme.read(&account, alternate).await?.expect(200)?;
    ensure!(
        long.links("alternate") == [issued.url.clone()],
        "{:?}",
        long.headers
    );
    for answer in [&short, &long] {
        let media_type = answer.header("content-type");
        ensure!(
            media_type == Some("application/pem-certificate-chain"),
            "{media_type:?}"
        );
        ensure!(
            answer.links("index") == [acme.index()],
            "{:?}",
            answer.headers
        );
    }
    let mut chain = certificates(&short.text())?;
    ensure!(
        chain.len() == 2 && chain[0] == issued.certificate,
        "{} certificates",
        chain.len()
    );
    chain.push(root);
    ensure!(
        certificates(&long.text())? == chain,
        "the alternate is not the chain and the root"
    );
    acme.read(&account, &format!("{}/2", issued.url))
        .await?
        .expect_problem(404, Malformed)?;

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("chain.pem");
    std::fs::write(&file, &issued.pem)?;
    let (file, root) = (
        file.to_str().context("path")?,
        cluster.root().to_str().context("path")?,
    );
    let arguments = [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        &name,
        "-CAfile",
        root,
    ];
    openssl(&[&arguments[..], &["-untrusted", file, file]].concat())?;
    Ok(())
}
