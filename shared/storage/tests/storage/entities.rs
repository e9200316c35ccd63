//! One of each entity, to be varied.

use certfleet_domain::{
    Account, AccountId, AccountStatus, Authority, AuthorityName, Authorization, AuthorizationId,
    AuthorizationState, Certificate, CertificateId, CertificateOrigin, CertificateState, Challenge,
    ChallengeId, ChallengeKind, ChallengeState, Clock, Contact, EabKeyId, Identifier, Issuer,
    IssuerId, Order, OrderId, OrderState, Profile, Replacement, Serial, SystemClock, SystemRng,
    Timestamp, Token,
};
use time::Duration;

pub fn now() -> Timestamp {
    SystemClock.now()
}

pub fn authority_name() -> AuthorityName {
    "main".parse().expect("a name")
}

pub fn account() -> Account {
    let id = AccountId::generate(&SystemClock, &mut SystemRng);
    Account {
        id,
        authority: authority_name(),
        jwk: r#"{"crv":"P-256","kty":"EC"}"#.to_owned(),
        thumbprint: format!("thumbprint-of-{id}"),
        contacts: vec![Contact::parse("mailto:admin@example.org").expect("a contact")],
        terms_agreed_at: Some(now()),
        eab_key: Some(EabKeyId::generate(&SystemClock, &mut SystemRng)),
        status: AccountStatus::Valid,
        created_at: now(),
        version: 0,
    }
}

pub fn order(account: AccountId) -> Order {
    Order {
        id: OrderId::generate(&SystemClock, &mut SystemRng),
        authority: authority_name(),
        account,
        identifiers: vec![Identifier::dns("example.org").expect("a name")],
        authorizations: vec![authorization_id()],
        profile: Profile::classic().name,
        not_before: Some(now()),
        not_after: None,
        replaces: None,
        created_at: now(),
        expires_at: now() + Duration::days(7),
        state: OrderState::Open,
        version: 0,
    }
}

pub fn authorization_id() -> AuthorizationId {
    AuthorizationId::generate(&SystemClock, &mut SystemRng)
}

pub fn authorization(account: AccountId, name: &str) -> Authorization {
    let identifier: Identifier = name.parse().expect("an identifier");
    let challenges = ChallengeKind::for_identifier(&identifier)
        .iter()
        .map(|kind| Challenge {
            id: ChallengeId::generate(&SystemClock, &mut SystemRng),
            kind: *kind,
            token: Token::generate(&mut SystemRng),
            state: ChallengeState::Pending,
        })
        .collect();
    Authorization {
        id: authorization_id(),
        authority: authority_name(),
        account,
        identifier,
        created_at: now(),
        expires_at: now() + Duration::days(7),
        state: AuthorizationState::Pending,
        challenges,
        version: 0,
    }
}

pub fn certificate(origin: CertificateOrigin) -> Certificate {
    Certificate {
        id: CertificateId::generate(&SystemClock, &mut SystemRng),
        serial: Serial::generate(&mut SystemRng),
        authority: authority_name(),
        issuer: IssuerId::generate(&SystemClock, &mut SystemRng),
        origin,
        identifiers: vec![Identifier::dns("*.example.org").expect("a wildcard")],
        profile: Profile::classic().name,
        not_before: now(),
        not_after: now() + Duration::days(90),
        replaced_by: None,
        created_at: now(),
        state: CertificateState::Intended {
            csr: vec![0x30, 0x00],
        },
        version: 0,
    }
}

pub fn authority() -> Authority {
    let issuer = || Issuer {
        id: IssuerId::generate(&SystemClock, &mut SystemRng),
        certificate: vec![0x30, 0x01],
        intermediates: vec![vec![0x30, 0x02], vec![0x30, 0x03]],
        root: vec![0x30, 0x04],
    };
    Authority {
        name: authority_name(),
        issuer: issuer(),
        retired_issuers: vec![issuer()],
        profiles: vec![Profile::classic(), Profile::shortlived()],
        external_account_required: true,
        replacement: Some(Replacement {
            issued_before: now(),
            since: now(),
            within: Duration::hours(24),
            explanation_url: Some("https://ca.example/why".to_owned()),
        }),
        version: 0,
    }
}
