//! uacme: IP addresses, a new account key, revocation in both ways, an account's end.

use certfleet_system_tests::{Cluster, fresh_name};

use super::{Asked, Delivered, Home, status_of_account};

/// Takes the challenges of one type: http-01, or dns-01 if `PROOF` says so.
const HOOK: &str = r#"
name=_acme-challenge.${3#\*.}
case "$1 $2" in
"begin $PROOF")
    case $2 in
    http-01) publish add-http01 "{\"token\":\"$4\",\"content\":\"$5\"}" ;;
    dns-01) publish set-txt "{\"host\":\"$name\",\"value\":\"$5\"}" ;;
    esac ;;
begin*) exit 1 ;;
*http-01) publish del-http01 "{\"token\":\"$4\"}" ;;
*dns-01) publish clear-txt "{\"host\":\"$name\"}" ;;
esac"#;

/// uacme trusts what the system trusts and nothing else, so its system is one where the root takes that place.
const TRUST: &str = r#"mount --bind root.pem /etc/ssl/certs/ca-certificates.crt
exec "$@""#;

struct Uacme<'a> {
    home: Home<'a>,
    options: String,
}

impl<'a> Uacme<'a> {
    /// With an account, proving in this way.
    fn registered(cluster: &'a Cluster, email: &str, proof: &'static str) -> Self {
        let uacme = Self {
            home: Home::new(cluster).set("PROOF", proof),
            options: format!(
                "--acme-url {} --confdir state --hook ./hook.sh --yes -v",
                cluster.directory()
            ),
        };
        uacme.home.script("hook.sh", HOOK);
        uacme.home.script("trust.sh", TRUST);
        uacme.run(&format!("--type EC new {email}"));
        uacme
    }

    fn line(&self, line: &str) -> String {
        format!(
            "unshare --map-root-user --mount ./trust.sh uacme {} {line}",
            self.options
        )
    }

    fn run(&self, line: &str) -> String {
        self.home.run(&self.line(line))
    }

    fn refused(&self, line: &str) -> String {
        self.home.refused(&self.line(line))
    }

    fn check(&self, name: &str, asked: Asked<'_>) -> Delivered {
        Delivered::check(
            &self.home,
            &format!("state/{name}/cert.pem"),
            &format!("state/private/{name}/key.pem"),
            asked,
        )
    }
}

#[tokio::test]
async fn an_address_beside_a_name_across_a_new_account_key() {
    let cluster = Cluster::shared().await.unwrap();
    let uacme = Uacme::registered(&cluster, "first@uacme.test", "http-01");
    let name = fresh_name("uacme");
    let address = cluster.answers().http01().ip().to_string();
    let names = [name.as_str(), address.as_str()];

    uacme.run("update second@uacme.test");
    uacme.run(&format!("--type EC issue {name} {address}"));
    let first = uacme.check(&name, Asked::ecdsa(&names));

    // From P-256 to RSA.
    uacme.run("newkey");
    assert_eq!(
        status_of_account(&cluster, "second@uacme.test").await,
        "valid"
    );
    uacme.run(&format!("--force --type EC issue {name} {address}"));
    let second = uacme.check(&name, Asked::ecdsa(&names));
    second.assert_renewed_from(&first);

    uacme.run(&format!("--reason 4 revoke state/{name}/cert.pem"));
    second.assert_revoked(&cluster, Some("superseded")).await;
}

#[tokio::test]
async fn a_wildcard_by_dns_to_be_stapled_revoked_by_its_key_then_no_account() {
    let cluster = Cluster::shared().await.unwrap();
    let uacme = Uacme::registered(&cluster, "wildcard@uacme.test", "dns-01");
    let name = fresh_name("uacme");
    let wildcard = format!("*.{name}");

    uacme.run(&format!(
        "--type RSA --bits 2048 --must-staple issue {name} {wildcard}"
    ));
    let certificate = uacme.check(&name, Asked::rsa(&[&name, &wildcard]).must_staple());

    uacme.run(&format!(
        "--reason 1 revoke state/{name}/cert.pem state/private/{name}/key.pem"
    ));
    certificate
        .assert_revoked(&cluster, Some("keyCompromise"))
        .await;

    uacme.run("deactivate");
    assert_eq!(
        status_of_account(&cluster, "wildcard@uacme.test").await,
        "deactivated"
    );
    let said = uacme.refused(&format!("--type EC issue {name}"));
    assert!(
        said.contains("urn:ietf:params:acme:error:unauthorized"),
        "{said}"
    );
}
