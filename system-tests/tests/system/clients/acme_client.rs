//! acme-client, the library from npm, by the script in `clients/`.

use std::os::unix::fs::symlink;
use std::path::Path;

use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::{Value, json};

use super::{Asked, Delivered, Home, status_of_account};

struct AcmeClient<'a> {
    home: Home<'a>,
}

impl<'a> AcmeClient<'a> {
    fn registered(cluster: &'a Cluster) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.certfleet/tools/node");
        assert!(
            package.join("node_modules/acme-client").is_dir(),
            "acme-client is not installed: `make test` installs it, or scripts/get-test-tools"
        );
        let client = Self {
            home: Home::new(cluster)
                .trusting_by("NODE_EXTRA_CA_CERTS")
                .set("ACME_CLIENT", package.to_str().unwrap())
                .set("DIRECTORY", cluster.directory())
                .set("CHALLENGES", cluster.answers().management()),
        };
        symlink(
            concat!(env!("CARGO_MANIFEST_DIR"), "/clients/acme-client.mjs"),
            client.home.path("step.mjs"),
        )
        .unwrap();
        client.run("register", &json!({ "email": "first@acme-client.test" }));
        client
    }

    fn line(step: &str, arguments: &Value) -> String {
        format!("node step.mjs {step} {arguments}")
    }

    fn run(&self, step: &str, arguments: &Value) -> String {
        self.home.run(&Self::line(step, arguments))
    }

    fn refused(&self, step: &str, arguments: &Value) -> String {
        self.home.refused(&Self::line(step, arguments))
    }

    fn check(&self, file: &str, asked: Asked<'_>) -> Delivered {
        Delivered::check(
            &self.home,
            &format!("{file}.pem"),
            &format!("{file}.key"),
            asked,
        )
    }
}

#[tokio::test]
async fn names_a_wildcard_and_an_address_across_a_new_account_key_until_its_end() {
    let cluster = Cluster::shared().await.unwrap();
    let client = AcmeClient::registered(&cluster);
    let names = [fresh_name("acme-client"), fresh_name("acme-client")];
    client.run(
        "issue",
        &json!({ "file": "two", "names": names, "key": "rsa", "challenge": "http-01" }),
    );
    let names = names.each_ref().map(String::as_str);
    let two = client.check("two", Asked::rsa(&names));

    let account = client.run("update", &json!({ "email": "second@acme-client.test" }));
    assert!(
        account.contains("mailto:second@acme-client.test"),
        "{account}"
    );
    client.run("rollover", &json!({}));

    let name = fresh_name("acme-client");
    let names = [name.clone(), format!("*.{name}")];
    client.run(
        "issue",
        &json!({ "file": "wildcard", "names": names, "key": "ecdsa", "challenge": "dns-01" }),
    );
    client.check(
        "wildcard",
        Asked::ecdsa(&names.each_ref().map(String::as_str)),
    );

    let address = cluster.answers().http01().ip().to_string();
    client.run(
        "issue",
        &json!({
            "file": "address", "names": [address], "key": "ecdsa", "challenge": "http-01", "profile": "shortlived",
        }),
    );
    client.check("address", Asked::ecdsa(&[&address]).short_lived());

    client.run("revoke", &json!({ "file": "two", "reason": 1 }));
    two.assert_revoked(&cluster, Some("keyCompromise")).await;
    let again = client.refused("revoke", &json!({ "file": "two", "reason": 1 }));
    assert!(again.contains("revoked"), "{again}");

    client.run("deactivate", &json!({}));
    assert_eq!(
        status_of_account(&cluster, "second@acme-client.test").await,
        "deactivated"
    );
    let refused = client.refused("revoke", &json!({ "file": "wildcard", "reason": 4 }));
    assert!(refused.contains("deactivated"), "{refused}");
}
