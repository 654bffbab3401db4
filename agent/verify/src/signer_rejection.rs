//! Why a signer is not trusted, in words that an admin can act on.

use std::fmt;

use super::certificate::Certificate;
use super::identity::{ExpectedSigner, SIGNER_PREFIX};
use super::purpose::Purpose;
use super::revocation::StapleProblem;
use super::text::{Span, quoted};
use super::trust_anchor::TrustAnchors;

/// The smallest RSA modulus of the signer's key, in bits (Baseline Requirements 6.1.5; ring takes no smaller).
pub(crate) const RSA_LEAST_BITS: usize = 2048;

/// Why a signer is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerRejection {
    /// The answer holds no certificate.
    NoCertificate,
    /// The answer holds more certificates than are taken.
    TooManyCertificates(usize),
    /// The certificate, or one of its path, cannot be read.
    Unreadable,
    /// The subject is not exactly a Name.
    SubjectMalformed,
    /// The subject has this many common names instead of one.
    CommonNames(usize),
    /// The common name is of this string type.
    CommonNameType(String),
    /// The certificate is another region's signer.
    OtherRegion {
        /// Whose it is: what follows `managed-ssh-signer.`.
        said: String,
        /// Where this is, likewise.
        here: String,
    },
    /// The certificate is not a signer's.
    OtherName(String),
    /// The signer's name is not among the alternative names, or there are none where there must be.
    AlternativeName,
    /// This certificate's extendedKeyUsage is not for servers, or is not there where it must be.
    ExtendedKeyUsage(String),
    /// The signer's key is not RSA.
    NotRsa,
    /// The signer's RSA key has only this many bits.
    RsaBits(usize),
    /// This certificate's keyUsage does not allow what it was used for.
    KeyUsage(String),
    /// This certificate, an issuer's, is no CA's.
    NoCa(String),
    /// More CAs stand below this one than its pathLenConstraint allows.
    PathLength(String),
    /// This CA may not issue for the signer's name.
    NameConstraint(String),
    /// No local root issued any of the certificates.
    NoAnchor {
        /// Where the store is.
        store: String,
        /// How many certificates it has.
        seen: usize,
        /// The CA that the served certificates lead to.
        top: String,
    },
    /// The served certificates can be combined in so many ways that trying them would take long.
    TooManyPaths,
    /// A certificate of the path ended this long ago.
    Expired(Span),
    /// A certificate of the path begins this far in the future.
    NotYetValid(Span),
    /// webpki found no path for another reason.
    Path(webpki::Error),
    /// There is no proof that this certificate is not revoked.
    Revocation {
        /// The certificate's common name.
        certificate: String,
        /// Why.
        problem: StapleProblem,
    },
}

impl SignerRejection {
    pub(crate) fn other_name(name: &[u8], expected: &ExpectedSigner) -> Self {
        let place = |name: &[u8]| name.strip_prefix(SIGNER_PREFIX.as_bytes()).map(quoted);
        match (place(name), place(expected.name().as_bytes())) {
            (Some(said), Some(here)) => Self::OtherRegion { said, here },
            _ => Self::OtherName(quoted(name)),
        }
    }

    /// Why there is no path, in terms of the certificate that is to blame, where that can be told.
    pub(crate) fn path(
        error: webpki::Error,
        leaf: &Certificate<'_>,
        served: &[Certificate<'_>],
        purpose: Purpose,
        anchors: &TrustAnchors,
        now: u64,
    ) -> Self {
        use webpki::Error;
        let lineage = lineage(leaf, served);
        let blame = |at_fault: &dyn Fn(&Certificate<'_>) -> bool| {
            lineage
                .iter()
                .find(|certificate| at_fault(certificate))
                .map(|certificate| certificate.called())
        };
        let no_ca = |issuer: &Certificate<'_>| issuer.der() != leaf.der() && issuer.ca().is_none();
        let named = match error {
            Error::UnknownIssuer | Error::EndEntityUsedAsCa => blame(&no_ca).map(Self::NoCa),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                blame(&|certificate| !purpose.is_of(certificate)).map(Self::ExtendedKeyUsage)
            }
            _ => None,
        };
        named.unwrap_or_else(|| match error {
            Error::UnknownIssuer => Self::NoAnchor {
                store: anchors.place().to_owned(),
                seen: anchors.seen(),
                top: lineage.last().copied().unwrap_or(leaf).issuer_called(),
            },
            Error::CertExpired { not_after, .. } => Self::Expired(Span::between(not_after.as_secs(), now)),
            Error::CertNotValidYet { not_before, .. } => Self::NotYetValid(Span::between(now, not_before.as_secs())),
            other => Self::Path(other),
        })
    }

    /// How telling a reason is, among those against several paths: what the staples say, then what the certificates
    /// do, then that a staple is missing (which is said of every longer path than the served one).
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Revocation { problem, .. } => problem.rank() * 2,
            _ => 1,
        }
    }
}

impl fmt::Display for SignerRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("IMDS serves no signer certificate"),
            Self::TooManyCertificates(limit) => {
                write!(f, "IMDS serves more than {limit} signer certificates")
            }
            Self::Unreadable => f.write_str("signer certificate cannot be read"),
            Self::SubjectMalformed => f.write_str("signer certificate's subject is malformed"),
            Self::CommonNameType(kind) => write!(
                f,
                "signer certificate's common name is a {kind}, neither a PrintableString nor a UTF8String"
            ),
            Self::CommonNames(count) => write!(f, "signer certificate has {count} common names instead of one"),
            Self::OtherRegion { said, here } => write!(f, "signer is for {said}, this is {here}"),
            Self::OtherName(name) => write!(f, "signer certificate is for \"{name}\""),
            Self::AlternativeName => f.write_str("signer certificate's subjectAltName lacks its common name"),
            Self::ExtendedKeyUsage(name) => write!(f, "extendedKeyUsage of {name} lacks serverAuth"),
            Self::NotRsa => f.write_str("signer's key is not RSA"),
            Self::RsaBits(bits) => write!(f, "signer's RSA key has {bits} bits, fewer than {RSA_LEAST_BITS}"),
            Self::KeyUsage(name) => write!(f, "keyUsage of {name} forbids what it was used for"),
            Self::NoCa(name) => write!(
                f,
                "{name} issued one of the signer's certificates, but is no CA (basicConstraints)"
            ),
            Self::PathLength(name) => write!(f, "more CAs stand below {name} than it allows"),
            Self::NameConstraint(name) => write!(f, "name constraints of {name} forbid this signer"),
            Self::NoAnchor { store, seen: 0, .. } => write!(f, "there is no certificate in {store}"),
            Self::NoAnchor { store, seen, top } => write!(
                f,
                "no CA in {store} ({seen} certificates) issued the signer's chain (top: {top})"
            ),
            Self::TooManyPaths => f.write_str("signer certificates can be combined in too many ways"),
            Self::Expired(ago) => write!(f, "a certificate of the signer's chain expired {ago} ago"),
            Self::NotYetValid(ahead) => write!(
                f,
                "a certificate of the signer's chain begins in {ahead}: is the clock right?"
            ),
            Self::Path(error) => write!(f, "signer's chain does not hold: {}", in_words(error)),
            Self::Revocation { certificate, problem } => write!(f, "staple for {certificate} {problem}"),
        }
    }
}

/// The certificate, and those above it by name, nearest first.
fn lineage<'c>(leaf: &'c Certificate<'c>, served: &'c [Certificate<'c>]) -> Vec<&'c Certificate<'c>> {
    let mut lineage = vec![leaf];
    let mut next = 0;
    while let Some(&below) = lineage.get(next) {
        let issuers = served.iter().filter(|issuer| issuer.subject() == below.issuer());
        for issuer in issuers {
            if lineage.iter().all(|known| known.der() != issuer.der()) {
                lineage.push(issuer);
            }
        }
        next += 1;
    }
    lineage
}

/// webpki's error in words; the rare ones by webpki's own name for them.
fn in_words(error: &webpki::Error) -> String {
    use webpki::Error;
    let words = match error {
        Error::CaUsedAsEndEntity => "the signer's own certificate is a CA's",
        Error::EndEntityUsedAsCa => "a certificate in it is no CA's, but issued the next",
        Error::PathLenConstraintViolated => "more CAs stand below one than it allows",
        Error::NameConstraintViolation => "a CA's name constraints forbid this signer",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            "extendedKeyUsage of a certificate in it lacks serverAuth"
        }
        Error::UnsupportedCriticalExtension => "a certificate in it has an unknown critical extension",
        Error::UnsupportedSignatureAlgorithmContext(_) => "it is signed with an algorithm that is not accepted",
        Error::InvalidSignatureForPublicKey => "a certificate in it has a wrong signature",
        Error::UnsupportedCertVersion => "a certificate in it is not of version 3",
        other => return other.to_string(),
    };
    words.to_owned()
}
