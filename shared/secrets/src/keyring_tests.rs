use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::kek::KekError;
use crate::local::LocalKek;

/// The page that tells the layout, with an answer that an independent implementation has made.
const PAGE: &str = include_str!("../../../docs/src/architecture/secrets.md");

fn known() -> String {
    let (_, block) = PAGE.rsplit_once("```text\n").expect("a block");
    let (answer, _) = block.split_once("```").expect("its end");
    answer.split_whitespace().collect()
}

fn counted<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|i| from + u8::try_from(i).unwrap())
}

fn kek(seed: u8) -> Arc<dyn KekProvider> {
    Arc::new(LocalKek::new(&[seed; 32]))
}

fn ring(current: u8, previous: &[u8]) -> Keyring {
    Keyring::new(
        kek(current),
        previous.iter().map(|seed| kek(*seed)).collect(),
    )
    .unwrap()
}

fn place() -> Place {
    Place::new("certfleet", "issuers", "0190", "key")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("a local KEK answers at once")
}

fn seal(ring: &Keyring, place: &Place, content: &[u8]) -> Sealed {
    let secret = Secret::new(content.to_vec());
    run(ring.seal(place, &secret, &mut StdRng::seed_from_u64(5))).unwrap()
}

fn open(ring: &Keyring, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
    run(ring.open(place, sealed, Purpose::SignCertificate)).map(|secret| secret.expose().to_vec())
}

#[test]
fn the_known_answer() {
    let ring = Keyring::new(Arc::new(LocalKek::new(&counted(0))), Vec::new()).unwrap();
    let key = DataKey::from_bytes(&counted::<32>(0x20)).unwrap();
    let secret = Secret::new(b"attack at dawn".to_vec());
    let place = place();
    let sealed = run(ring.seal_with(&place, &secret, key, counted(0x40), counted(0x4c))).unwrap();
    assert_eq!(hex::encode(sealed.as_bytes()), known());
    assert_eq!(open(&ring, &place, &sealed).unwrap(), b"attack at dawn");
}

#[test]
fn a_value_survives_storage_as_one_binary() {
    let ring = ring(1, &[]);
    let sealed = seal(&ring, &place(), b"secret");
    let document = bson::serialize_to_document(
        &[("key", &sealed)]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>(),
    )
    .unwrap();
    assert!(matches!(document.get("key"), Some(bson::Bson::Binary(_))));
    let mut back: std::collections::BTreeMap<String, Sealed> =
        bson::deserialize_from_document(document).unwrap();
    assert_eq!(back.remove("key"), Some(sealed.clone()));

    let json = serde_json::to_string(&sealed).unwrap();
    assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
    assert!(serde_json::from_str::<Sealed>("[67,70,83,2]").is_err());
}

#[test]
fn two_keks_live_at_once() {
    let sealed = seal(&ring(1, &[]), &place(), b"old");
    let both = ring(2, &[1]);
    assert_eq!(open(&both, &place(), &sealed).unwrap(), b"old");
    assert_eq!(seal(&both, &place(), b"new").kek(), both.current());
    assert!(both.holds(sealed.kek()));
}

#[test]
fn a_missing_kek_is_named_with_the_place() {
    let sealed = seal(&ring(1, &[]), &place(), b"x");
    let error = open(&ring(2, &[]), &place(), &sealed).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::MissingKek { .. }), "{text}");
    assert!(text.contains(sealed.kek().as_str()), "{text}");
    assert!(text.contains("certfleet.issuers[0190].key"), "{text}");
    assert!(!error.is_transient());
}

#[test]
fn another_key_of_the_same_name_is_refused() {
    let labelled = |seed| {
        let kek = LocalKek::under_name("prod/1".parse().unwrap(), &[seed; 32]);
        Keyring::new(Arc::new(kek), Vec::new()).unwrap()
    };
    let sealed = seal(&labelled(1), &place(), b"x");
    let error = open(&labelled(2), &place(), &sealed).unwrap_err();
    assert!(matches!(error, OpenError::Kek { .. }), "{error}");
}

#[test]
fn one_name_for_two_keks_is_refused() {
    let error = Keyring::new(kek(1), vec![kek(2), kek(1)]).err().unwrap();
    assert_eq!(error, DuplicateKek(kek(1).id().clone()));
}

#[test]
fn a_kek_that_is_away_may_come_back() {
    let mut rng = StdRng::seed_from_u64(1);
    let down = Keyring::new(Arc::new(Unreachable("kms/1".parse().unwrap())), Vec::new()).unwrap();
    let secret = Secret::new(vec![1]);
    let error = run(down.seal(&place(), &secret, &mut rng)).unwrap_err();
    assert!(error.is_transient(), "{error}");
}

struct Unreachable(KekId);

impl KekProvider for Unreachable {
    fn id(&self) -> &KekId {
        &self.0
    }

    fn wrap<'a>(
        &'a self,
        _: &'a DataKey,
        _: &'a [u8],
        _: WrapNonce,
    ) -> crate::KekFuture<'a, Vec<u8>> {
        Box::pin(async { Err(KekError::Unavailable("connection refused".into())) })
    }

    fn unwrap<'a>(&'a self, _: &'a [u8], _: &'a [u8]) -> crate::KekFuture<'a, DataKey> {
        Box::pin(async { Err(KekError::Unavailable("connection refused".into())) })
    }
}

/// The commitment is checked first: with it replaced, nothing is decrypted, whatever the ciphertext.
#[test]
fn the_commitment_is_checked_before_anything_is_decrypted() {
    let ring = ring(1, &[]);
    let sealed = seal(&ring, &place(), b"content");
    let mut bytes = sealed.as_bytes().to_vec();
    let commitment = bytes.len() - (7 + 16) - 32;
    bytes[commitment] ^= 1;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = open(&ring, &place(), &Sealed::from_bytes(bytes).unwrap()).unwrap_err();
    assert!(matches!(error, OpenError::NotCommitted { .. }), "{error}");
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let ring = ring(1, &[]);
    let sealed = seal(&ring, &place(), b"content");
    for bit in 0..sealed.as_bytes().len() * 8 {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = Sealed::from_bytes(bytes) {
            assert!(open(&ring, &place(), &changed).is_err(), "bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_only_in_its_place(
        content in proptest::collection::vec(any::<u8>(), 0..300),
        names in proptest::array::uniform4("[a-z.]{0,6}"),
        others in proptest::array::uniform4("[a-z.]{0,6}"),
    ) {
        let ring = ring(1, &[]);
        let at = |n: &[String; 4]| Place::new(&n[0], &n[1], &n[2], &n[3]);
        let sealed = seal(&ring, &at(&names), &content);
        prop_assert_eq!(open(&ring, &at(&names), &sealed).unwrap(), content);
        if names != others {
            prop_assert!(open(&ring, &at(&others), &sealed).is_err());
        }
        // The same letters, cut at another place.
        let shifted = Place::new(format!("{}{}", names[0], names[1]), "", &names[2], &names[3]);
        if shifted != at(&names) {
            prop_assert!(open(&ring, &shifted, &sealed).is_err());
        }
    }

    #[test]
    fn swapped_and_cut_values_are_refused(
        one in proptest::collection::vec(any::<u8>(), 20),
        cut in 1_usize..60,
    ) {
        let ring = ring(1, &[]);
        let first = seal(&ring, &place(), &one);
        let secret = Secret::new(one.clone());
        let second = run(ring.seal(&place(), &secret, &mut StdRng::seed_from_u64(6))).unwrap();
        let split = first.as_bytes().len() - 36;
        let swapped = [&first.as_bytes()[..split], &second.as_bytes()[split..]].concat();
        prop_assert!(open(&ring, &place(), &Sealed::from_bytes(swapped).unwrap()).is_err());
        let mut short = first.as_bytes().to_vec();
        short.truncate(short.len() - cut);
        if let Ok(short) = Sealed::from_bytes(short) {
            prop_assert!(open(&ring, &place(), &short).is_err());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut with_magic = b"CFS\x01".to_vec();
        with_magic.extend_from_slice(&bytes);
        for candidate in [bytes, with_magic] {
            if let Ok(sealed) = Sealed::from_bytes(candidate) {
                prop_assert!(open(&ring(1, &[]), &place(), &sealed).is_err());
            }
        }
    }
}
