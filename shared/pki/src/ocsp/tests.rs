//! Requests are read strictly, and what is answered says what it should.

use certfleet_domain::{CertIdHash, RevocationReason, Serial, SystemRng};
use proptest::prelude::*;
use time::Duration;
use yasna::Tag;

use super::*;
use crate::IssueError;
use crate::signer::Signer as _;
use crate::testing::{TestSigner, issuer, now};

/// A request for these certificates, with an empty list of extensions or none.
fn request(ids: &[CertId], extensions: bool) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|request| {
            request.next().write_sequence(|tbs| {
                tbs.next().write_sequence(|list| {
                    for id in ids {
                        list.next().write_sequence(|single| id.write(single.next()));
                    }
                });
                if extensions {
                    tbs.next().write_tagged(Tag::context(2), |writer| {
                        writer.write_sequence(|_| {});
                    });
                }
            });
        });
    })
}

fn an_id(hash: CertIdHash) -> CertId {
    let serial = Serial::generate(&mut SystemRng);
    CertId::of(hash, &issuer().0, serial.octets()).unwrap()
}

#[test]
fn a_request_names_one_certificate_and_its_issuer() {
    let (issuer, _) = issuer();
    let serial = Serial::generate(&mut SystemRng);
    for hash in CertIdHash::ALL {
        let id = CertId::of(hash, &issuer, serial.octets()).unwrap();
        for extensions in [false, true] {
            let read = CertId::from_request(&request(std::slice::from_ref(&id), extensions));
            assert_eq!(read.as_ref(), Ok(&id));
        }
        assert!(id.names_issuer(&issuer));
        assert!(!id.names_issuer(&crate::testing::issuer().0));
    }
}

#[test]
fn what_openssl_asks_is_understood() {
    // openssl ocsp -issuer CA -serial 0x0102 -reqout REQUEST, with the nonce that it adds.
    let asked = hex::decode(concat!(
        "30683066303f303d303b300906052b0e03021a05000414424ef3366d8b17e4f9865ea7849fe102bad1a82e04",
        "145c0d6673b826db54a4fccec9a7a35a561d08668d02020102a2233021301f06092b06010505073001020412",
        "0410bdabf7119e7e4c202994ba7626929dd0",
    ))
    .unwrap();
    let id = CertId::from_request(&asked).unwrap();
    assert_eq!(
        (id.hash, id.serial.as_slice()),
        (CertIdHash::Sha1, &[1, 2][..])
    );
}

#[test]
fn more_or_less_than_one_certificate_is_refused() {
    let (one, other) = (an_id(CertIdHash::Sha1), an_id(CertIdHash::Sha256));
    for ids in [&[][..], &[one, other][..]] {
        assert_eq!(
            CertId::from_request(&request(ids, false)),
            Err(MalformedOcspRequest)
        );
    }
    let mut good = request(&[an_id(CertIdHash::Sha1)], false);
    good.push(0);
    assert_eq!(CertId::from_request(&good), Err(MalformedOcspRequest));
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = CertId::from_request(&octets);
    }

    #[test]
    fn a_bent_request_is_another_or_none(at in 0_usize..90, bit in 0_u8..8) {
        let mut bent = request(&[an_id(CertIdHash::Sha1)], true);
        let at = at % bent.len();
        bent[at] ^= 1 << bit;
        let _ = CertId::from_request(&bent);
    }
}

struct Responder {
    issuer: Vec<u8>,
    key: TestSigner,
    certificate: Vec<u8>,
}

impl Responder {
    fn new() -> Self {
        let (issuer, signer) = issuer();
        let key = TestSigner::p256();
        let template = ResponderTemplate {
            serial: Serial::generate(&mut SystemRng),
            not_before: now(),
            not_after: now() + Duration::days(30),
            spki_der: &key.spki_der(),
        };
        let certificate = create_responder(&template, &issuer, &signer).unwrap();
        Self {
            issuer,
            key,
            certificate,
        }
    }

    fn answer(&self, status: OcspStatus, lasts: Duration) -> Result<Vec<u8>, IssueError> {
        let serial = Serial::generate(&mut SystemRng);
        let template = OcspTemplate {
            id: CertId::of(CertIdHash::Sha1, &self.issuer, serial.octets()).unwrap(),
            status,
            this_update: now(),
            next_update: now() + lasts,
        };
        create_ocsp_response(&template, &self.issuer, &self.certificate, &self.key)
    }
}

#[test]
fn an_answer_is_signed_by_a_responder_of_the_issuers_and_lasts_no_longer_than_it() {
    let responder = Responder::new();
    let revoked = OcspStatus::Revoked {
        at: now(),
        reason: RevocationReason::KeyCompromise,
    };
    for status in [OcspStatus::Good, revoked] {
        assert!(responder.answer(status, Duration::days(1)).is_ok());
    }
    let error = responder
        .answer(OcspStatus::Good, Duration::days(31))
        .unwrap_err();
    assert!(matches!(error, IssueError::Template(_)), "{error}");

    let stranger = Responder {
        key: TestSigner::p256(),
        ..Responder::new()
    };
    let error = stranger
        .answer(OcspStatus::Good, Duration::days(1))
        .unwrap_err();
    assert!(matches!(error, IssueError::Issuer(_)), "{error}");
    let of_another = Responder {
        issuer: Responder::new().issuer,
        ..Responder::new()
    };
    assert!(
        of_another
            .answer(OcspStatus::Good, Duration::days(1))
            .is_err()
    );
}

#[test]
fn refusals_are_the_octets_of_the_rfc() {
    assert_eq!(OcspRefusal::Unauthorized.to_der(), [0x30, 3, 0x0a, 1, 6]);
    assert_eq!(OcspRefusal::TryLater.to_der(), [0x30, 3, 0x0a, 1, 3]);
}
