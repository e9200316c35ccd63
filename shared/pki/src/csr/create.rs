//! Making a request, for certificates that certfleet itself needs.

use certfleet_domain::Identifier;
use rcgen::{CertificateParams, DistinguishedName};

use crate::certificate::{IssueError, alternative_name, request_by};
use crate::signer::Signer;

/// A request, DER, for these names and the signer's key. Blocks as long as the signer does.
///
/// # Errors
/// A name that cannot be encoded, or the signer's.
pub fn create_csr(names: &[Identifier], signer: &dyn Signer) -> Result<Vec<u8>, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names
        .iter()
        .map(alternative_name)
        .collect::<Result<_, _>>()?;
    request_by(&params, signer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr::CheckedCsr;
    use crate::testing::TestSigner;

    #[test]
    fn what_is_made_here_passes_every_rule() {
        let names = [
            Identifier::dns("*.example.org").unwrap(),
            Identifier::dns("example.org").unwrap(),
            Identifier::ip("192.0.2.1").unwrap(),
        ];
        let csr = create_csr(&names, &TestSigner::p256()).unwrap();
        CheckedCsr::parse(&csr, &names).unwrap();
        assert!(CheckedCsr::parse(&csr, &names[1..]).is_err());
    }
}
