//! Trial division by every prime below 2^16.

use std::sync::LazyLock;

use crypto_bigint::{BoxedUint, Limb, NonZero, Word};

/// Primes below this are tried.
const LIMIT: u32 = 1 << 16;

/// Primes whose product fits one machine word: one long division tells about all of them.
struct Batch {
    product: NonZero<Limb>,
    primes: Vec<u32>,
}

static BATCHES: LazyLock<Vec<Batch>> = LazyLock::new(|| {
    let mut batches = Vec::new();
    let mut product: Word = 1;
    let mut primes = Vec::new();
    for prime in primes_below(LIMIT) {
        if let Some(larger) = product.checked_mul(Word::from(prime)) {
            product = larger;
        } else {
            batches.push(Batch {
                product: NonZero::<Limb>::new_unwrap(Limb(product)),
                primes: std::mem::take(&mut primes),
            });
            product = Word::from(prime);
        }
        primes.push(prime);
    }
    batches.push(Batch {
        product: NonZero::<Limb>::new_unwrap(Limb(product)),
        primes,
    });
    batches
});

/// The smallest prime below [`LIMIT`] that divides the number.
pub(super) fn smallest(number: &BoxedUint) -> Option<u32> {
    BATCHES.iter().find_map(|batch| {
        let remainder = number.rem_limb(batch.product).0;
        batch
            .primes
            .iter()
            .copied()
            .find(|prime| remainder.is_multiple_of(Word::from(*prime)))
    })
}

/// The sieve of Eratosthenes.
fn primes_below(limit: u32) -> impl Iterator<Item = u32> {
    let mut composite = vec![false; limit as usize];
    (2..limit).filter(move |&candidate| {
        if composite[candidate as usize] {
            return false;
        }
        for multiple in (candidate..limit).step_by(candidate as usize).skip(1) {
            composite[multiple as usize] = true;
        }
        true
    })
}
