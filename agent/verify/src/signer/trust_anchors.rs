//! The trust anchors: the CA certificates of the local trust store that a path may end at.

use rustls_pki_types::CertificateDer;

use super::chain::SignerChain;
use crate::x509::{Certificate, certificates_in_pem};

/// The local trust store as the caller read it.
#[derive(Debug)]
pub struct TrustStore {
    /// Its path, for messages.
    pub path: String,
    /// The contents of its files, which are PEM.
    pub files: Vec<Vec<u8>>,
}

/// The root certificates of the local trust store that issued a certificate of the signer's chain.
///
/// A trust store has about 150 roots, and a chain needs one or two: only roots whose subject is an issuer in the chain are
/// parsed in full.
#[derive(Debug)]
pub struct TrustAnchors {
    roots: Vec<CertificateDer<'static>>,
    store_path: String,
    store_certificates: usize,
}

impl TrustAnchors {
    /// Selects from the store the self-issued CA certificates (subject and issuer are the same) that are valid at `now`
    /// (seconds since the epoch) and are the issuer of a certificate in `chain`.
    ///
    /// Everything else in the store is skipped: expired roots, certificates that are not CA certificates, malformed
    /// blocks, other PEM types and comments. A root's signature of itself is not checked, because it proves nothing.
    #[must_use]
    pub fn select(store: TrustStore, chain: &SignerChain, now: u64) -> Self {
        let issuers = chain.issuers();
        let mut roots: Vec<CertificateDer<'static>> = Vec::new();
        let mut store_certificates = 0;
        for der in store.files.iter().flat_map(|file| certificates_in_pem(file)) {
            store_certificates += 1;
            // Fast, and enough to skip the roots that the chain does not need.
            let Ok(subject) = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.subject) else {
                continue;
            };
            if issuers.iter().any(|issuer| issuer == subject.as_ref()) && !roots.contains(&der) && is_root(&der, now) {
                roots.push(der);
            }
        }
        Self {
            roots,
            store_path: store.path,
            store_certificates,
        }
    }

    /// The selected certificates, in the order of the store.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// The path of the store.
    pub(super) fn store_path(&self) -> &str {
        &self.store_path
    }

    /// The number of all certificates in the store.
    pub(super) fn store_certificates(&self) -> usize {
        self.store_certificates
    }
}

/// Whether this is a self-issued CA certificate that is valid at `now`.
fn is_root(der: &CertificateDer<'_>, now: u64) -> bool {
    Certificate::parse(der)
        .is_some_and(|root| root.subject() == root.issuer() && root.ca_path_length().is_some() && root.is_valid_at(now))
}
