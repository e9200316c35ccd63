//! Stock ACME clients, unmodified, against two API replicas behind one address: certbot, lego, dehydrated and uacme as
//! Debian has them, acme-client as npm has it.
//!
//! Each trusts the root of the cluster and nothing of it else, runs in a home of its own, and proves its names over
//! loopback: with a server of its own, or with hooks that publish through the challenge server. Each certificate is
//! judged by openssl and pkilint.

mod acme_client;
mod authority;
mod certbot;
mod certificate;
mod dehydrated;
mod home;
mod lego;
pub(crate) mod linter;
mod taken_over;
mod uacme;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use bson::doc;
use certfleet_system_tests::Cluster;

pub(crate) use certificate::{Asked, Delivered};
pub(crate) use home::Home;

/// A loopback address that no other client listens on. The workers find every challenge at one port, which many
/// clients want at once; the name decides the address.
fn address_for(cluster: &Cluster, names: &[&str]) -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let address = Ipv4Addr::new(127, 88, 0, NEXT.fetch_add(1, Ordering::Relaxed));
    for name in names {
        cluster.answers().add_address(name, address.into());
    }
    address
}

/// The directory of a new authority whose accounts have to be bound, and the identifier and the MAC key of one that may be.
fn bound_authority(cluster: &Cluster, name: &str) -> (String, [String; 2]) {
    let command = |arguments: &[&str]| {
        let output = cluster.certfleet(arguments).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    command(&["ca", "create", name]);
    command(&["eab", "require", name]);
    let made = command(&["eab", "create", "--authority", name, "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (
        format!("{}/acme/{name}/directory", cluster.api()),
        [text("kid"), text("hmac_key")],
    )
}

/// How the authority holds the one account with this contact: `valid`, `deactivated`.
async fn status_of_account(cluster: &Cluster, email: &str) -> String {
    let database = cluster.database().await.unwrap();
    let contact = format!("mailto:{email}");
    let found = database
        .find("accounts", doc! { "contacts": contact })
        .await
        .unwrap();
    let [account] = found.as_slice() else {
        panic!("{} accounts with the contact {email}", found.len());
    };
    account.get_str("status").unwrap().to_owned()
}
