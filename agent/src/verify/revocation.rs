//! Whether a certificate is known not to be revoked, by the staples that were served.

use std::fmt;

use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, RawPublicKeyEntity};

use super::certificate::Certificate;
use super::ocsp::{CertId, Hash, ResponderId, Served, Staple, Statement, Status, Unreadable};
use super::signer_rejection::in_words;
use super::text::Span;

/// How far a responder's clock and ours may differ, in seconds: what OpenSSL's `ocsp` allows by default. It is for
/// OCSP's times alone; certificates and records get none.
const CLOCK_SLACK: u64 = 300;

/// How long a statement without nextUpdate is taken as current, in seconds. Such a responder says that newer
/// information is always available (RFC 6960 4.2.2.1); ten days is the longest that the CA/Browser Forum lets the
/// status of an end entity stand (Baseline Requirements 4.9.10).
const LONGEST_WITHOUT_NEXT_UPDATE: u64 = 10 * 86_400;

/// id-kp-OCSPSigning (RFC 6960 4.2.2.2).
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];

/// Proof that one certificate has a good, current staple from its issuer's side.
#[derive(Debug)]
pub struct NotRevoked(());

impl NotRevoked {
    /// Looks through all staples for what they say of `certificate`. A good and current one suffices, unless there is
    /// also a current one that says revoked.
    pub(crate) fn prove(
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        staples: &[Served],
        now: u64,
    ) -> Result<Self, StapleProblem> {
        let mut good = false;
        let mut problem = StapleProblem::Missing { unreadable: None };
        for staple in staples {
            let staple = match staple.read() {
                Ok(staple) => staple,
                Err(why) => {
                    problem.is_rather(StapleProblem::Missing { unreadable: Some(why) });
                    continue;
                }
            };
            let mut statements = staple
                .statements
                .iter()
                .filter(|statement| is_of(&statement.certificate, certificate, issuer))
                .peekable();
            if statements.peek().is_none() {
                continue;
            }
            // Once for a staple, not for each statement in it: signatures are what costs time.
            if let Err(why) = check_signature(&staple, issuer, now) {
                problem.is_rather(why);
                continue;
            }
            for statement in statements {
                match judge(statement, now) {
                    Ok(()) => good = true,
                    Err(revoked @ StapleProblem::Revoked(_)) => return Err(revoked),
                    Err(other) => problem.is_rather(other),
                }
            }
        }
        if good { Ok(Self(())) } else { Err(problem) }
    }
}

/// Whether a CertID names this certificate of this issuer.
fn is_of(id: &CertId<'_>, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
    let hashed = |bytes: &[u8], hash: &[u8]| match id.hash {
        Some(Hash::Sha1) => Sha1::digest(bytes)[..] == *hash,
        Some(Hash::Sha256) => Sha256::digest(bytes)[..] == *hash,
        None => false,
    };
    id.serial == certificate.serial()
        && hashed(certificate.issuer(), id.issuer_name)
        && hashed(issuer.public_key_bits(), id.issuer_key)
}

/// Whether a statement about the certificate holds now, and says that it is good.
fn judge(statement: &Statement<'_>, now: u64) -> Result<(), StapleProblem> {
    check_times(statement, now)?;
    match statement.status {
        Status::Good => Ok(()),
        Status::Revoked(at) => Err(StapleProblem::Revoked(Span::between(seconds(at), now))),
        Status::Unknown => Err(StapleProblem::Unknown),
    }
}

/// A time before the epoch is the epoch: it is over either way.
fn seconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

fn check_times(statement: &Statement<'_>, now: u64) -> Result<(), StapleProblem> {
    let since = seconds(statement.this_update);
    if since > now.saturating_add(CLOCK_SLACK) {
        return Err(StapleProblem::NotYet(Span::between(now, since)));
    }
    let until = match statement.next_update {
        Some(next) if next < statement.this_update => return Err(StapleProblem::Backwards),
        Some(next) => seconds(next),
        None => since.saturating_add(LONGEST_WITHOUT_NEXT_UPDATE),
    };
    if now > until.saturating_add(CLOCK_SLACK) {
        return Err(StapleProblem::Ended(Span::between(until, now)));
    }
    Ok(())
}

/// Whether the response is signed by the issuer itself, or by a responder that the issuer delegated to with a
/// certificate enclosed in the response (RFC 6960 4.2.2.2).
fn check_signature(staple: &Staple<'_>, issuer: &Certificate<'_>, now: u64) -> Result<(), StapleProblem> {
    let mut problem = StapleProblem::Foreign;
    if is_signed_as(staple, issuer) {
        match verify(staple, issuer) {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    for delegate in staple.certificates.iter().filter_map(|der| Certificate::read(der)) {
        if delegate.der() == issuer.der() || !is_signed_as(staple, &delegate) {
            continue;
        }
        match check_delegation(&delegate, issuer, now).and_then(|()| verify(staple, &delegate)) {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    Err(problem)
}

/// Whether the ResponderID is that of this certificate.
fn is_signed_as(staple: &Staple<'_>, signer: &Certificate<'_>) -> bool {
    match staple.responder {
        ResponderId::Name(name) => name == signer.subject(),
        ResponderId::Key(hash) => Sha1::digest(signer.public_key_bits())[..] == *hash,
    }
}

/// Whether this very issuer made the delegate a responder. A delegate without id-pkix-ocsp-nocheck is taken, as by
/// OpenSSL: nobody staples the responder's own status.
fn check_delegation(delegate: &Certificate<'_>, issuer: &Certificate<'_>, now: u64) -> Result<(), StapleProblem> {
    let refused = StapleProblem::Delegation;
    if !delegate.may(|usage| usage.digital_signature()) {
        return Err(refused(Delegation::KeyUsage));
    }
    let issuer = CertificateDer::from(issuer.der());
    let delegate = CertificateDer::from(delegate.der());
    let anchor = webpki::anchor_from_trusted_cert(&issuer).map_err(|error| refused(error.into()))?;
    EndEntityCert::try_from(&delegate)
        .and_then(|delegate| {
            delegate
                .verify_for_usage(
                    ALL_VERIFICATION_ALGS,
                    &[anchor],
                    &[],
                    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)),
                    KeyUsage::required(OCSP_SIGNING),
                    None,
                    None,
                )
                .map(drop)
        })
        .map_err(|error| refused(error.into()))
}

fn verify(staple: &Staple<'_>, signer: &Certificate<'_>) -> Result<(), StapleProblem> {
    let key = SubjectPublicKeyInfoDer::from(signer.public_key_info());
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| StapleProblem::Algorithm)?;
    let mut problem = StapleProblem::Algorithm;
    // One identifier may stand for several pairs of hash and curve; the one that fits the key decides.
    for algorithm in ALL_VERIFICATION_ALGS {
        if algorithm.signature_alg_id().as_ref() != staple.algorithm {
            continue;
        }
        match key.verify_signature(*algorithm, staple.signed, staple.signature) {
            Ok(()) => return Ok(()),
            Err(webpki::Error::InvalidSignatureForPublicKey) => problem = StapleProblem::Signature,
            Err(_) => {}
        }
    }
    Err(problem)
}

/// Why there is no proof that a certificate is not revoked, the more telling ones last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StapleProblem {
    /// No staple speaks of the certificate.
    Missing {
        /// What was wrong with a staple that could not be read.
        unreadable: Option<Unreadable>,
    },
    /// A staple is signed by neither the issuer nor a responder enclosed in it.
    Foreign,
    /// A staple is signed by a responder that the issuer did not delegate to.
    Delegation(Delegation),
    /// A staple is signed with an algorithm that is not accepted, such as SHA-1.
    Algorithm,
    /// A staple's signature is not that of its signer.
    Signature,
    /// A staple's nextUpdate is before its thisUpdate.
    Backwards,
    /// A staple begins this far in the future.
    NotYet(Span),
    /// A staple ended this long ago.
    Ended(Span),
    /// The responder does not know the certificate.
    Unknown,
    /// The certificate was revoked this long ago.
    Revoked(Span),
}

impl StapleProblem {
    /// Makes `other` the problem, where it says more than this one.
    fn is_rather(&mut self, other: Self) {
        if other.rank() > self.rank() {
            *self = other;
        }
    }

    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Missing { unreadable: None } => 0,
            Self::Missing { .. } => 1,
            Self::Foreign => 2,
            Self::Delegation(_) => 3,
            Self::Algorithm => 4,
            Self::Signature => 5,
            Self::Backwards => 6,
            Self::NotYet(_) => 7,
            Self::Ended(_) => 8,
            Self::Unknown => 9,
            Self::Revoked(_) => 10,
        }
    }
}

impl fmt::Display for StapleProblem {
    /// Continues "staple for <certificate> …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { unreadable: None } => f.write_str("is missing"),
            Self::Missing { unreadable: Some(why) } => {
                write!(f, "is missing (one that was served is unreadable: {why})")
            }
            Self::Foreign => f.write_str("is signed by a foreign responder"),
            Self::Delegation(why) => write!(f, "is signed by a responder that {why}"),
            Self::Algorithm => f.write_str("is signed with an algorithm that is not accepted"),
            Self::Signature => f.write_str("has a wrong signature"),
            Self::Backwards => f.write_str("ends before it begins"),
            Self::NotYet(ahead) => write!(f, "begins in {ahead}: is the clock right?"),
            Self::Ended(ago) => write!(f, "ended {ago} ago"),
            Self::Unknown => f.write_str("says that the responder does not know it"),
            Self::Revoked(ago) => write!(f, "says that it was revoked {ago} ago"),
        }
    }
}

/// Why a responder's certificate does not make it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// It lacks OCSPSigning.
    Purpose,
    /// It has a keyUsage without digitalSignature.
    KeyUsage,
    /// The issuer did not sign it, or it is not valid now.
    Path(webpki::Error),
}

impl From<webpki::Error> for Delegation {
    fn from(error: webpki::Error) -> Self {
        match error {
            webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => Self::Purpose,
            other => Self::Path(other),
        }
    }
}

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Purpose => f.write_str("is not certified for OCSP signing"),
            Self::KeyUsage => f.write_str("must not sign (keyUsage)"),
            Self::Path(error) => write!(f, "its issuer does not vouch for: {}", in_words(error)),
        }
    }
}
