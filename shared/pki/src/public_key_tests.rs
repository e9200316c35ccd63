//! Keys of each kind that is refused, and of each that is not.

use proptest::prelude::*;
use rcgen::{KeyPair, PublicKeyData};

use super::*;
use crate::testing::rsa_spki;

fn ec_spki(curve: &[u64], point: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|spki| {
            spki.next().write_sequence(|algorithm| {
                algorithm
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(EC_PUBLIC_KEY));
                algorithm
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(curve));
            });
            spki.next().write_bitvec_bytes(point, point.len() * 8);
        });
    })
}

fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

/// A modulus of this many bits with no known weakness: odd, and prime to all that is tried.
fn honest_modulus() -> Vec<u8> {
    let key = key(&rcgen::PKCS_RSA_SHA256);
    let (modulus, _) = rsa_numbers(key.public_key_raw()).unwrap();
    trim(&modulus).to_vec()
}

#[test]
fn good_keys_are_accepted() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let spki = key(algorithm).subject_public_key_info();
        assert_eq!(public_key_strength(&spki), Ok(()), "{algorithm:?}");
    }
}

#[test]
fn other_kinds_of_keys_are_refused() {
    let ed25519 = key(&rcgen::PKCS_ED25519).subject_public_key_info();
    assert_eq!(public_key_strength(&ed25519), Err(WeakKey::Ed25519));
    let p521 = key(&rcgen::PKCS_ECDSA_P521_SHA512).subject_public_key_info();
    assert_eq!(
        public_key_strength(&p521),
        Err(WeakKey::Curve("1.3.132.0.35".to_owned()))
    );
    let ml_dsa = key(&rcgen::PKCS_ML_DSA_44).subject_public_key_info();
    assert!(matches!(
        public_key_strength(&ml_dsa),
        Err(WeakKey::Algorithm(_))
    ));
}

#[test]
fn points_are_on_the_curve_and_uncompressed() {
    let good = key(&rcgen::PKCS_ECDSA_P256_SHA256)
        .public_key_raw()
        .to_vec();
    assert_eq!(public_key_strength(&ec_spki(P256, &good)), Ok(()));
    let mut off = good.clone();
    off[64] ^= 1;
    let mut compressed = good[..33].to_vec();
    compressed[0] = 2 + (good[64] & 1);
    let cases = [
        (off, WeakKey::NotOnCurve),
        ([&[4][..], &[0xff; 64]].concat(), WeakKey::NotOnCurve),
        ([&[4][..], &[0; 64]].concat(), WeakKey::NotOnCurve),
        (compressed, WeakKey::PointForm),
        // The point at infinity (SEC 1, 2.3.3).
        (vec![0], WeakKey::PointForm),
        (good[..64].to_vec(), WeakKey::PointForm),
        (Vec::new(), WeakKey::PointForm),
    ];
    for (point, expected) in cases {
        assert_eq!(
            public_key_strength(&ec_spki(P256, &point)),
            Err(expected),
            "{point:02x?}"
        );
    }
}

#[test]
fn rsa_sizes_are_bounded_and_whole_octets() {
    let honest = honest_modulus();
    for (bits, accepted) in [
        (1024_u32, false),
        (2040, false),
        (2047, false),
        (2048, true),
        (2049, false),
        (2056, true),
        (4096, true),
        (4104, false),
    ] {
        // Prolonged to the size wanted; most such numbers have small factors, so only the size may be what is minded.
        let mut modulus = honest.clone();
        modulus.resize(bits.div_ceil(8) as usize, 0x01);
        modulus[0] = 0x80 >> ((8 - bits % 8) % 8);
        let refused = matches!(
            rsa_key_strength(&modulus, &[1, 0, 1]),
            Err(WeakKey::RsaSize(found)) if found == bits
        );
        assert_eq!(!refused, accepted, "{bits} bits");
    }
}

#[test]
fn only_the_exponent_65537_is_accepted() {
    let honest = honest_modulus();
    assert_eq!(public_key_strength(&rsa_spki(&honest, &[1, 0, 1])), Ok(()));
    assert_eq!(rsa_key_strength(&honest, &[0, 1, 0, 1]), Ok(()));
    for exponent in [
        &[1][..],
        &[3],
        &[17],
        &[1, 0, 0],
        &[1, 0, 0, 1],
        &[1, 0, 3],
        &[],
    ] {
        assert_eq!(
            rsa_key_strength(&honest, exponent),
            Err(WeakKey::RsaExponent),
            "{exponent:?}"
        );
    }
}

#[test]
fn weak_moduli_are_refused_by_name() {
    let mut even = honest_modulus();
    *even.last_mut().unwrap() &= 0xfe;
    assert_eq!(
        public_key_strength(&rsa_spki(&even, &[1, 0, 1])),
        Err(WeakKey::SmallFactor(2))
    );
}

#[test]
fn malformed_keys_are_refused() {
    let good = rsa_spki(&honest_modulus(), &[1, 0, 1]);
    let trailing = [&good[..], &[0]].concat();
    for bad in [&trailing[..], &good[..good.len() - 1], &[], &[0x30, 0]] {
        assert_eq!(public_key_strength(bad), Err(WeakKey::Malformed));
    }
    // An RSA key with a negative modulus: the sign octet left out.
    let mut negative = honest_modulus();
    negative[0] |= 0x80;
    let key = yasna::construct_der(|writer| {
        writer.write_sequence(|numbers| {
            let integer = yasna::models::TaggedDerValue::from_tag_and_bytes(
                yasna::tags::TAG_INTEGER,
                negative,
            );
            numbers.next().write_tagged_der(&integer);
            numbers.next().write_u32(65_537);
        });
    });
    assert_eq!(
        public_key_strength(&crate::testing::rsa_spki_of(&key)),
        Err(WeakKey::Malformed)
    );
}

proptest! {
    #[test]
    fn any_octets_are_an_answer(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = public_key_strength(&octets);
        let _ = rsa_key_strength(&octets, &octets);
    }

    #[test]
    fn a_key_has_one_encoding(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let good = key(&rcgen::PKCS_ECDSA_P256_SHA256).subject_public_key_info();
        let mut changed = good.clone();
        // The point is random; all before it says what it is.
        for (place, octet) in places {
            changed[place.index(good.len() - 65)] = octet;
        }
        prop_assert_eq!(public_key_strength(&changed).is_ok(), changed == good);
    }
}
