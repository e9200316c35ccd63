//! KEKs at real services: Vault's core and transit engine, and AWS KMS as moto emulates it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

use std::sync::Arc;

use certfleet_kek::{Access, AwsAccess, VaultAccess, open};
use certfleet_secrets::{
    KekError, KekProvider, Keyring, OpenError, Place, Purpose, SealError, Sealed, Secret,
};
use certfleet_testkit::{Kms, VaultServer};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

const SECRET: &[u8] = b"attack at dawn";

fn place() -> Place {
    Place::new("certfleet", "secrets", "a", "sealed")
}

fn ring(kek: Arc<dyn KekProvider>) -> Keyring {
    Keyring::new(kek, Vec::new()).expect("one KEK")
}

async fn seal(keyring: &Keyring) -> Result<Sealed, SealError> {
    let mut rng = StdRng::seed_from_u64(1);
    keyring
        .seal(&place(), &Secret::new(SECRET.to_vec()), &mut rng)
        .await
}

async fn opens(ring: &Keyring, sealed: &Sealed) {
    let opened = ring.open(&place(), sealed, Purpose::ProveKek).await;
    assert!(
        opened
            .unwrap_or_else(|error| panic!("{error}"))
            .matches(SECRET)
    );
}

/// Why it is not at hand.
async fn is_away(ring: &Keyring, sealed: &Sealed) -> String {
    match ring.open(&place(), sealed, Purpose::ProveKek).await {
        Err(OpenError::Kek {
            source: KekError::Unavailable(why),
            ..
        }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opens"),
    }
}

/// Refused for another place, and by another key of the same name.
async fn is_bound(ring: &Keyring, other: &Keyring, sealed: &Sealed) {
    let elsewhere = Place::new("certfleet", "secrets", "b", "sealed");
    for opened in [
        ring.open(&elsewhere, sealed, Purpose::ProveKek).await,
        other.open(&place(), sealed, Purpose::ProveKek).await,
    ] {
        let source = match opened {
            Err(OpenError::Kek { source, .. }) => source,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it opens"),
        };
        assert_eq!(source, KekError::Refused);
    }
}

#[tokio::test]
async fn vault_seals_opens_and_says_why_it_does_not() {
    let mut vault = VaultServer::start().await;
    vault.make_key("kek-1").await;
    let access = Access {
        vault: VaultAccess {
            token_file: Some(vault.token_file("kek-1").await),
            ..VaultAccess::default()
        },
        ..Access::default()
    };
    let source = vault.source("kek-1").parse().unwrap();
    let kek = open(&source, &access).unwrap();
    assert_eq!(kek.id().as_str(), "vault:transit/kek-1");
    let ring = ring(kek);
    let sealed = seal(&ring).await.unwrap();
    opens(&ring, &sealed).await;

    // Another Vault, with a key of the same name.
    let other = VaultServer::start().await;
    other.make_key("kek-1").await;
    let others = Access {
        vault: VaultAccess {
            token_file: Some(other.token_file("kek-1").await),
            ..VaultAccess::default()
        },
        ..Access::default()
    };
    let elsewhere = open(&other.source("kek-1").parse().unwrap(), &others).unwrap();
    is_bound(&ring, &self::ring(elsewhere), &sealed).await;

    // The engine's own versions.
    vault.rotate_key("kek-1").await;
    opens(&ring, &sealed).await;
    opens(&ring, &seal(&ring).await.unwrap()).await;

    vault.seal().await;
    let why = is_away(&ring, &sealed).await;
    assert!(why.contains("503") && why.contains("sealed"), "{why}");
    vault.unseal().await;
    opens(&ring, &sealed).await;

    vault.kill().await;
    let why = is_away(&ring, &sealed).await;
    assert!(why.to_lowercase().contains("refused"), "{why}");
}

#[tokio::test]
async fn vault_makes_no_key_and_takes_none_that_would_not_bind() {
    let vault = VaultServer::start().await;
    // Vault makes a key that is missing when something is to be encrypted with it; it must not be asked.
    let access = |token_file| Access {
        vault: VaultAccess {
            token_file: Some(token_file),
            ..VaultAccess::default()
        },
        ..Access::default()
    };
    let missing = vault.token_file("missing").await;
    let ring_of =
        |name: &str, file| ring(open(&vault.source(name).parse().unwrap(), &access(file)).unwrap());
    let ring = ring_of("missing", missing.clone());
    for _ in 0..2 {
        let error = seal(&ring).await.err().unwrap().to_string();
        assert!(error.contains("no such key"), "{error}");
    }
    // One that cannot authenticate a context; and one that may not be used.
    vault
        .make_key_of("signs", json!({ "type": "ed25519" }))
        .await;
    let signs = ring_of("signs", vault.token_file("signs").await);
    let error = seal(&signs).await.err().unwrap().to_string();
    assert!(error.contains("ed25519"), "{error}");
    vault.make_key("mine").await;
    let error = seal(&ring_of("mine", missing)).await.err().unwrap();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn kms_seals_opens_and_says_why_it_does_not() {
    let Some(endpoint) = std::env::var_os("CERTFLEET_TEST_KMS") else {
        // The environment says who a process is to AWS, and cannot be changed safely in a running one.
        let kms = Kms::start().await;
        let (one, two) = (kms.make_key().await, kms.make_key().await);
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "kms_seals_opens_and_says_why_it_does_not",
                "--exact",
                "--nocapture",
            ])
            .env("CERTFLEET_TEST_KMS", kms.endpoint())
            .env("CERTFLEET_TEST_KEYS", format!("{one} {two}"))
            .envs(Kms::environment())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    };
    let endpoint = endpoint.to_str().unwrap();
    let keys = std::env::var("CERTFLEET_TEST_KEYS").unwrap();
    let (one, two) = keys.split_once(' ').unwrap();
    let access = Access {
        aws: AwsAccess {
            endpoint: Some(endpoint.parse().unwrap()),
        },
        ..Access::default()
    };
    let kek = open(&one.parse().unwrap(), &access).unwrap();
    let id = one.rsplit('/').next().unwrap();
    assert_eq!(
        kek.id().to_string(),
        format!("aws-kms:{}/{id}", Kms::REGION)
    );
    let ring = ring(kek);
    let sealed = seal(&ring).await.unwrap();
    opens(&ring, &sealed).await;
    let other = open(&two.parse().unwrap(), &access).unwrap();
    let missing = self::ring(other)
        .open(&place(), &sealed, Purpose::ProveKek)
        .await;
    assert!(matches!(missing, Err(OpenError::MissingKek { .. })));
    let elsewhere = Place::new("certfleet", "secrets", "b", "sealed");
    let refused = ring.open(&elsewhere, &sealed, Purpose::ProveKek).await;
    assert!(matches!(
        refused,
        Err(OpenError::Kek {
            source: KekError::Refused,
            ..
        })
    ));

    let none = one.replace(id, "00000000-0000-0000-0000-000000000000");
    let none = self::ring(open(&none.parse().unwrap(), &access).unwrap());
    let error = seal(&none).await.err().unwrap();
    assert!(error.to_string().contains("NotFoundException"), "{error}");
    assert!(error.is_transient());
}
