//! The certificates that IMDS serves for the signer: a bag of candidates, none of them trusted.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::certificate::Certificate;
use super::limits::Limits;
use super::pem;
use super::signer_rejection::SignerRejection;

/// What `signer-cert/` answered, as certificates.
#[derive(Debug)]
pub struct SignerChain {
    certificates: Vec<CertificateDer<'static>>,
}

impl SignerChain {
    /// Takes the certificates out of an answer; other PEM blocks and broken ones among them are passed over.
    ///
    /// # Errors
    /// [`SignerRejection::NoCertificate`], [`SignerRejection::TooManyCertificates`].
    pub fn from_pem(answer: &[u8], limits: &Limits) -> Result<Self, SignerRejection> {
        let mut served = pem::certificates(answer);
        let mut certificates = Vec::new();
        for certificate in served.by_ref().take(limits.certificates) {
            // One served twice would only make more paths to search.
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
        if served.next().is_some() {
            return Err(SignerRejection::TooManyCertificates(limits.certificates));
        }
        if certificates.is_empty() {
            return Err(SignerRejection::NoCertificate);
        }
        Ok(Self { certificates })
    }

    /// The certificates as served. All of them are candidates for intermediates, in any order.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The signer's own certificate: the first one that bears the expected name, or else simply the first one, which
    /// is where it is served.
    pub(crate) fn end_entity(&self, expected: &str) -> Option<&CertificateDer<'static>> {
        let bears_the_name = |der: &&CertificateDer<'_>| {
            Certificate::read(der)
                .is_some_and(|certificate| certificate.common_names().any(|name| name == expected.as_bytes()))
        };
        self.certificates
            .iter()
            .find(bears_the_name)
            .or(self.certificates.first())
    }

    /// The issuers named in the chain, as webpki compares them: Names without their DER header.
    pub(crate) fn issuers(&self) -> Vec<Vec<u8>> {
        self.certificates
            .iter()
            .filter_map(|der| EndEntityCert::try_from(der).ok())
            .map(|certificate| certificate.issuer().to_vec())
            .collect()
    }
}
