//! Why a signer is not trusted.

use std::error::Error;
use std::fmt;

use crate::identity::{ExpectedSigner, SIGNER_PREFIX};
use crate::revocation::RevocationProblem;
use crate::text::{TimeSpan, quoted};
use crate::x509::PathError;

/// The minimum size of the signer's RSA modulus, in bits (Baseline Requirements 6.1.5, and ring's own minimum).
pub(super) const RSA_MIN_BITS: usize = 2048;

/// Why a signer is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerRejection {
    /// IMDS served no certificate.
    NoCertificate,
    /// IMDS served more certificates than this, the limit.
    TooManyCertificates(usize),
    /// The signer's certificate, or one on its path, cannot be parsed.
    Malformed,
    /// The subject of the signer's certificate is not exactly a Name.
    SubjectMalformed,
    /// The subject has this many common names instead of one.
    CommonNames(usize),
    /// The common name has this string type.
    CommonNameType(String),
    /// The certificate is that of another region's signer.
    OtherRegion {
        /// The signer's region and domain: what follows `managed-ssh-signer.` in its name.
        signer: String,
        /// The region and domain of this instance.
        here: String,
    },
    /// The certificate has this name, which is not a signer's.
    OtherName(String),
    /// subjectAltName does not contain the signer's name, or is absent where it is required.
    AlternativeName,
    /// The extendedKeyUsage of the certificate with this name does not allow serverAuth, or is absent where it is required.
    ExtendedKeyUsage(String),
    /// The signer's key is not an RSA key.
    NotRsa,
    /// The signer's RSA key has this many bits, which is too few.
    RsaBits(usize),
    /// The keyUsage of a certificate does not allow a usage that its key was used for.
    KeyUsage {
        /// The name of the certificate.
        certificate: String,
        /// The missing usage.
        missing: &'static str,
    },
    /// The certificate with this name issued another one, but is not a CA certificate.
    NotCa(String),
    /// The path has more CAs below the one with this name than its pathLenConstraint allows.
    PathLength(String),
    /// The nameConstraints of the CA with this name do not permit the signer's name.
    NameConstraint(String),
    /// No certificate in the trust store issued any of the served certificates.
    NoAnchor {
        /// The path of the trust store.
        store: String,
        /// The number of certificates in it.
        certificates: usize,
        /// The name of the issuer at the top of the served chain.
        top: String,
    },
    /// The served certificates form more paths than may be tried.
    TooManyPaths,
    /// A certificate on the path expired this long ago.
    Expired(TimeSpan),
    /// A certificate on the path becomes valid this far in the future.
    NotYetValid(TimeSpan),
    /// webpki found no path for another reason.
    Path(PathError),
    /// There is no proof that a certificate on the path is not revoked.
    Revocation {
        /// The name of the certificate.
        certificate: String,
        /// Why there is no proof.
        problem: RevocationProblem,
    },
}

impl SignerRejection {
    /// The rejection of a certificate with this common name instead of the expected one.
    pub(super) fn wrong_name(name: &[u8], expected: &ExpectedSigner) -> Self {
        let region = |name: &[u8]| name.strip_prefix(SIGNER_PREFIX.as_bytes()).map(quoted);
        match (region(name), region(expected.name().as_bytes())) {
            (Some(signer), Some(here)) => Self::OtherRegion { signer, here },
            _ => Self::OtherName(quoted(name)),
        }
    }

    /// How specific the reason is, among those of several paths: the highest rank is the most specific. What OCSP responses
    /// say ranks above what is wrong with certificates, and that above a missing response, which every path longer than
    /// the served one lacks.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Revocation { problem, .. } => problem.rank() * 2,
            _ => 1,
        }
    }
}

impl fmt::Display for SignerRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("IMDS returned no signer certificate"),
            Self::TooManyCertificates(limit) => {
                write!(f, "IMDS returned more than {limit} signer certificates")
            }
            Self::Malformed => f.write_str("a certificate of the signer's chain cannot be parsed"),
            Self::SubjectMalformed => f.write_str("signer certificate's subject is malformed"),
            Self::CommonNameType(kind) => write!(
                f,
                "signer certificate's common name has the type {kind} instead of PrintableString or UTF8String"
            ),
            Self::CommonNames(count) => write!(f, "signer certificate has {count} common names instead of one"),
            Self::OtherRegion { signer, here } => write!(f, "signer certificate is for {signer}, but this is {here}"),
            Self::OtherName(name) => write!(
                f,
                "signer certificate is for \"{name}\", which is not a signer of EC2 Instance Connect"
            ),
            Self::AlternativeName => {
                f.write_str("signer certificate's subjectAltName does not contain its common name")
            }
            Self::ExtendedKeyUsage(name) => write!(f, "extendedKeyUsage of \"{name}\" does not allow serverAuth"),
            Self::NotRsa => f.write_str("signer's key is not an RSA key"),
            Self::RsaBits(bits) => write!(f, "signer's RSA key has {bits} bits, fewer than {RSA_MIN_BITS}"),
            Self::KeyUsage { certificate, missing } => {
                write!(f, "keyUsage of \"{certificate}\" does not allow {missing}")
            }
            Self::NotCa(name) => write!(
                f,
                "\"{name}\" issued a certificate of the signer's chain, but is not a CA (basicConstraints)"
            ),
            Self::PathLength(name) => write!(
                f,
                "signer's chain has more CAs below \"{name}\" than its pathLenConstraint allows"
            ),
            Self::NameConstraint(name) => write!(f, "nameConstraints of \"{name}\" do not permit the signer's name"),
            Self::NoAnchor {
                store, certificates: 0, ..
            } => write!(f, "trust store {store} contains no certificates"),
            Self::NoAnchor {
                store,
                certificates,
                top,
            } => write!(
                f,
                "no CA in {store} ({certificates} certificates) issued the signer's chain (top: {top})"
            ),
            Self::TooManyPaths => f.write_str("signer certificates form too many possible paths"),
            Self::Expired(ago) => write!(f, "a certificate of the signer's chain expired {ago} ago"),
            Self::NotYetValid(ahead) => write!(
                f,
                "a certificate of the signer's chain becomes valid in {ahead}; check the clock"
            ),
            Self::Path(error) => write!(f, "signer's chain is not valid: {}", describe(error.reason())),
            Self::Revocation { certificate, problem } => write!(f, "OCSP response for \"{certificate}\" {problem}"),
        }
    }
}

/// What webpki's error means; for the rare ones, webpki's own name.
fn describe(error: &webpki::Error) -> String {
    let description = match error {
        webpki::Error::CaUsedAsEndEntity => "the signer certificate is a CA certificate",
        webpki::Error::EndEntityUsedAsCa => "one of its issuers is not a CA",
        webpki::Error::PathLenConstraintViolated => "it is longer than the pathLenConstraint of one of its CAs allows",
        webpki::Error::NameConstraintViolation => "nameConstraints of one of its CAs do not permit the signer's name",
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
            "extendedKeyUsage of one of its certificates does not allow serverAuth"
        }
        webpki::Error::UnsupportedCriticalExtension => "one of its certificates has an unknown critical extension",
        webpki::Error::UnsupportedSignatureAlgorithmContext(_) => {
            "one of its certificates is signed with an algorithm that is not accepted"
        }
        webpki::Error::InvalidSignatureForPublicKey => "one of its certificates has an invalid signature",
        webpki::Error::UnsupportedCertVersion => "one of its certificates is not of X.509 version 3",
        other => return other.to_string(),
    };
    description.to_owned()
}

impl Error for SignerRejection {}
