//! The names a request asks for, and whether they are the order's (RFC 8555 §7.4: exactly the same set).

use std::collections::BTreeSet;
use std::net::IpAddr;

use certfleet_domain::Identifier;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::x509::X509Name;

use super::CsrProblem;

/// The names of subject and extension together are the names ordered.
pub(super) fn check(
    subject: &X509Name<'_>,
    alternative_names: Option<&X509Extension<'_>>,
    ordered: &[Identifier],
) -> Result<(), CsrProblem> {
    let ordered: BTreeSet<Identifier> = ordered.iter().cloned().collect();
    let mut asked = match alternative_names {
        None => BTreeSet::new(),
        Some(extension) => from_extension(extension)?,
    };
    asked.extend(from_subject(subject, &ordered)?);
    if asked == ordered {
        return Ok(());
    }
    Err(CsrProblem::Names {
        missing: ordered.difference(&asked).cloned().collect(),
        extra: asked.difference(&ordered).cloned().collect(),
    })
}

/// The names of a subject alternative name extension.
pub(crate) fn from_extension(
    extension: &X509Extension<'_>,
) -> Result<BTreeSet<Identifier>, CsrProblem> {
    match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().map(from_general_name).collect()
        }
        _ => Err(CsrProblem::MalformedNames),
    }
}

fn from_general_name(name: &GeneralName<'_>) -> Result<Identifier, CsrProblem> {
    match name {
        GeneralName::DNSName(name) => Ok(Identifier::dns(&name.to_ascii_lowercase())?),
        GeneralName::IPAddress(octets) => address(octets),
        GeneralName::OtherName(..) => Err(CsrProblem::NameType("otherName")),
        GeneralName::RFC822Name(_) => Err(CsrProblem::NameType("rfc822Name")),
        GeneralName::X400Address(_) => Err(CsrProblem::NameType("x400Address")),
        GeneralName::DirectoryName(_) => Err(CsrProblem::NameType("directoryName")),
        GeneralName::EDIPartyName(_) => Err(CsrProblem::NameType("ediPartyName")),
        GeneralName::URI(_) => Err(CsrProblem::NameType("uniformResourceIdentifier")),
        GeneralName::RegisteredID(_) => Err(CsrProblem::NameType("registeredID")),
        GeneralName::Invalid(..) => Err(CsrProblem::MalformedNames),
    }
}

fn address(octets: &[u8]) -> Result<Identifier, CsrProblem> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        Ok(Identifier::Ip(IpAddr::from(octets)))
    } else if let Ok(octets) = <[u8; 16]>::try_from(octets) {
        Ok(Identifier::Ip(IpAddr::from(octets)))
    } else {
        Err(CsrProblem::AddressLength(octets.len()))
    }
}

/// The common names, each of which has to be among those ordered.
fn from_subject(
    subject: &X509Name<'_>,
    ordered: &BTreeSet<Identifier>,
) -> Result<Vec<Identifier>, CsrProblem> {
    subject
        .iter_common_name()
        .map(|attribute| {
            let text = attribute
                .as_str()
                .map_err(|_| CsrProblem::CommonNameEncoding)?;
            from_common_name(text)
                .filter(|name| ordered.contains(name))
                .ok_or_else(|| CsrProblem::CommonName(text.chars().take(300).collect()))
        })
        .collect()
}

fn from_common_name(text: &str) -> Option<Identifier> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(Identifier::Ip(address)),
        Err(_) => Identifier::dns(&text.to_ascii_lowercase()).ok(),
    }
}
