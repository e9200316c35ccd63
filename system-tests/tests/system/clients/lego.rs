//! lego: http-01 and tls-alpn-01 with servers of its own, dns-01 by its `httpreq` provider.

use certfleet_system_tests::{Cluster, fresh_name};

use super::{Asked, Delivered, Home, address_for, bound_authority};

struct Lego<'a> {
    home: Home<'a>,
    options: String,
}

impl<'a> Lego<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        Self::at(cluster, cluster.directory())
    }

    fn at(cluster: &'a Cluster, directory: &str) -> Self {
        Self {
            home: Home::new(cluster).trusting_by("LEGO_CA_CERTIFICATES"),
            options: format!(
                "--path state --accept-tos --email lego@example.test --server {directory}"
            ),
        }
    }

    fn run(&self, line: &str) -> String {
        self.home.run(&format!("lego {} {line}", self.options))
    }

    fn check(&self, name: &str, asked: Asked<'_>) -> Delivered {
        let file = |kind| format!("state/certificates/{name}.{kind}");
        Delivered::check(&self.home, &file("crt"), &file("key"), asked)
    }
}

#[tokio::test]
async fn its_own_http_server_then_a_renewal_and_a_revocation_once() {
    let cluster = Cluster::shared().await.unwrap();
    let lego = Lego::new(&cluster);
    let (name, other) = (fresh_name("lego"), fresh_name("lego"));
    let names = [name.as_str(), other.as_str()];
    let address = address_for(&cluster, &names);
    let port = cluster.answers().http01().port();
    let of_these =
        format!("--http --http.port {address}:{port} -d {name} -d {other} --key-type ec384");

    lego.run(&format!("{of_these} run"));
    let first = lego.check(&name, Asked::ecdsa(&names));

    lego.run(&format!("{of_these} renew --days 1000 --no-random-sleep"));
    let second = lego.check(&name, Asked::ecdsa(&names));
    second.assert_renewed_from(&first);

    // 5: the operation has ceased.
    lego.run(&format!("{of_these} revoke --keep --reason 5"));
    second
        .assert_revoked(&cluster, Some("cessationOfOperation"))
        .await;
    let again = lego
        .home
        .refused(&format!("lego {} {of_these} revoke --keep", lego.options));
    assert!(
        again.contains("urn:ietf:params:acme:error:alreadyRevoked"),
        "{again}"
    );
}

#[tokio::test]
async fn an_account_that_is_bound() {
    let cluster = Cluster::shared().await.unwrap();
    let (directory, [kid, key]) = bound_authority(&cluster, "bound-lego");
    let lego = Lego::at(&cluster, &directory);
    let name = fresh_name("lego");
    let address = address_for(&cluster, &[&name]);
    let port = cluster.answers().http01().port();
    let of_this = format!("--http --http.port {address}:{port} -d {name}");

    let without = format!("lego {} {of_this} run", lego.options);
    let why = lego.home.refused(&without);
    assert!(why.contains("External Account Binding"), "{why}");
    lego.run(&format!("--eab --kid {kid} --hmac {key} {of_this} run"));
}

#[tokio::test]
async fn its_own_tls_server_and_an_rsa_key() {
    let cluster = Cluster::shared().await.unwrap();
    let lego = Lego::new(&cluster);
    let name = fresh_name("lego");
    let address = address_for(&cluster, &[&name]);
    let port = cluster.answers().tls_alpn01().port();

    lego.run(&format!(
        "--tls --tls.port {address}:{port} -d {name} --key-type rsa2048 run --must-staple"
    ));
    lego.check(&name, Asked::rsa(&[&name]).must_staple());
}

#[tokio::test]
async fn a_wildcard_by_dns() {
    let cluster = Cluster::shared().await.unwrap();
    let mut lego = Lego::new(&cluster);
    lego.home = lego
        .home
        .set("HTTPREQ_ENDPOINT", cluster.answers().management())
        .set("HTTPREQ_POLLING_INTERVAL", "1");
    let name = fresh_name("lego");
    let wildcard = format!("*.{name}");
    let resolver = cluster.answers().dns();

    lego.run(&format!(
        "--dns httpreq --dns.resolvers {resolver} --dns.disable-cp -d {wildcard} -d {name} run"
    ));
    // A file has no asterisk in its name.
    lego.check(&format!("_.{name}"), Asked::ecdsa(&[&name, &wildcard]));
}
