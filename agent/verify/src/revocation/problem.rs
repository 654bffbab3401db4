//! Why there is no proof that a certificate is not revoked.

use std::error::Error;
use std::fmt;

use super::response::OcspParseError;
use crate::text::{TimeSpan, quoted};
use crate::x509::PathError;

/// Why there is no proof that a certificate is not revoked, from the least to the most specific reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationProblem {
    /// No response has the status of the certificate.
    Missing {
        /// Why a response that was served could not be parsed, if one could not.
        unparsed: Option<OcspParseError>,
    },
    /// The response is signed neither by the issuer nor by a responder whose certificate it includes.
    UnknownResponder,
    /// The response is signed by a responder that is not authorized by the issuer (RFC 6960 4.2.2.2).
    Delegation {
        /// The name of the responder's certificate.
        responder: String,
        /// Why it is not authorized.
        problem: DelegationProblem,
    },
    /// The response is signed with an algorithm that is not accepted, such as SHA-1.
    Algorithm,
    /// The response's signature is invalid.
    Signature,
    /// The response's nextUpdate is before its thisUpdate.
    NextUpdateBeforeThisUpdate,
    /// The response's thisUpdate is this far in the future.
    NotYetValid(TimeSpan),
    /// The response expired this long ago.
    Expired(TimeSpan),
    /// The responder does not know the certificate.
    Unknown,
    /// More checks than this limit are needed to find out who signed the responses.
    TooManyChecks(u32),
    /// The certificate was revoked this long ago.
    Revoked(TimeSpan),
}

impl RevocationProblem {
    /// Replaces this problem with `other` if that is more specific.
    pub(super) fn replace_if_more_specific(&mut self, other: Self) {
        if other.rank() > self.rank() {
            *self = other;
        }
    }

    /// How specific the problem is: the highest rank is the most specific.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Missing { unparsed: None } => 0,
            Self::Missing { .. } => 1,
            Self::UnknownResponder => 2,
            Self::Delegation { .. } => 3,
            Self::Algorithm => 4,
            Self::Signature => 5,
            Self::NextUpdateBeforeThisUpdate => 6,
            Self::NotYetValid(_) => 7,
            Self::Expired(_) => 8,
            Self::Unknown => 9,
            Self::TooManyChecks(_) => 10,
            Self::Revoked(_) => 11,
        }
    }
}

impl fmt::Display for RevocationProblem {
    /// Continues `OCSP response for "<certificate>" …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { unparsed: None } => f.write_str("is missing"),
            Self::Missing { unparsed: Some(why) } => {
                write!(f, "is missing (IMDS returned one that cannot be parsed: {why})")
            }
            Self::UnknownResponder => f.write_str(
                "is signed neither by the certificate's issuer nor by a responder whose certificate it includes",
            ),
            Self::Delegation { responder, problem } => {
                write!(f, "is signed by responder \"{responder}\", whose certificate {problem}")
            }
            Self::Algorithm => f.write_str("is signed with an algorithm that is not accepted"),
            Self::Signature => f.write_str("has an invalid signature"),
            Self::NextUpdateBeforeThisUpdate => f.write_str("has a nextUpdate before its thisUpdate"),
            Self::NotYetValid(ahead) => write!(f, "becomes valid in {ahead}; check the clock"),
            Self::Expired(ago) => write!(f, "expired {ago} ago"),
            Self::Unknown => f.write_str("has the status unknown: the responder does not know the certificate"),
            Self::TooManyChecks(limit) => write!(
                f,
                "was not found within {limit} checks: too many responses claim to be signed by its issuer"
            ),
            Self::Revoked(ago) => write!(f, "reports that the certificate was revoked {ago} ago"),
        }
    }
}

/// Why a responder is not authorized by the certificate's issuer (RFC 6960 4.2.2.2): what is wrong with its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationProblem {
    /// Its extendedKeyUsage does not contain OCSPSigning, or it has none.
    ExtendedKeyUsage,
    /// Its keyUsage does not contain digitalSignature.
    KeyUsage,
    /// It expired this long ago.
    Expired(TimeSpan),
    /// It becomes valid this far in the future.
    NotYetValid(TimeSpan),
    /// It was issued by another CA, with this name.
    OtherIssuer(String),
    /// It names the issuer, but the issuer did not sign it.
    Signature(String),
    /// webpki refuses it for another reason.
    Path(PathError),
}

impl fmt::Display for DelegationProblem {
    /// Continues `is signed by responder "<name>", whose certificate …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExtendedKeyUsage => f.write_str("is not for OCSP signing (extendedKeyUsage)"),
            Self::KeyUsage => f.write_str("does not allow digital signatures (keyUsage)"),
            Self::Expired(ago) => write!(f, "expired {ago} ago"),
            Self::NotYetValid(ahead) => write!(f, "becomes valid in {ahead}; check the clock"),
            Self::OtherIssuer(name) => write!(f, "was issued by another CA, \"{name}\""),
            Self::Signature(name) => write!(f, "names \"{name}\" as its issuer, but is not signed by it"),
            Self::Path(error) => match error.reason() {
                webpki::Error::CaUsedAsEndEntity => f.write_str("is a CA certificate"),
                webpki::Error::UnsupportedCriticalExtension => f.write_str("has an unknown critical extension"),
                webpki::Error::UnsupportedSignatureAlgorithmContext(_) => {
                    f.write_str("is signed with an algorithm that is not accepted")
                }
                other => write!(f, "is not valid: {}", quoted(other.to_string().as_bytes())),
            },
        }
    }
}

impl Error for RevocationProblem {}

impl Error for DelegationProblem {}
