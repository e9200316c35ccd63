//! Pieces of DER that are read strictly in more than one place.

use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader};

/// An `AlgorithmIdentifier` (RFC 5280 §4.1.1.2): its OID, and its parameters as DER.
pub(crate) fn algorithm_identifier(
    reader: BERReader<'_, '_>,
) -> ASN1Result<(ObjectIdentifier, Option<Vec<u8>>)> {
    reader.read_sequence(|identifier| {
        let algorithm = identifier.next().read_oid()?;
        let parameters = identifier.read_optional(element)?;
        Ok((algorithm, parameters))
    })
}

/// An OBJECT IDENTIFIER.
pub(crate) fn object_identifier(reader: BERReader<'_, '_>) -> ASN1Result<ObjectIdentifier> {
    reader.read_oid()
}

/// Any one element, DER.
fn element(reader: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    reader.read_der()
}
