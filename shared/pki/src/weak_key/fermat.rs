//! Fermat's factorisation: a product of two primes that lie close together is found at once.
//!
//! With `n = p * q` and `a = (p + q) / 2`, the number `a^2 - n` is a square, and `a` is near the root of `n` if `p` and
//! `q` are near each other. The rounds count up from the root.

use crypto_bigint::{BoxedUint, Limb, NonZero, Resize};

/// As the CA/Browser Forum's Baseline Requirements have it (6.1.1.3: "100 rounds").
const ROUNDS: usize = 100;

/// The product of the odd primes up to 29. Modulo it, one number in 450 or so can be a square.
const SIEVE: NonZero<Limb> = NonZero::<Limb>::new_unwrap(Limb::from_u32(3_234_846_615));
const SIEVE_PRIMES: [u32; 9] = [3, 5, 7, 11, 13, 17, 19, 23, 29];

/// Whether some round finds the factors.
pub(super) fn factors_are_close(modulus: &BoxedUint) -> bool {
    // One limb of head room: the squares are slightly larger than the modulus.
    let modulus = modulus.resize(modulus.bits_precision() + Limb::BITS);
    let one = BoxedUint::one_with_precision(modulus.bits_precision());
    let floor = modulus.floor_sqrt_vartime();
    if floor.wrapping_square() == modulus {
        return true;
    }
    let candidate = floor.wrapping_add(&one);
    let mut difference = candidate.wrapping_square().wrapping_sub(&modulus);
    // (a + 1)^2 - n = (a^2 - n) + (2a + 1), and 2a + 1 grows by two.
    let mut step = candidate.wrapping_add(&candidate).wrapping_add(&one);
    let two = one.wrapping_add(&one);
    for _ in 0..ROUNDS {
        if is_square(&difference) {
            return true;
        }
        difference.wrapping_add_assign(&step);
        step.wrapping_add_assign(&two);
    }
    false
}

fn is_square(number: &BoxedUint) -> bool {
    may_be_square(number) && number.floor_sqrt_vartime().wrapping_square() == *number
}

/// Rules out all but one number in some thousands, far cheaper than a root.
fn may_be_square(number: &BoxedUint) -> bool {
    let low = number.as_words().first().copied().unwrap_or_default() % 16;
    if !matches!(low, 0 | 1 | 4 | 9) {
        return false;
    }
    // Below 2^32, so that nothing is lost.
    let remainder = u32::try_from(number.rem_limb(SIEVE).0).unwrap_or_default();
    SIEVE_PRIMES.iter().all(|prime| {
        let residue = remainder % prime;
        (0..=prime / 2).any(|root| root * root % prime == residue)
    })
}
