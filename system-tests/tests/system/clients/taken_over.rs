//! What certbot and lego have had is taken over by the fleet (DEP-5), with its keys, once; and what does not fit is not.

use std::fs;
use std::path::Path;

use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::Value;

use super::{Home, address_for};
use crate::support::succeeded;

fn certfleet(cluster: &Cluster, arguments: &[&str]) -> Value {
    let output = cluster
        .certfleet(&[arguments, &["--json"]].concat())
        .unwrap();
    serde_json::from_str(&succeeded(&output).unwrap()).unwrap()
}

/// What `cert import` says of each, whether it took all of them or not.
fn import(cluster: &Cluster, client: &str, directory: &Path, more: &[&str]) -> (Vec<Value>, bool) {
    let directory = directory.display().to_string();
    let line = [
        "cert",
        "import",
        "--from",
        client,
        &directory,
        "--upstream",
        "own",
        "--json",
    ];
    let output = cluster.certfleet(&[&line[..], more].concat()).unwrap();
    let said = serde_json::from_slice(&output.stdout);
    let said: Vec<Value> = said.unwrap_or_else(|_| panic!("{output:?}"));
    (said, output.status.success())
}

/// Its files are what is kept.
fn is_kept(cluster: &Cluster, id: &str, chain: &Path, key: &Path) {
    let shown = certfleet(cluster, &["cert", "show", id]);
    assert_eq!(shown["status"], "valid", "{shown}");
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name).display().to_string();
    let (to_chain, to_key) = (file("chain"), file("key"));
    certfleet(
        cluster,
        &["cert", "export", id, "--chain", &to_chain, "--key", &to_key],
    );
    let first = |path: &Path| pem::parse_many(fs::read(path).unwrap()).unwrap().remove(0);
    assert_eq!(
        first(Path::new(&to_chain)).contents(),
        first(chain).contents()
    );
    let public = |path: &Path| {
        let path = path.display().to_string();
        crate::support::openssl(&["pkey", "-in", &path, "-pubout"]).unwrap()
    };
    assert_eq!(public(Path::new(&to_key)), public(key));
}

#[tokio::test]
async fn certbots_and_legos_with_their_keys_once() {
    let cluster = Cluster::shared().await.unwrap();
    let (one, two) = (fresh_name("taken"), fresh_name("taken"));
    let address = address_for(&cluster, &[one.as_str(), two.as_str()]);
    let port = cluster.answers().http01().port();
    let directory = cluster.directory();
    let certbot = Home::new(&cluster).trusting_by("REQUESTS_CA_BUNDLE");
    let options = "--config-dir config --work-dir work --logs-dir logs --non-interactive";
    certbot.run(&format!(
        "certbot {options} --server {directory} certonly --standalone --http-01-address {address} --http-01-port {port} \
         --agree-tos --no-eff-email -m taken@certbot.test --key-type rsa -d {one}"
    ));
    let lego = Home::new(&cluster).trusting_by("LEGO_CA_CERTIFICATES");
    lego.run(&format!(
        "lego --path state --accept-tos --email taken@lego.test --server {directory} --http --http.port {address}:{port} \
         -d {two} run"
    ));

    // A lineage whose key is another's.
    let config = certbot.path("config");
    let strange = config.join("live/strange");
    fs::create_dir_all(&strange).unwrap();
    let live = config.join("live").join(&one);
    let certificates = lego.path("state/certificates");
    fs::copy(live.join("fullchain.pem"), strange.join("fullchain.pem")).unwrap();
    let other_key = certificates.join(format!("{two}.key"));
    fs::copy(&other_key, strange.join("privkey.pem")).unwrap();

    let (said, all) = import(&cluster, "certbot", &config, &["--dry-run"]);
    assert!(!all && said.len() == 2, "{said:?}");
    let (said, all) = import(&cluster, "certbot", &config, &[]);
    let find = |said: &[Value], outcome: &str| {
        let found = said.iter().find(|one| one["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("{said:?}")).clone()
    };
    assert!(!all);
    let why = find(&said, "refused")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("not the key of"), "{why}");
    let taken = find(&said, "imported");
    assert_eq!(taken["names"], serde_json::json!([one]));
    let id = taken["id"].as_str().unwrap();
    is_kept(
        &cluster,
        id,
        &live.join("fullchain.pem"),
        &live.join("privkey.pem"),
    );
    // Of the same authority: it is asked for its suggestion.
    let database = cluster.database().await.unwrap();
    let stored = database
        .find("managed_certificates", bson::doc! { "_id": id })
        .await
        .unwrap();
    assert!(
        stored[0]
            .get_document("current")
            .unwrap()
            .contains_key("cert_id"),
        "{stored:?}"
    );
    fs::remove_dir_all(&strange).unwrap();
    let (said, all) = import(&cluster, "certbot", &config, &[]);
    let why = find(&said, "refused")["why"].as_str().unwrap().to_owned();
    assert!(
        !all && why.contains("managed already") && why.contains(id),
        "{why}"
    );

    let (said, all) = import(&cluster, "lego", &lego.path("state"), &[]);
    assert!(all && said.len() == 1, "{said:?}");
    let id = find(&said, "imported")["id"].as_str().unwrap().to_owned();
    is_kept(
        &cluster,
        &id,
        &certificates.join(format!("{two}.crt")),
        &other_key,
    );
    for id in [id.as_str(), taken["id"].as_str().unwrap()] {
        certfleet(&cluster, &["cert", "remove", id]);
    }
}
