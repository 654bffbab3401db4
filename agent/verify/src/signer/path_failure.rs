//! Why webpki found no path: its error, with the certificate that caused it where that is known.

use webpki::Error;

use super::rejection::SignerRejection;
use super::trust_anchors::TrustAnchors;
use crate::text::TimeSpan;
use crate::x509::{Certificate, PathError, RequiredPurpose};

/// The rejection for webpki's error. `certificates` are those that IMDS served; `now` is in seconds since the epoch.
pub(super) fn rejection(
    error: Error,
    leaf: &Certificate<'_>,
    certificates: &[Certificate<'_>],
    purpose: RequiredPurpose,
    anchors: &TrustAnchors,
    now: u64,
) -> SignerRejection {
    let ancestors = leaf_and_ancestors(leaf, certificates);
    let first_name = |caused_it: &dyn Fn(&Certificate<'_>) -> bool| {
        ancestors
            .iter()
            .find(|certificate| caused_it(certificate))
            .map(|certificate| certificate.display_name())
    };
    let is_issuer_but_no_ca =
        |issuer: &Certificate<'_>| issuer.der() != leaf.der() && issuer.ca_path_length().is_none();
    let of_one_certificate = match error {
        Error::UnknownIssuer | Error::EndEntityUsedAsCa => first_name(&is_issuer_but_no_ca).map(SignerRejection::NotCa),
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            first_name(&|certificate| !purpose.is_allowed_by(certificate)).map(SignerRejection::ExtendedKeyUsage)
        }
        _ => None,
    };
    of_one_certificate.unwrap_or_else(|| match error {
        Error::UnknownIssuer => SignerRejection::NoAnchor {
            store: anchors.store_path().to_owned(),
            certificates: anchors.store_certificates(),
            top: ancestors.last().copied().unwrap_or(leaf).issuer_display_name(),
        },
        Error::CertExpired { not_after, .. } => SignerRejection::Expired(TimeSpan::between(not_after.as_secs(), now)),
        Error::CertNotValidYet { not_before, .. } => {
            SignerRejection::NotYetValid(TimeSpan::between(now, not_before.as_secs()))
        }
        other => SignerRejection::Path(PathError::new(other)),
    })
}

/// The leaf and the served certificates above it, by issuer name, nearest first.
fn leaf_and_ancestors<'c>(leaf: &'c Certificate<'c>, served: &'c [Certificate<'c>]) -> Vec<&'c Certificate<'c>> {
    let mut ancestors = vec![leaf];
    let mut next = 0;
    while let Some(&below) = ancestors.get(next) {
        let issuers = served.iter().filter(|issuer| issuer.subject() == below.issuer());
        for issuer in issuers {
            if ancestors.iter().all(|known| known.der() != issuer.der()) {
                ancestors.push(issuer);
            }
        }
        next += 1;
    }
    ancestors
}
