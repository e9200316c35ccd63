//! The fingerprint of ROCA keys (CVE-2017-15361; Nemec et al., "The Return of Coppersmith's Attack", CCS 2017).
//!
//! The faulty generator makes primes of the form `k * M + (65537^a mod M)`, where `M` is the product of the first
//! primes, at least the first 39. So the modulus is a power of 65537 modulo `M`. That is tested prime by prime: the
//! discrete logarithm has to exist modulo each, and the logarithms have to belong to one exponent. A modulus made by
//! chance passes with a probability of about 2^-154.

use crypto_bigint::{BoxedUint, Limb, NonZero};

/// The first 39 primes but for 2, to which every odd number looks alike.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

const GENERATOR: u32 = 65_537;

/// An exponent, known modulo the order of the generator.
struct Logarithm {
    exponent: u32,
    order: u32,
}

/// Whether the modulus looks like the faulty generator's.
pub(super) fn has_fingerprint(modulus: &BoxedUint) -> bool {
    let mut logarithms: Vec<Logarithm> = Vec::with_capacity(PRIMES.len());
    for prime in PRIMES {
        let Some(logarithm) = discrete_logarithm(residue(modulus, prime), prime) else {
            return false;
        };
        if !logarithms.iter().all(|known| agree(known, &logarithm)) {
            return false;
        }
        logarithms.push(logarithm);
    }
    true
}

fn residue(modulus: &BoxedUint, prime: u32) -> u32 {
    let prime = NonZero::<Limb>::new_unwrap(Limb::from(prime));
    let remainder = modulus.rem_limb(prime).0;
    // Below 168, so that nothing is lost.
    u32::try_from(remainder).unwrap_or_default()
}

/// The exponent to which the generator gives the residue, if there is one.
fn discrete_logarithm(residue: u32, prime: u32) -> Option<Logarithm> {
    let generator = GENERATOR % prime;
    let (mut power, mut exponent, mut order) = (1, None, 0);
    loop {
        if power == residue {
            exponent = Some(order);
        }
        power = power * generator % prime;
        order += 1;
        if power == 1 {
            return exponent.map(|exponent| Logarithm { exponent, order });
        }
    }
}

/// Whether one exponent can satisfy both (the Chinese remainder theorem for moduli with a common divisor).
fn agree(one: &Logarithm, other: &Logarithm) -> bool {
    let common = greatest_common_divisor(one.order, other.order);
    one.exponent % common == other.exponent % common
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
