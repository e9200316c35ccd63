//! Moduli with each fault, built from fixed numbers, and honest ones beside them.

use crypto_bigint::{BoxedUint, Limb, NonZero, Resize};

use super::{Weakness, fermat, find, roca, small_factors};

/// Bits enough for all that these tests multiply.
const PRECISION: u32 = 4096;

fn number(small: u64) -> BoxedUint {
    BoxedUint::from(small).resize(PRECISION)
}

/// An odd number of this many bits, the top two set, without a prime factor below 2^16; `seed` picks one.
fn rough_number(bits: u32, seed: u8) -> BoxedUint {
    let octets: Vec<u8> = (0..bits / 8)
        .map(|index| u8::try_from(index % 251).unwrap().wrapping_mul(73) ^ seed)
        .collect();
    let mut candidate = BoxedUint::from_be_slice(&octets, PRECISION).unwrap();
    for bit in [bits - 1, bits - 2, 0] {
        candidate |= number(1).shl(bit);
    }
    next_rough(candidate, &number(2))
}

fn next_rough(mut candidate: BoxedUint, step: &BoxedUint) -> BoxedUint {
    while small_factors::smallest(&candidate).is_some() {
        candidate.wrapping_add_assign(step);
    }
    candidate
}

fn octets(number: &BoxedUint) -> Box<[u8]> {
    number.to_be_bytes_trimmed_vartime()
}

#[test]
fn small_factors_are_found_whatever_the_size() {
    let cofactor = rough_number(2032, 7);
    for prime in [2_u64, 3, 5, 251, 7919, 65_521] {
        let modulus = cofactor.wrapping_mul(number(prime));
        assert_eq!(
            find(&octets(&modulus)),
            Some(Weakness::SmallFactor(u32::try_from(prime).unwrap()))
        );
    }
    // The first prime beyond the limit.
    let modulus = cofactor.wrapping_mul(number(65_537));
    assert_eq!(find(&octets(&modulus)), None);
}

#[test]
fn close_factors_are_found_and_distant_ones_are_not() {
    let p = rough_number(1024, 3);
    for (distance, close) in [(8, true), (400, true), (514, true), (600, false)] {
        let q = next_rough(p.wrapping_add(number(1).shl(distance)), &number(2));
        let modulus = p.wrapping_mul(&q);
        assert_eq!(
            fermat::factors_are_close(&modulus),
            close,
            "2^{distance} apart"
        );
        let expected = close.then_some(Weakness::CloseFactors);
        assert_eq!(find(&octets(&modulus)), expected, "2^{distance} apart");
    }
    let square = p.wrapping_square();
    assert_eq!(find(&octets(&square)), Some(Weakness::CloseFactors));
}

/// The product of the primes that the faulty generator uses for its smallest keys.
fn primorial() -> BoxedUint {
    let mut product = number(2);
    for prime in (3..=167).filter(|n| (2..*n).all(|d| n % d != 0)) {
        product = product.wrapping_mul(number(prime));
    }
    product
}

/// A number of the form `k * M + (65537^exponent mod M)`, of 1024 bits, without small factors.
fn faulty_prime(k: &BoxedUint, exponent: u32) -> BoxedUint {
    let primorial = primorial();
    let modulus = NonZero::new(primorial.clone()).unwrap();
    let generator = number(65_537);
    let mut power = number(1);
    for _ in 0..exponent {
        power = power.mul_mod(&generator, &modulus);
    }
    next_rough(k.wrapping_mul(&primorial).wrapping_add(&power), &primorial)
}

fn faulty_modulus() -> BoxedUint {
    let p = faulty_prime(&rough_number(800, 11), 12_345);
    let q = faulty_prime(&rough_number(800, 57), 6_789);
    p.wrapping_mul(&q)
}

#[test]
fn the_fingerprint_of_roca_is_found() {
    let modulus = faulty_modulus();
    assert!(roca::has_fingerprint(&modulus));
    assert_eq!(find(&octets(&modulus)), Some(Weakness::Roca));
    // One unit off, it is any number.
    assert!(!roca::has_fingerprint(&modulus.wrapping_add(number(2))));
}

/// Residues that are each a power of 65537, but not of one exponent, are no fingerprint: a plain subgroup test says
/// yes to one honest key in some hundred million.
#[test]
fn powers_of_different_exponents_are_no_fingerprint() {
    let modulus = faulty_modulus();
    let seven = NonZero::<Limb>::new_unwrap(Limb::from(7_u32));
    let (step, _) = primorial().div_rem_limb(seven);
    // Adding multiples of M / 7 changes the residue modulo 7 alone, where 65537 = 3 generates every one but zero.
    let changed: Vec<bool> = (1..7_u64)
        .map(|times| modulus.wrapping_add(step.wrapping_mul(number(times))))
        .filter(|candidate| candidate.rem_limb(seven).0 != 0)
        .map(|candidate| roca::has_fingerprint(&candidate))
        .collect();
    assert_eq!(changed, [false; 5]);
}

#[test]
fn degenerate_numbers_do_not_panic() {
    for modulus in [&[][..], &[0], &[1], &[4], &[0xff; 3]] {
        let _ = find(modulus);
    }
}
