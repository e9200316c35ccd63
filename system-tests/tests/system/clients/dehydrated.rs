//! dehydrated: curl for each request, so that each goes over a connection of its own.

use certfleet_system_tests::{Cluster, fresh_name};

use super::{Asked, Delivered, Home, status_of_account};

const HOOK: &str = r#"
name=_acme-challenge.${2:-}
case $1 in
deploy_challenge)
    case $PROOF in
    http-01) publish add-http01 "{\"token\":\"$3\",\"content\":\"$4\"}" ;;
    dns-01) publish set-txt "{\"host\":\"$name\",\"value\":\"$4\"}" ;;
    esac ;;
clean_challenge)
    case $PROOF in
    http-01) publish del-http01 "{\"token\":\"$3\"}" ;;
    dns-01) publish clear-txt "{\"host\":\"$name\"}" ;;
    esac ;;
esac"#;

struct Dehydrated<'a> {
    home: Home<'a>,
}

impl<'a> Dehydrated<'a> {
    /// With an account, proving in this way.
    fn registered(cluster: &'a Cluster, email: &str, proof: &'static str) -> Self {
        let dehydrated = Self {
            home: Home::new(cluster)
                .trusting_by("CURL_CA_BUNDLE")
                .set("PROOF", proof),
        };
        dehydrated.home.script("hook.sh", HOOK);
        dehydrated.configure(email);
        dehydrated.run("--register --accept-terms");
        dehydrated
    }

    fn configure(&self, email: &str) {
        let base = self.home.path("");
        self.home.write(
            "config",
            &format!(
                "CA={}\nBASEDIR={}\nWELLKNOWN={}\nHOOK=./hook.sh\nCONTACT_EMAIL={email}\n\
                 ACCOUNT_KEYSIZE=2048\nKEYSIZE=2048\n",
                self.home.cluster.directory(),
                base.display(),
                base.display(),
            ),
        );
    }

    fn run(&self, line: &str) -> String {
        self.home.run(&format!("dehydrated --config config {line}"))
    }

    fn check(&self, name: &str, asked: Asked<'_>) -> Delivered {
        let file = |file| format!("certs/{name}/{file}.pem");
        Delivered::check(&self.home, &file("fullchain"), &file("privkey"), asked)
    }
}

#[tokio::test]
async fn two_names_over_both_replicas_then_an_update_and_a_renewal() {
    let cluster = Cluster::shared().await.unwrap();
    let before = cluster.requests_answered().await.unwrap();
    let dehydrated = Dehydrated::registered(&cluster, "first@dehydrated.test", "http-01");
    let (name, other) = (fresh_name("dehydrated"), fresh_name("dehydrated"));
    let names = [name.as_str(), other.as_str()];
    let issue = format!("--cron --challenge http-01 --algo prime256v1 -d {name} -d {other}");

    dehydrated.run(&issue);
    let first = dehydrated.check(&name, Asked::ecdsa(&names));

    // Some forty requests by now, each over a connection of its own: a nonce of one replica is spent at the other.
    let after = cluster.requests_answered().await.unwrap();
    assert_eq!(after.len(), 2);
    for (replica, answered) in after {
        assert!(
            answered > before[&replica],
            "API replica {replica} has answered nothing"
        );
    }

    dehydrated.configure("second@dehydrated.test");
    dehydrated.run("--account");
    assert_eq!(
        status_of_account(&cluster, "second@dehydrated.test").await,
        "valid"
    );

    dehydrated.run(&format!("{issue} --force"));
    dehydrated
        .check(&name, Asked::ecdsa(&names))
        .assert_renewed_from(&first);
}

#[tokio::test]
async fn a_wildcard_by_dns_to_be_stapled_revoked_then_no_account() {
    let cluster = Cluster::shared().await.unwrap();
    let dehydrated = Dehydrated::registered(&cluster, "wildcard@dehydrated.test", "dns-01");
    let name = fresh_name("dehydrated");
    let wildcard = format!("*.{name}");

    dehydrated.run(&format!(
        "--cron --challenge dns-01 --algo rsa --ocsp --alias wild -d {wildcard} -d {name}"
    ));
    let certificate = dehydrated.check("wild", Asked::rsa(&[&name, &wildcard]).must_staple());

    dehydrated.run("--revoke certs/wild/cert.pem");
    certificate
        .assert_revoked(&cluster, Some("unspecified"))
        .await;

    dehydrated.run("--deactivate");
    assert_eq!(
        status_of_account(&cluster, "wildcard@dehydrated.test").await,
        "deactivated"
    );
}
