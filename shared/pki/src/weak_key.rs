//! RSA moduli whose factors can be found: the work of known faulty generators.
//!
//! Each test is certain when it says "weak" (or as good as certain, for ROCA) and says nothing of keys that are weak
//! in another way. All three together take well under a millisecond in an optimised build.

use crypto_bigint::BoxedUint;

mod fermat;
mod roca;
mod small_factors;
#[cfg(test)]
mod tests;

/// How an RSA modulus can be factored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// This small prime divides it.
    SmallFactor(u32),
    /// Its primes lie close together (CVE-2022-26320).
    CloseFactors,
    /// It has the fingerprint of the Infineon generator (CVE-2017-15361).
    Roca,
}

/// The first weakness found in a modulus (big-endian, leading zeros allowed).
pub(crate) fn find(modulus: &[u8]) -> Option<Weakness> {
    let modulus = BoxedUint::from_be_slice_vartime(modulus);
    if let Some(prime) = small_factors::smallest(&modulus) {
        return Some(Weakness::SmallFactor(prime));
    }
    if roca::has_fingerprint(&modulus) {
        return Some(Weakness::Roca);
    }
    fermat::factors_are_close(&modulus).then_some(Weakness::CloseFactors)
}
