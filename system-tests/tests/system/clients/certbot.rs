//! certbot: http-01 with a server of its own, dns-01 by hooks.

use certfleet_system_tests::{Cluster, fresh_name};

use super::{Asked, Delivered, Home, address_for, bound_authority, status_of_account};

/// Publishes what certbot's manual mode has in its environment.
const AUTH_HOOK: &str = r#"publish set-txt "{\"host\":\"_acme-challenge.$CERTBOT_DOMAIN\",\"value\":\"$CERTBOT_VALIDATION\"}""#;

struct Certbot<'a> {
    home: Home<'a>,
    options: String,
}

impl<'a> Certbot<'a> {
    /// With an account for this address.
    fn registered(cluster: &'a Cluster, email: &str) -> Self {
        let certbot = Self::at(cluster, cluster.directory());
        certbot.run(&format!("register --agree-tos --no-eff-email -m {email}"));
        certbot
    }

    fn at(cluster: &'a Cluster, directory: &str) -> Self {
        Self {
            home: Home::new(cluster).trusting_by("REQUESTS_CA_BUNDLE"),
            options: format!(
                "--config-dir config --work-dir work --logs-dir logs --non-interactive --server {directory}"
            ),
        }
    }

    fn run(&self, line: &str) -> String {
        self.home.run(&format!("certbot {} {line}", self.options))
    }

    fn check(&self, name: &str, asked: Asked<'_>) -> Delivered {
        let file = |file| format!("config/live/{name}/{file}.pem");
        Delivered::check(&self.home, &file("fullchain"), &file("privkey"), asked)
    }
}

#[tokio::test]
async fn its_own_server_for_two_names_then_an_update_a_renewal_and_a_revocation_by_the_account() {
    let cluster = Cluster::shared().await.unwrap();
    let certbot = Certbot::registered(&cluster, "first@certbot.test");
    let (name, other) = (fresh_name("certbot"), fresh_name("certbot"));
    let names = [name.as_str(), other.as_str()];
    let address = address_for(&cluster, &names);
    let port = cluster.answers().http01().port();

    certbot.run(&format!(
        "certonly --standalone --http-01-address {address} --http-01-port {port} --key-type ecdsa --cert-name one \
         -d {name} -d {other}"
    ));
    let first = certbot.check("one", Asked::ecdsa(&names));

    certbot.run("update_account --no-eff-email -m second@certbot.test");
    let account = certbot.run("show_account");
    assert!(
        account.contains("second@certbot.test") && !account.contains("first@"),
        "{account}"
    );

    certbot.run("renew --force-renewal --no-random-sleep-on-renew --cert-name one");
    let second = certbot.check("one", Asked::ecdsa(&names));
    second.assert_renewed_from(&first);

    certbot.run("revoke --cert-name one --reason superseded --no-delete-after-revoke");
    second.assert_revoked(&cluster, Some("superseded")).await;
    first.assert_revoked(&cluster, None).await;
}

#[tokio::test]
async fn an_account_that_is_bound_once() {
    let cluster = Cluster::shared().await.unwrap();
    let (directory, [kid, key]) = bound_authority(&cluster, "bound-certbot");
    let register = |email: &str| {
        format!(
            "register --agree-tos --no-eff-email -m {email} --eab-kid {kid} --eab-hmac-key {key}"
        )
    };
    let certbot = Certbot::at(&cluster, &directory);
    certbot.run(&register("bound@certbot.test"));
    assert_eq!(
        status_of_account(&cluster, "bound@certbot.test").await,
        "valid"
    );
    let other = Certbot::at(&cluster, &directory);
    let line = format!(
        "certbot {} {}",
        other.options,
        register("late@certbot.test")
    );
    let why = other.home.refused(&line);
    assert!(why.contains("used as often as it may be"), "{why}");
}

#[tokio::test]
async fn a_wildcard_by_dns_to_be_stapled_revoked_by_its_key_then_no_account() {
    let cluster = Cluster::shared().await.unwrap();
    let certbot = Certbot::registered(&cluster, "wildcard@certbot.test");
    let name = fresh_name("certbot");
    let wildcard = format!("*.{name}");
    certbot.home.script("publish.sh", AUTH_HOOK);

    certbot.run(&format!(
        "certonly --manual --preferred-challenges dns --manual-auth-hook ./publish.sh --key-type rsa \
         --rsa-key-size 2048 --must-staple --cert-name two -d {name} -d {wildcard}"
    ));
    let certificate = certbot.check("two", Asked::rsa(&[&name, &wildcard]).must_staple());

    certbot.run(
        "revoke --cert-path config/live/two/cert.pem --key-path config/live/two/privkey.pem --reason keycompromise \
         --no-delete-after-revoke",
    );
    certificate
        .assert_revoked(&cluster, Some("keyCompromise"))
        .await;

    certbot.run("unregister");
    assert_eq!(
        status_of_account(&cluster, "wildcard@certbot.test").await,
        "deactivated"
    );
}
