//! Keys in a real token: SoftHSM2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

use certfleet_pkcs11::{KeyKind, PublicHalf, TokenAccess, TokenError, TokenKek, TokenKey};
use certfleet_secrets::{KekError, KekProvider as _, Keyring, OpenError, Place, Purpose, Secret};
use certfleet_testkit::SoftHsm;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fn access(hsm: &SoftHsm) -> TokenAccess {
    TokenAccess {
        module: SoftHsm::module(),
        pin_file: Some(hsm.pin_file()),
    }
}

fn key(hsm: &SoftHsm, label: &str, kind: KeyKind) -> TokenKey {
    let uri = SoftHsm::uri(label).parse().unwrap();
    access(hsm).key(&uri, kind)
}

/// Tells of the token's own absence, once it says so.
fn is_away<T>(answer: Result<T, TokenError>) -> String {
    match answer {
        Err(TokenError::Unavailable(why)) => why,
        Err(TokenError::Refused(why)) => panic!("refused: {why}"),
        Ok(_) => panic!("it answers"),
    }
}

#[test]
fn what_is_encrypted_opens_with_the_same_key_nonce_and_data_alone() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_aes("one");
        hsm.make_aes("two");
        return hsm.again_with_it("what_is_encrypted_opens_with_the_same_key_nonce_and_data_alone");
    };
    let (one, two) = (
        key(&hsm, "one", KeyKind::Secret),
        key(&hsm, "two", KeyKind::Secret),
    );
    let nonce = [7; 12];
    let sealed = one.encrypt(nonce, b"here", b"secret").unwrap();
    assert_eq!(sealed.len(), 6 + 16);
    assert_eq!(one.decrypt(nonce, b"here", &sealed).unwrap(), b"secret");
    for bad in [
        one.decrypt(nonce, b"there", &sealed),
        one.decrypt([8; 12], b"here", &sealed),
        two.decrypt(nonce, b"here", &sealed),
        one.decrypt(nonce, b"here", &sealed[1..]),
        one.decrypt(nonce, b"here", b""),
    ] {
        assert!(matches!(bad, Err(TokenError::Refused(_))), "{bad:?}");
    }
    // And the token is none the worse for it.
    assert_eq!(one.decrypt(nonce, b"here", &sealed).unwrap(), b"secret");
}

#[test]
fn a_token_that_goes_away_is_found_again() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_aes("one");
        return hsm.again_with_it("a_token_that_goes_away_is_found_again");
    };
    let one = key(&hsm, "one", KeyKind::Secret);
    let sealed = one.encrypt([1; 12], b"", b"secret").unwrap();
    hsm.plug(false);
    let why = loop {
        match one.decrypt([1; 12], b"", &sealed) {
            // What it holds in memory it may still use.
            Ok(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            away => break is_away(away),
        }
    };
    assert!(why.contains("certfleet"), "{why}");
    hsm.plug(true);
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let opened = loop {
        match one.decrypt([1; 12], b"", &sealed) {
            Ok(opened) => break opened,
            Err(error) => assert!(tokio::time::Instant::now() < until, "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(opened, b"secret");
}

#[test]
fn a_token_on_the_network_whose_server_is_killed_is_found_again() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_pair("ec", "EC:prime256v1");
        return hsm.again_with_it("a_token_on_the_network_whose_server_is_killed_is_found_again");
    };
    let access = TokenAccess {
        module: SoftHsm::network_module(),
        ..access(&hsm)
    };
    let uri = SoftHsm::uri("ec").parse().unwrap();
    let key = access.key(&uri, KeyKind::Private);
    for _ in 0..2 {
        let server = hsm.serve();
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while let Err(error) = key.sign_ecdsa(&[9; 32]) {
            assert!(tokio::time::Instant::now() < until, "{error}");
        }
        drop(server);
        is_away(key.sign_ecdsa(&[9; 32]));
    }
}

/// A token locks after a few wrong PINs, and then the right one is of no use either.
#[test]
fn a_wrong_pin_is_tried_once_and_a_corrected_one_at_once() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_aes("one");
        return hsm.again_with_it("a_wrong_pin_is_tried_once_and_a_corrected_one_at_once");
    };
    let one = key(&hsm, "one", KeyKind::Secret);
    hsm.set_pin_file("000000");
    let first = is_away(one.encrypt([1; 12], b"", b"x"));
    assert!(first.contains("CKR_PIN_INCORRECT"), "{first}");
    for _ in 0..20 {
        let why = is_away(one.encrypt([1; 12], b"", b"x"));
        assert!(why.contains("not tried again"), "{why}");
        assert!(!why.contains("000000"), "{why}");
    }
    // Not even when the module is begun anew, as for another token that is away.
    let uri = "pkcs11:token=elsewhere;object=x".parse().unwrap();
    let elsewhere = access(&hsm).key(&uri, KeyKind::Secret);
    let until = tokio::time::Instant::now() + std::time::Duration::from_millis(2_500);
    while tokio::time::Instant::now() < until {
        is_away(elsewhere.encrypt([1; 12], b"", b"x"));
        let why = is_away(one.encrypt([1; 12], b"", b"x"));
        assert!(why.contains("not tried again"), "{why}");
    }
    hsm.restore_pin_file();
    one.encrypt([1; 12], b"", b"x").unwrap();
}

#[test]
fn what_is_missing_is_named() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_aes("twin");
        hsm.make_aes("twin");
        return hsm.again_with_it("what_is_missing_is_named");
    };
    let none = key(&hsm, "none", KeyKind::Secret);
    let why = is_away(none.encrypt([1; 12], b"", b"x"));
    assert!(why.contains("no key labelled none"), "{why}");
    let twins = key(&hsm, "twin", KeyKind::Secret).encrypt([1; 12], b"", b"x");
    assert!(
        matches!(&twins, Err(TokenError::Refused(why)) if why.contains(";id=")),
        "{twins:?}"
    );
    let uri = "pkcs11:token=elsewhere;object=x".parse().unwrap();
    let why = is_away(
        access(&hsm)
            .key(&uri, KeyKind::Secret)
            .encrypt([1; 12], b"", b"x"),
    );
    assert!(
        why.contains("elsewhere") && why.contains("there are: certfleet"),
        "{why}"
    );
    let nowhere = TokenAccess {
        module: "/nowhere.so".into(),
        pin_file: None,
    };
    let why = is_away(
        nowhere
            .key(&uri, KeyKind::Secret)
            .encrypt([1; 12], b"", b"x"),
    );
    assert!(why.contains("/nowhere.so"), "{why}");
}

#[test]
fn pairs_show_their_public_half_and_sign_from_many_threads() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_pair("ec", "EC:prime256v1");
        hsm.make_pair("rsa", "rsa:2048");
        return hsm.again_with_it("pairs_show_their_public_half_and_sign_from_many_threads");
    };
    let ec = key(&hsm, "ec", KeyKind::Private);
    assert!(matches!(ec.public_half().unwrap(), PublicHalf::Ec { .. }));
    let rsa = key(&hsm, "rsa", KeyKind::Private);
    assert!(matches!(rsa.public_half().unwrap(), PublicHalf::Rsa { .. }));
    // More at once than there are sessions.
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(ec.sign_ecdsa(&[9; 32]).unwrap().len(), 64);
                    assert_eq!(rsa.sign_rsa_sha256(b"message").unwrap().len(), 256);
                }
            });
        }
    });
}

#[tokio::test]
async fn it_is_a_kek() {
    let Some(hsm) = SoftHsm::inherited() else {
        let hsm = SoftHsm::new();
        hsm.make_aes("kek-1");
        return hsm.again_with_it("it_is_a_kek");
    };
    let uri = SoftHsm::uri("kek-1").parse().unwrap();
    let kek = TokenKek::new(&access(&hsm), &uri).unwrap();
    assert_eq!(kek.id().as_str(), "pkcs11:certfleet/kek-1");
    let keyring = Keyring::new(std::sync::Arc::new(kek), Vec::new()).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let place = Place::new("certfleet", "secrets", "a", "sealed");
    let secret = Secret::new(b"attack at dawn".to_vec());
    let sealed = keyring.seal(&place, &secret, &mut rng).await.unwrap();
    let opened = keyring
        .open(&place, &sealed, Purpose::ProveKek)
        .await
        .unwrap();
    assert!(opened.matches(b"attack at dawn"));
    let elsewhere = Place::new("certfleet", "secrets", "b", "sealed");
    let refused = keyring.open(&elsewhere, &sealed, Purpose::ProveKek).await;
    assert!(matches!(
        refused,
        Err(OpenError::Kek {
            source: KekError::Refused,
            ..
        })
    ));
}
