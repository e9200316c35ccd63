//! Whether 32 octets are a point of Ed25519 that a key may be (RFC 8032 §5.1.3).
//!
//! The cryptographic library takes any 32 octets for a key and lets the first verification fail. Here a key that is
//! no point is told so at once, and so is one of the few points of small order, with which anybody's signature
//! verifies.

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{JacobiSymbol, U256, const_monty_params};

const_monty_params!(
    FieldModulus,
    U256,
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    "2^255 - 19"
);

type FieldElement = ConstMontyForm<FieldModulus, { FieldModulus::LIMBS }>;

/// d = -121665/121666 of the curve -x² + y² = 1 + dx²y².
const D: U256 =
    U256::from_be_hex("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");

/// Whether these are the one encoding of a point on the curve whose order is not a divisor of 8.
pub(super) fn is_usable_point(octets: &[u8]) -> bool {
    let Ok(mut octets) = <[u8; 32]>::try_from(octets) else {
        return false;
    };
    // The top bit is the sign of x; the rest is y.
    octets[31] &= 0x7f;
    let y = U256::from_le_slice(&octets);
    y < *FieldModulus::PARAMS.modulus().as_ref() && is_on_curve_and_of_large_order(&y)
}

fn is_on_curve_and_of_large_order(y: &U256) -> bool {
    let one = FieldElement::ONE;
    let d = FieldElement::new(&D);
    let y = FieldElement::new(y);
    let y2 = y.square();
    // x² = u/v, which is a square where uv is one. v is never 0, as -1/d is not a square.
    let (u, v) = (y2 - one, d * y2 + one);
    if (u * v).jacobi_symbol_vartime() == JacobiSymbol::MinusOne {
        return false;
    }
    // y is 1 or -1 at the orders 1 and 2, 0 at 4, and at 8, where doubling has to give y = 0 and so x² = -y²,
    // a root of dy⁴ + 2y² - 1.
    let order_8 = d * y2.square() + y2 + y2 - one;
    y * u * order_8 != FieldElement::ZERO
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn points_of_small_order_are_refused() {
        for point in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            assert!(!is_usable_point(&hex::decode(point).unwrap()), "{point}");
        }
    }

    #[test]
    fn other_encodings_and_other_lengths_are_refused() {
        // 3 + p would be read as 3 by a lenient reader.
        let mut beyond = [0xff; 32];
        beyond[0] = 0xf0;
        beyond[31] = 0x7f;
        assert!(!is_usable_point(&beyond));
        assert!(!is_usable_point(&[9; 31]));
    }

    #[test]
    fn half_of_all_y_are_on_the_curve_and_real_keys_always() {
        let on_curve = (0..=255_u8)
            .filter(|low| {
                let mut octets = [0x5a; 32];
                octets[0] = *low;
                is_usable_point(&octets)
            })
            .count();
        assert!((96..160).contains(&on_curve), "{on_curve} of 256");
        for _ in 0..64 {
            let pair = Ed25519KeyPair::generate().unwrap();
            assert!(is_usable_point(pair.public_key().as_ref()), "{pair:?}");
        }
    }
}
