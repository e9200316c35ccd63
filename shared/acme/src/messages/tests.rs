use std::fmt::Debug;

use certfleet_domain::{
    Account, AccountId, AccountStatus, Authorization, AuthorizationId, AuthorizationState,
    AuthorizationStatus, CertificateId, Challenge, ChallengeId, ChallengeKind, ChallengeState,
    Contact, Identifier as Name, ManualClock, Order, OrderId, OrderState, OrderStatus, Problem,
    ProblemKind, RevocationReason, SystemRng, Timestamp, Token,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::base64url::Base64Url;

const NOW: Timestamp = datetime!(2026-08-01 12:00 UTC);
const LATER: Timestamp = datetime!(2026-08-08 12:00 UTC);

fn clock() -> ManualClock {
    ManualClock::at(NOW)
}

/// The message is written like this, and read back as it was.
fn reads_as<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, due: &Value) {
    let value = serde_json::to_value(message).unwrap();
    assert_eq!(value, *due);
    assert_eq!(serde_json::from_value::<T>(value).unwrap(), *message);
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn challenge(kind: ChallengeKind, state: ChallengeState) -> Challenge {
    Challenge {
        id: ChallengeId::generate(&clock(), &mut SystemRng),
        kind,
        token: Token::generate(&mut SystemRng),
        state,
    }
}

fn authorization(state: AuthorizationState, challenges: Vec<Challenge>) -> Authorization {
    Authorization {
        id: AuthorizationId::generate(&clock(), &mut SystemRng),
        authority: "main".parse().unwrap(),
        account: AccountId::generate(&clock(), &mut SystemRng),
        identifier: Name::dns("*.example.org").unwrap(),
        created_at: NOW,
        expires_at: LATER,
        state,
        challenges,
        version: 1,
    }
}

fn order(state: OrderState) -> Order {
    Order {
        id: OrderId::generate(&clock(), &mut SystemRng),
        authority: "main".parse().unwrap(),
        account: AccountId::generate(&clock(), &mut SystemRng),
        identifiers: vec![
            Name::dns("*.example.org").unwrap(),
            Name::ip("192.0.2.1").unwrap(),
        ],
        authorizations: vec![],
        profile: "classic".parse().unwrap(),
        not_before: Some(NOW),
        not_after: None,
        replaces: None,
        created_at: NOW,
        expires_at: LATER,
        state,
        version: 1,
    }
}

fn urls() -> OrderUrls {
    OrderUrls {
        authorizations: vec!["https://ca/a/1".to_owned()],
        finalize: "https://ca/o/1/finalize".to_owned(),
        certificate: Some("https://ca/c/1".to_owned()),
    }
}

#[test]
fn the_directory() {
    let mut directory = Directory {
        new_nonce: "n".to_owned(),
        new_account: "a".to_owned(),
        new_order: "o".to_owned(),
        new_authz: None,
        revoke_cert: "r".to_owned(),
        key_change: "k".to_owned(),
        renewal_info: None,
        meta: DirectoryMeta::default(),
    };
    let bare = json!({
        "newNonce": "n", "newAccount": "a", "newOrder": "o", "revokeCert": "r", "keyChange": "k",
    });
    reads_as(&directory, &bare);
    directory.new_authz = Some("z".to_owned());
    directory.renewal_info = Some("i".to_owned());
    directory.meta = DirectoryMeta {
        terms_of_service: Some("t".to_owned()),
        website: Some("w".to_owned()),
        caa_identities: vec!["ca.example".to_owned()],
        external_account_required: true,
        profiles: [("classic".to_owned(), "90 days".to_owned())].into(),
    };
    let mut full = bare;
    full["newAuthz"] = "z".into();
    full["renewalInfo"] = "i".into();
    full["meta"] = json!({
        "termsOfService": "t", "website": "w", "caaIdentities": ["ca.example"],
        "externalAccountRequired": true, "profiles": { "classic": "90 days" },
    });
    reads_as(&directory, &full);
}

#[test]
fn accounts() {
    let account = Account {
        id: AccountId::generate(&clock(), &mut SystemRng),
        authority: "main".parse().unwrap(),
        jwk: String::new(),
        thumbprint: String::new(),
        contacts: vec![Contact::parse("mailto:a@example.org").unwrap()],
        terms_agreed_at: Some(NOW),
        eab_key: None,
        status: AccountStatus::Valid,
        created_at: NOW,
        version: 1,
    };
    reads_as(
        &AccountResponse::new(&account, "https://ca/orders".to_owned()),
        &json!({
            "status": "valid", "contact": ["mailto:a@example.org"], "termsOfServiceAgreed": true,
            "orders": "https://ca/orders",
        }),
    );
    let new: NewAccount = read(json!({
        "termsOfServiceAgreed": true, "onlyReturnExisting": true, "unknown": 1,
        "contact": ["mailto:a@Example.org", "mailto:a@example.org"],
        "externalAccountBinding": { "protected": "x" },
    }))
    .unwrap();
    assert_eq!(new.contacts().unwrap(), account.contacts);
    assert_eq!(new.only_return_existing, Some(true));
    assert_eq!(new.external_account_binding.unwrap()["protected"], "x");
    assert_eq!(
        read::<NewAccount>(json!({})).unwrap(),
        NewAccount::default()
    );
}

#[test]
fn contacts_are_refused_with_each_problem() {
    let contacts = |urls: &[&str]| {
        let contact = urls.iter().map(ToString::to_string).collect();
        NewAccount {
            contact,
            ..NewAccount::default()
        }
        .contacts()
        .unwrap_err()
    };
    assert_eq!(contacts(&["tel:+1"]).kind, ProblemKind::UnsupportedContact);
    assert_eq!(
        contacts(&["mailto:x", "mailto:a@example.org"]).kind,
        ProblemKind::InvalidContact
    );
    let several = contacts(&["mailto:x", "tel:+1"]);
    assert_eq!(several.kind, ProblemKind::Compound);
    assert_eq!(several.subproblems.len(), 2);
    assert_eq!(
        contacts(&["mailto:a@example.org"; 11]).kind,
        ProblemKind::InvalidContact
    );
}

#[test]
fn account_updates_change_what_they_name() {
    let update: AccountUpdate = read(json!({ "status": "valid", "orders": "x" })).unwrap();
    assert_eq!(update.contacts(), Ok(None));
    assert!(!update.is_deactivation());
    let update: AccountUpdate = read(json!({ "contact": [] })).unwrap();
    assert_eq!(update.contacts(), Ok(Some(vec![])));
    reads_as(
        &AccountUpdate::deactivation(),
        &json!({ "status": "deactivated" }),
    );
    assert!(AccountUpdate::deactivation().is_deactivation());
}

#[test]
fn new_orders_give_sorted_identifiers_each_once() {
    let new: NewOrder = read(json!({
        "identifiers": [
            { "type": "ip", "value": "192.0.2.1" },
            { "type": "dns", "value": "WWW.example.org" },
            { "type": "dns", "value": "www.example.org" },
            { "type": "dns", "value": "*.example.org" },
        ],
        "notBefore": "2026-08-01T14:00:00.123456+02:00", "profile": "classic", "replaces": "a.b", "unknown": 1,
    }))
    .unwrap();
    let names: Vec<_> = new
        .parse_identifiers()
        .unwrap()
        .iter()
        .map(Name::to_string)
        .collect();
    assert_eq!(names, ["www.example.org", "*.example.org", "192.0.2.1"]);
    let not_before = new.not_before.unwrap();
    assert_eq!(not_before, NOW + Duration::milliseconds(123));
    assert!(not_before.offset().is_utc());
    assert_eq!(
        (new.profile.as_deref(), new.replaces.as_deref()),
        (Some("classic"), Some("a.b"))
    );
}

#[test]
fn new_orders_are_refused_with_each_problem() {
    let refused = |identifiers: Vec<(&str, &str)>| {
        let identifiers = identifiers
            .into_iter()
            .map(|(kind, value)| Identifier {
                kind: kind.to_owned(),
                value: value.to_owned(),
            })
            .collect();
        NewOrder {
            identifiers,
            ..NewOrder::default()
        }
        .parse_identifiers()
        .unwrap_err()
    };
    assert_eq!(refused(vec![]).kind, ProblemKind::Malformed);
    assert_eq!(
        refused(vec![("dns", "a.example"); 101]).kind,
        ProblemKind::Malformed
    );
    assert_eq!(
        refused(vec![("dns", "a_b.example")]).kind,
        ProblemKind::Malformed
    );
    assert_eq!(
        refused(vec![("dns", "192.0.2.1")]).kind,
        ProblemKind::Malformed
    );
    assert_eq!(
        refused(vec![("ip", "a.example")]).kind,
        ProblemKind::Malformed
    );
    assert_eq!(
        refused(vec![("email", "a@b")]).kind,
        ProblemKind::UnsupportedIdentifier
    );
    assert_eq!(
        refused(vec![("DNS", "a.example")]).kind,
        ProblemKind::UnsupportedIdentifier
    );
    let several = refused(vec![("dns", "a.example"), ("dns", "_"), ("x", "y")]);
    assert_eq!(
        (several.kind, several.subproblems.len()),
        (ProblemKind::Compound, 2)
    );
}

#[test]
fn orders() {
    let certificate = CertificateId::generate(&clock(), &mut SystemRng);
    let mut due = json!({
        "status": "ready", "expires": "2026-08-08T12:00:00Z", "notBefore": "2026-08-01T12:00:00Z",
        "identifiers": [{ "type": "dns", "value": "*.example.org" }, { "type": "ip", "value": "192.0.2.1" }],
        "profile": "classic", "authorizations": ["https://ca/a/1"], "finalize": "https://ca/o/1/finalize",
    });
    reads_as(
        &OrderResponse::new(&order(OrderState::Open), OrderStatus::Ready, urls()),
        &due,
    );

    let valid = order(OrderState::Valid { certificate });
    due["status"] = "valid".into();
    due["certificate"] = "https://ca/c/1".into();
    reads_as(
        &OrderResponse::new(&valid, OrderStatus::Valid, urls()),
        &due,
    );

    let error = Problem::new(ProblemKind::BadCsr, "No");
    let invalid = order(OrderState::Invalid { error });
    let response = OrderResponse::new(&invalid, OrderStatus::Invalid, urls());
    assert_eq!(response.error.unwrap().kind(), Some(ProblemKind::BadCsr));
    assert_eq!(response.certificate, None);
}

#[test]
fn a_wildcards_authorization_names_the_base() {
    let pending = authorization(
        AuthorizationState::Pending,
        vec![challenge(ChallengeKind::Dns01, ChallengeState::Pending)],
    );
    let token = pending.challenges[0].token.as_str();
    let response = AuthorizationResponse::new(&pending, NOW, |_| "https://ca/ch/1".to_owned());
    reads_as(
        &response,
        &json!({
            "identifier": { "type": "dns", "value": "example.org" }, "wildcard": true,
            "status": "pending", "expires": "2026-08-08T12:00:00Z",
            "challenges": [
                { "type": "dns-01", "url": "https://ca/ch/1", "status": "pending", "token": token },
            ],
        }),
    );
    assert_eq!(
        response.challenges[0].known_kind(),
        Some(ChallengeKind::Dns01)
    );
    let over = AuthorizationResponse::new(&pending, LATER, |_| String::new());
    assert_eq!(over.status, AuthorizationStatus::Invalid);
}

#[test]
fn a_decided_authorization_shows_what_decided() {
    let error = Problem::new(ProblemKind::Connection, "refused");
    for (state, decided, due) in [
        (
            AuthorizationState::Valid,
            ChallengeState::Valid { validated_at: NOW },
            json!({ "status": "valid", "validated": "2026-08-01T12:00:00Z" }),
        ),
        (
            AuthorizationState::Invalid,
            ChallengeState::Invalid { error },
            json!({
                "status": "invalid",
                "error": {
                    "type": "urn:ietf:params:acme:error:connection", "status": 400, "detail": "refused",
                },
            }),
        ),
    ] {
        let challenges = vec![
            challenge(ChallengeKind::Http01, ChallengeState::Pending),
            challenge(ChallengeKind::Dns01, decided),
        ];
        let authorization = authorization(state, challenges);
        let mut due = due;
        due["type"] = "dns-01".into();
        due["url"] = authorization.challenges[1].id.to_string().into();
        due["token"] = authorization.challenges[1].token.as_str().into();
        let response = AuthorizationResponse::new(&authorization, NOW, |id| id.to_string());
        assert_eq!(
            serde_json::to_value(&response.challenges).unwrap(),
            json!([due])
        );
    }
}

#[test]
fn challenges_of_others_are_read() {
    let response: ChallengeResponse = read(json!({
        "type": "dns-persist-01", "url": "u", "status": "pending", "issuer-domain-names": ["x"],
    }))
    .unwrap();
    assert_eq!((response.known_kind(), response.token), (None, None));
}

#[test]
fn the_small_payloads() {
    reads_as(
        &Finalize {
            csr: Base64Url(vec![0xfb, 0xff]),
        },
        &json!({ "csr": "-_8" }),
    );
    assert!(
        read::<Finalize>(json!({ "csr": "-_8=" }))
            .unwrap_err()
            .contains("padded")
    );
    assert!(read::<Finalize>(json!({})).unwrap_err().contains("csr"));
    reads_as(
        &OrdersList {
            orders: vec!["o".to_owned()],
        },
        &json!({ "orders": ["o"] }),
    );
    reads_as(
        &AuthorizationUpdate::deactivation(),
        &json!({ "status": "deactivated" }),
    );
    let other: AuthorizationUpdate = read(json!({ "status": "valid" })).unwrap();
    assert!(!other.is_deactivation());
    let identifier = Identifier::from(&Name::dns("example.org").unwrap());
    reads_as(
        &NewAuthorization { identifier },
        &json!({ "identifier": { "type": "dns", "value": "example.org" } }),
    );
}

#[test]
fn revocation_reasons() {
    let with = |reason| RevokeCertificate {
        certificate: Base64Url(vec![1]),
        reason,
    };
    reads_as(&with(None), &json!({ "certificate": "AQ" }));
    reads_as(&with(Some(4)), &json!({ "certificate": "AQ", "reason": 4 }));
    assert_eq!(with(None).reason(), Ok(RevocationReason::Unspecified));
    assert_eq!(with(Some(1)).reason(), Ok(RevocationReason::KeyCompromise));
    for code in [-1, 2, 6, 7, 8, 9, 10, 11, i64::MAX] {
        assert_eq!(
            with(Some(code)).reason().unwrap_err().kind,
            ProblemKind::BadRevocationReason
        );
    }
}

#[test]
fn times_at_the_edge_are_refused_and_never_panic() {
    for (at, good) in [
        ("9999-12-31T23:59:59Z", true),
        ("9999-12-31T23:59:59-23:59", false),
        ("0000-01-01T00:00:00+23:59", false),
        ("2026-08-01", false),
        ("2026-08-01T12:00:00", false),
    ] {
        let new = read::<NewOrder>(json!({ "identifiers": [], "notAfter": at }));
        assert_eq!(new.is_ok(), good, "{at}");
    }
    assert!(read::<NewOrder>(json!({ "identifiers": [], "notAfter": null })).is_ok());
}

proptest! {
    #[test]
    fn what_is_read_of_an_order_can_be_written(
        at in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9])",
        kind in "dns|ip|.{0,5}",
        value in ".{0,40}",
    ) {
        let value = json!({ "identifiers": [{ "type": kind, "value": value }], "notBefore": at });
        if let Ok(new) = serde_json::from_value::<NewOrder>(value) {
            let _ = new.parse_identifiers();
            let again = serde_json::to_value(&new).unwrap();
            prop_assert_eq!(serde_json::from_value::<NewOrder>(again).unwrap(), new);
        }
    }
}
