//! The certificates that IMDS serves for the signer. None of them is trusted.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::rejection::SignerRejection;
use crate::limits::Limits;
use crate::x509::{Certificate, certificates_in_pem};

/// The certificates of the IMDS answer `managed-ssh-keys/signer-cert/`: the signer's own, and those of CAs. None of them is
/// trusted.
#[derive(Debug)]
pub struct SignerChain {
    certificates: Vec<CertificateDer<'static>>,
}

impl SignerChain {
    /// Reads the certificates in the answer, which is PEM. Malformed blocks and those of other types are skipped.
    ///
    /// # Errors
    /// [`SignerRejection::NoCertificate`] if there is none, [`SignerRejection::TooManyCertificates`] if there are more than
    /// [`Limits::certificates`].
    pub fn from_pem(answer: &[u8], limits: &Limits) -> Result<Self, SignerRejection> {
        let mut served = certificates_in_pem(answer);
        let mut certificates = Vec::new();
        for certificate in served.by_ref().take(limits.certificates) {
            // A duplicate would only add paths to try.
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

    /// The certificates in the order served. Any of them may be an intermediate on the path.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The signer's own certificate: the first one with the expected common name; if there is none, the first one, because
    /// the service lists the signer's first.
    pub(super) fn end_entity(&self, expected: &str) -> Option<&CertificateDer<'static>> {
        let has_expected_name = |der: &&CertificateDer<'_>| {
            Certificate::parse(der)
                .is_some_and(|certificate| certificate.common_names().any(|name| name == expected.as_bytes()))
        };
        self.certificates
            .iter()
            .find(has_expected_name)
            .or(self.certificates.first())
    }

    /// The issuers of the certificates, in webpki's form: Names without their DER header.
    pub(super) fn issuers(&self) -> Vec<Vec<u8>> {
        self.certificates
            .iter()
            .filter_map(|der| EndEntityCert::try_from(der).ok())
            .map(|certificate| certificate.issuer().to_vec())
            .collect()
    }
}
