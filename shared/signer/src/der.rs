//! The little DER between PKCS#11 and X.509.

use yasna::{ASN1Result, BERReader, DERWriter};

/// What an OCTET STRING holds: a point, as tokens give it.
pub(crate) fn octet_string(der: &[u8]) -> Option<Vec<u8>> {
    yasna::parse_der(der, read_octets).ok()
}

fn read_octets(reader: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    reader.read_bytes()
}

/// An `RSAPublicKey` (RFC 8017 §A.1.1).
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    two_integers(modulus, exponent)
}

/// An `ECDSA-Sig-Value` (RFC 5480 §A) of r and s, one after the other; `None` if they are not of one length.
pub(crate) fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    let half = raw.len() / 2;
    if raw.is_empty() || raw.len() != 2 * half {
        return None;
    }
    Some(two_integers(&raw[..half], &raw[half..]))
}

fn two_integers(first: &[u8], second: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            unsigned(writer.next(), first);
            unsigned(writer.next(), second);
        });
    })
}

fn unsigned(writer: DERWriter<'_>, octets: &[u8]) {
    writer.write_bigint_bytes(octets, true);
}
