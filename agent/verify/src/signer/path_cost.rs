//! The served certificates that path building may use, limited so that no answer of IMDS can make it take long.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::EndEntityCert;

use super::rejection::SignerRejection;

/// The CAs that a path may have below its root: webpki's own limit (`MAX_SUB_CA_COUNT`).
const MAX_INTERMEDIATES: usize = 6;

/// The steps from a certificate to a possible issuer that path building may take. In each step webpki parses every
/// candidate, which takes at most 0.2 ms. AWS's chain needs three.
const MAX_STEPS: u32 = 64;

/// The signatures that path building may check, on all paths together: each takes at most 0.8 ms (P-384). webpki checks a
/// path from its root downwards, so it uses only keys that a root leads to, never a fabricated key of 16384 bits. AWS's
/// chain needs five if both its roots are in the trust store.
const MAX_SIGNATURES: u32 = 40;

/// A certificate as webpki parses it.
struct Candidate<'c> {
    der: &'c CertificateDer<'static>,
    certificate: EndEntityCert<'c>,
    key: Vec<u8>,
}

impl<'c> Candidate<'c> {
    fn parse(der: &'c CertificateDer<'static>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(der).ok()?;
        Some(Self {
            der,
            key: certificate.subject_public_key_info().to_vec(),
            certificate,
        })
    }

    /// Whether `issuer` has the name of this certificate's issuer.
    fn is_issued_by(&self, issuer: &Self) -> bool {
        self.certificate.issuer() == issuer.certificate.subject()
    }

    /// Whether `root` has the name of this certificate's issuer.
    fn is_issued_by_root(&self, root: &TrustAnchor<'_>) -> bool {
        self.certificate.issuer() == root.subject.as_ref()
    }

    /// Whether both are certificates of the same CA. No path contains a CA twice (RFC 4158 5.2).
    fn is_same_ca(&self, other: &Self) -> bool {
        self.key == other.key && self.certificate.subject() == other.certificate.subject()
    }
}

/// The served certificates from which issuer names lead to a trusted root. Only names are compared, which is fast; path
/// building checks the signatures.
///
/// # Errors
/// [`SignerRejection::TooManyPaths`] if path building could exceed the limits with them: a fabricated certificate can have
/// any name.
pub(super) fn candidates_below_roots<'c>(
    end_entity: &'c CertificateDer<'static>,
    served: &'c [CertificateDer<'static>],
    roots: &[TrustAnchor<'_>],
) -> Result<Vec<CertificateDer<'c>>, SignerRejection> {
    // A certificate that webpki cannot parse is on no path. It stays a candidate, so that webpki reports the reason.
    let mut candidates: Vec<CertificateDer<'c>> = Vec::new();
    let mut pending = Vec::new();
    for der in served {
        match Candidate::parse(der) {
            Some(candidate) => pending.push(candidate),
            None => candidates.push(CertificateDer::from(der.as_ref())),
        }
    }
    let mut below_roots: Vec<Candidate<'c>> = Vec::new();
    loop {
        let leads_to_root = |certificate: &mut Candidate<'c>| {
            roots.iter().any(|root| certificate.is_issued_by_root(root))
                || below_roots.iter().any(|issuer| certificate.is_issued_by(issuer))
        };
        let found: Vec<Candidate<'c>> = pending.extract_if(.., leads_to_root).collect();
        if found.is_empty() {
            break;
        }
        below_roots.extend(found);
    }
    if let Some(end_entity) = Candidate::parse(end_entity) {
        let search = Search {
            candidates: &below_roots,
            roots,
        };
        let mut cost = Cost {
            steps: 0,
            signatures: 0,
        };
        search.add(&mut vec![&end_entity], &mut cost)?;
    }
    candidates.extend(
        below_roots
            .iter()
            .map(|candidate| CertificateDer::from(candidate.der.as_ref())),
    );
    Ok(candidates)
}

/// The search that webpki would make if every signature were valid.
struct Search<'s, 'c> {
    candidates: &'s [Candidate<'c>],
    roots: &'s [TrustAnchor<'s>],
}

/// The most that the search can cost.
struct Cost {
    /// Steps from a certificate to a possible issuer.
    steps: u32,
    /// Signatures to check.
    signatures: u32,
}

impl<'s> Search<'s, '_> {
    /// Adds the cost of continuing the search from `path`, which starts at the end entity.
    fn add(&self, path: &mut Vec<&'s Candidate<'s>>, cost: &mut Cost) -> Result<(), SignerRejection> {
        let Some(&head) = path.last() else {
            return Ok(());
        };
        for _ in self.roots.iter().filter(|root| head.is_issued_by_root(root)) {
            cost.signatures += u32::try_from(path.len()).unwrap_or(u32::MAX);
        }
        if path.len() <= MAX_INTERMEDIATES {
            for issuer in self.candidates.iter().filter(|issuer| head.is_issued_by(issuer)) {
                if path.iter().any(|below| below.is_same_ca(issuer)) {
                    continue;
                }
                cost.steps += 1;
                path.push(issuer);
                self.add(path, cost)?;
                path.pop();
            }
        }
        if cost.steps > MAX_STEPS || cost.signatures > MAX_SIGNATURES {
            return Err(SignerRejection::TooManyPaths);
        }
        Ok(())
    }
}
