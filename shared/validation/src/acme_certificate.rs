//! The certificate of tls-alpn-01 (RFC 8737 §3): one name, and the digest of the key authorization in a critical
//! extension.

use std::net::IpAddr;

use certfleet_domain::Identifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::FromDer;

use crate::quote::quoted;

/// id-pe-acmeIdentifier (RFC 8737 §6.1).
const ACME_IDENTIFIER: Oid<'static> = oid!(1.3.6.1.5.5.7.1.31);

/// Checks that the certificate is for this identifier alone and carries this digest; if not, says why in words that
/// go on from "the certificate".
pub(crate) fn check(der: &[u8], identifier: &Identifier, digest: &[u8]) -> Result<(), String> {
    let certificate = match X509Certificate::from_der(der) {
        Ok(([], certificate)) => certificate,
        Ok(_) => return Err("has bytes after its end".to_owned()),
        Err(_) => return Err("cannot be parsed".to_owned()),
    };
    check_name(&certificate, identifier)?;
    check_digest(&certificate, digest)
}

fn check_name(certificate: &X509Certificate<'_>, identifier: &Identifier) -> Result<(), String> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| "has a broken or repeated subjectAltName extension".to_owned())?
        .ok_or("has no subjectAltName extension")?;
    let names = &names.value.general_names;
    match names.as_slice() {
        [name] if is_for(name, identifier) => Ok(()),
        [name] => Err(format!("is for {}, not for {identifier}", shown(name))),
        [] => Err("has an empty subjectAltName extension".to_owned()),
        [first, ..] => Err(format!(
            "is for {} names, the first of which is {}; it has to be for {identifier} alone",
            names.len(),
            shown(first),
        )),
    }
}

fn is_for(name: &GeneralName<'_>, identifier: &Identifier) -> bool {
    match (name, identifier) {
        (GeneralName::DNSName(name), Identifier::Dns(expected)) => {
            name.eq_ignore_ascii_case(expected.as_str())
        }
        (GeneralName::IPAddress(octets), Identifier::Ip(IpAddr::V4(expected))) => {
            *octets == expected.octets()
        }
        (GeneralName::IPAddress(octets), Identifier::Ip(IpAddr::V6(expected))) => {
            *octets == expected.octets()
        }
        _ => false,
    }
}

fn shown(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => quoted(name.as_bytes()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*octets).map(IpAddr::from);
            v4.or(v6)
                .map_or_else(|_| quoted(octets), |address| address.to_string())
        }
        _ => "something that is neither a DNS name nor an IP address".to_owned(),
    }
}

fn check_digest(certificate: &X509Certificate<'_>, digest: &[u8]) -> Result<(), String> {
    let extension = certificate
        .get_extension_unique(&ACME_IDENTIFIER)
        .map_err(|_| "has the acmeIdentifier extension more than once".to_owned())?
        .ok_or("has no acmeIdentifier extension")?;
    if !extension.critical {
        return Err("has an acmeIdentifier extension that is not marked critical".to_owned());
    }
    // DER of an OCTET STRING of 32 octets has only one form.
    let found = match extension.value {
        [0x04, 0x20, found @ ..] if found.len() == 32 => found,
        _ => {
            return Err(
                "has an acmeIdentifier extension that is not an OCTET STRING of 32 octets"
                    .to_owned(),
            );
        }
    };
    if found == digest {
        Ok(())
    } else {
        Err(format!(
            "carries the digest {}, where {} is due",
            hex::encode(found),
            hex::encode(digest)
        ))
    }
}

#[cfg(test)]
mod tests;
