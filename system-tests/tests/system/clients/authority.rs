//! The authority's own certificates: what every client has to trust.

use std::fs;
use std::path::PathBuf;

use certfleet_system_tests::{Cluster, fresh_name};
use x509_parser::prelude::Pem;

use super::{Home, linter};

#[tokio::test]
async fn root_and_intermediate_pass_the_linter() {
    let cluster = Cluster::shared().await.unwrap();
    let home = Home::new(&cluster);
    let acme = cluster.acme().await.unwrap();
    let account = acme.new_account().await.unwrap();
    let issued = acme
        .issue(&account, &[fresh_name("authority")], cluster.answers())
        .await
        .unwrap();
    let intermediate = file_of(&home, issued.pem.as_bytes(), 1);
    let root = file_of(&home, &fs::read(cluster.root()).unwrap(), 0);

    // By RFC 5280: the public rules want a country and URLs of revocation lists, which an authority for a fleet's own
    // names need not have.
    linter::lint(&root, &[]);
    linter::lint(&intermediate, &[]);
    linter::lint_pair(&root, &intermediate);
}

/// A file with one of the certificates of a chain.
fn file_of(home: &Home<'_>, chain: &[u8], index: usize) -> PathBuf {
    let pem = Pem::iter_from_buffer(chain).nth(index).unwrap().unwrap();
    let file = home.path(format!("{index}.der"));
    fs::write(&file, pem.contents).unwrap();
    file
}
