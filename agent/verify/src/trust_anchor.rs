//! Trust anchors: those roots of the local store that may end a path, and nothing from anywhere else.

use rustls_pki_types::CertificateDer;

use super::certificate::Certificate;
use super::pem;
use super::signer_chain::SignerChain;

/// The local trust store, as it was read.
#[derive(Debug)]
pub struct Store {
    /// Where it is, for messages.
    pub place: String,
    /// Its files.
    pub files: Vec<Vec<u8>>,
}

/// The roots of the local store that issued something in a served chain.
///
/// A store has some 150 roots and a chain needs one or two: only those whose subject is an issuer in the chain are
/// read in full, before the path is built.
#[derive(Debug)]
pub struct TrustAnchors {
    roots: Vec<CertificateDer<'static>>,
    place: String,
    seen: usize,
}

impl TrustAnchors {
    /// Takes from the store the self-issued CA certificates (subject and issuer are the same) that are
    /// valid at `now` (seconds since the epoch) and issued something in `chain`.
    ///
    /// An expired sibling, a certificate that is no CA, a broken block, comments, and certificates in other wrappings
    /// are passed over: a root that does serve may stand beside them. A root's own signature is not judged (it proves
    /// nothing), whatever it was made with.
    #[must_use]
    pub fn select(store: Store, chain: &SignerChain, now: u64) -> Self {
        let issuers = chain.issuers();
        let mut roots: Vec<CertificateDer<'static>> = Vec::new();
        let mut seen = 0;
        for der in store.files.iter().flat_map(|file| pem::certificates(file)) {
            seen += 1;
            // Cheap, and enough to pass over all the others.
            let Ok(subject) = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.subject) else {
                continue;
            };
            if issuers.iter().any(|issuer| issuer == subject.as_ref()) && !roots.contains(&der) && is_root(&der, now) {
                roots.push(der);
            }
        }
        Self {
            roots,
            place: store.place,
            seen,
        }
    }

    /// The certificates, in the order of the store.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Where the store is.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// How many certificates the store has in all.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen
    }
}

fn is_root(der: &CertificateDer<'_>, now: u64) -> bool {
    Certificate::read(der)
        .is_some_and(|root| root.subject() == root.issuer() && root.ca().is_some() && root.is_valid_at(now))
}
