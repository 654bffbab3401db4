//! Which of the served certificates path building may use, so that what IMDS serves cannot make it search for long.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::EndEntityCert;

use super::signer_rejection::SignerRejection;

/// CAs on a path below the root: as many as webpki takes (`MAX_SUB_CA_COUNT`).
const MOST_INTERMEDIATES: usize = 6;

/// Steps from a certificate to a possible issuer that the search may have to make. In each, webpki reads every candidate:
/// 0.2 ms at worst. The real chain needs three.
const MOST_STEPS: u32 = 64;

/// Signatures that the search may have to check, on all paths together: 0.8 ms each at worst (P-384). webpki checks a path
/// from its root downwards, so only with keys that a root vouches for; a made-up key of 16384 bits is never used. The real
/// chain needs five where both its roots are in the store.
const MOST_SIGNATURES: u32 = 40;

/// A certificate as webpki reads it.
struct Named<'c> {
    der: &'c CertificateDer<'static>,
    certificate: EndEntityCert<'c>,
    key: Vec<u8>,
}

impl<'c> Named<'c> {
    fn read(der: &'c CertificateDer<'static>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(der).ok()?;
        Some(Self {
            der,
            key: certificate.subject_public_key_info().to_vec(),
            certificate,
        })
    }

    /// Whether `issuer` is, by its name, the issuer of this.
    fn names(&self, issuer: &Self) -> bool {
        self.certificate.issuer() == issuer.certificate.subject()
    }

    fn names_root(&self, root: &TrustAnchor<'_>) -> bool {
        self.certificate.issuer() == root.subject.as_ref()
    }

    /// The same CA, perhaps in another certificate. No path has it twice (RFC 4158 5.2).
    fn is_same_ca(&self, other: &Self) -> bool {
        self.key == other.key && self.certificate.subject() == other.certificate.subject()
    }
}

/// The served certificates whose issuers lead to a local root, by name. Names cost nothing to compare; signatures do,
/// and only path building checks them.
///
/// # Errors
/// [`SignerRejection::TooManyPaths`] where even these can be combined in so many ways that the search would take long: the
/// names of made-up certificates are whatever their maker likes.
pub(crate) fn below_roots<'c>(
    end_entity: &'c CertificateDer<'static>,
    served: &'c [CertificateDer<'static>],
    roots: &[TrustAnchor<'_>],
) -> Result<Vec<CertificateDer<'c>>, SignerRejection> {
    // One that webpki cannot read is on no path. It stays a candidate, so that the reason can be told.
    let mut candidates: Vec<CertificateDer<'c>> = Vec::new();
    let mut pending = Vec::new();
    for der in served {
        match Named::read(der) {
            Some(named) => pending.push(named),
            None => candidates.push(CertificateDer::from(der.as_ref())),
        }
    }
    let mut leading: Vec<Named<'c>> = Vec::new();
    loop {
        let is_below = |certificate: &mut Named<'c>| {
            roots.iter().any(|root| certificate.names_root(root))
                || leading.iter().any(|issuer| certificate.names(issuer))
        };
        let found: Vec<Named<'c>> = pending.extract_if(.., is_below).collect();
        if found.is_empty() {
            break;
        }
        leading.extend(found);
    }
    if let Some(end_entity) = Named::read(end_entity) {
        let search = Search {
            leading: &leading,
            roots,
        };
        let mut cost = Cost {
            steps: 0,
            signatures: 0,
        };
        search.add(&mut vec![&end_entity], &mut cost)?;
    }
    candidates.extend(leading.iter().map(|named| CertificateDer::from(named.der.as_ref())));
    Ok(candidates)
}

/// The search that webpki would make if every signature were good.
struct Search<'s, 'c> {
    leading: &'s [Named<'c>],
    roots: &'s [TrustAnchor<'s>],
}

/// What it would cost at most.
struct Cost {
    steps: u32,
    signatures: u32,
}

impl<'s> Search<'s, '_> {
    /// Adds what the search costs from this path on, which goes from the end entity upwards.
    fn add(&self, path: &mut Vec<&'s Named<'s>>, cost: &mut Cost) -> Result<(), SignerRejection> {
        let Some(&head) = path.last() else {
            return Ok(());
        };
        for _ in self.roots.iter().filter(|root| head.names_root(root)) {
            cost.signatures += u32::try_from(path.len()).unwrap_or(u32::MAX);
        }
        if path.len() <= MOST_INTERMEDIATES {
            for issuer in self.leading.iter().filter(|issuer| head.names(issuer)) {
                if path.iter().any(|below| below.is_same_ca(issuer)) {
                    continue;
                }
                cost.steps += 1;
                path.push(issuer);
                self.add(path, cost)?;
                path.pop();
            }
        }
        if cost.steps > MOST_STEPS || cost.signatures > MOST_SIGNATURES {
            return Err(SignerRejection::TooManyPaths);
        }
        Ok(())
    }
}
