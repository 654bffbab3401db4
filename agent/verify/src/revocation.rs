//! Whether a certificate is known not to be revoked, by the staples that were served.

use std::cell::{Cell, LazyCell};
use std::fmt;

use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, RawPublicKeyEntity};

use super::certificate::Certificate;
use super::ocsp::{CertId, Hash, ResponderId, Staple, Statement, Status, Unreadable};
use super::purpose::Purpose;
use super::text::{Span, quoted};

/// How far a responder's clock and ours may differ, in seconds: what OpenSSL's `ocsp` allows by default. It is for
/// OCSP's times alone; certificates and records get none.
const CLOCK_SLACK: u64 = 300;

/// How long a statement without nextUpdate is taken as current, in seconds. Such a responder says that newer
/// information is always available (RFC 6960 4.2.2.1); ten days is the longest that the CA/Browser Forum lets the
/// status of an end entity stand (Baseline Requirements 4.9.10).
const LONGEST_WITHOUT_NEXT_UPDATE: u64 = 10 * 86_400;

/// Steps that one call may take to find out who signed staples, most of them a signature of 0.8 ms at worst (P-384). A
/// staple takes two where the issuer signed it and three where a responder did, for each path on which it is needed.
const MOST_STEPS: u32 = 40;

/// How many of those steps are left.
#[derive(Debug)]
pub(crate) struct Steps(Cell<u32>);

impl Steps {
    /// As many as one call may take.
    pub(crate) fn of_a_call() -> Self {
        Self(Cell::new(MOST_STEPS))
    }

    fn take_one(&self) -> Result<(), StapleProblem> {
        self.0.set(self.0.get().checked_sub(1).ok_or(StapleProblem::TooMany)?);
        Ok(())
    }
}

/// Proof that one certificate has a good, current staple from its issuer's side.
#[derive(Debug)]
pub struct NotRevoked(());

impl NotRevoked {
    /// Looks through all staples for what they say of `certificate`. A good and current one suffices, unless there is
    /// also a current one that says revoked.
    pub(crate) fn prove(
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        staples: &[Result<Staple<'_>, Unreadable>],
        now: u64,
        steps: &Steps,
    ) -> Result<Self, StapleProblem> {
        let sha1 = LazyCell::new(|| ids::<Sha1>(certificate, issuer));
        let sha256 = LazyCell::new(|| ids::<Sha256>(certificate, issuer));
        let is_of = |id: &CertId<'_>| {
            let said = (id.issuer_name, id.issuer_key);
            id.serial == certificate.serial()
                && match id.hash {
                    Some(Hash::Sha1) => said == (&sha1.0[..], &sha1.1[..]),
                    Some(Hash::Sha256) => said == (&sha256.0[..], &sha256.1[..]),
                    None => false,
                }
        };
        let mut good = false;
        let mut problem = StapleProblem::Missing { unreadable: None };
        for staple in staples {
            let staple = match staple {
                Ok(staple) => staple,
                Err(why) => {
                    problem.is_rather(StapleProblem::Missing { unreadable: Some(*why) });
                    continue;
                }
            };
            let mut statements = staple
                .statements
                .iter()
                .filter(|statement| is_of(&statement.certificate))
                .peekable();
            if statements.peek().is_none() {
                continue;
            }
            // Once for a staple, not for each statement in it: signatures are what costs time.
            match check_signature(staple, issuer, now, steps) {
                Ok(()) => {}
                Err(StapleProblem::TooMany) => return Err(StapleProblem::TooMany),
                Err(why) => {
                    problem.is_rather(why);
                    continue;
                }
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

/// The hashes by which a CertID names the issuer of this certificate: of its name, and of its key.
fn ids<H: Digest>(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    (
        H::digest(certificate.issuer()).to_vec(),
        H::digest(issuer.public_key_bits()).to_vec(),
    )
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
fn check_signature(
    staple: &Staple<'_>,
    issuer: &Certificate<'_>,
    now: u64,
    steps: &Steps,
) -> Result<(), StapleProblem> {
    steps.take_one()?;
    let mut problem = StapleProblem::Foreign;
    if is_signed_as(staple, issuer) {
        steps.take_one()?;
        match verify(staple, issuer) {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    for delegate in staple.certificates.iter().filter_map(|der| Certificate::read(der)) {
        if delegate.der() == issuer.der() || !is_signed_as(staple, &delegate) {
            continue;
        }
        steps.take_one()?;
        if let Err(why) = check_delegation(&delegate, issuer, now) {
            problem = StapleProblem::Delegation {
                responder: delegate.called(),
                why,
            };
            continue;
        }
        // The delegate's key is known to be the issuer's choice only now; one that is not could be made to cost more.
        steps.take_one()?;
        match verify(staple, &delegate) {
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
fn check_delegation(delegate: &Certificate<'_>, issuer: &Certificate<'_>, now: u64) -> Result<(), Delegation> {
    if !delegate.may(|usage| usage.digital_signature()) {
        return Err(Delegation::KeyUsage);
    }
    let issuer_der = CertificateDer::from(issuer.der());
    let anchor = webpki::anchor_from_trusted_cert(&issuer_der).map_err(Delegation::Path)?;
    EndEntityCert::try_from(&CertificateDer::from(delegate.der()))
        .and_then(|delegate| {
            delegate
                .verify_for_usage(
                    ALL_VERIFICATION_ALGS,
                    &[anchor],
                    &[],
                    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)),
                    Purpose::OcspSigning,
                    None,
                    None,
                )
                .map(drop)
        })
        .map_err(|error| match error {
            webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => Delegation::Purpose,
            webpki::Error::CertExpired { not_after, .. } => {
                Delegation::Expired(Span::between(not_after.as_secs(), now))
            }
            webpki::Error::CertNotValidYet { not_before, .. } => {
                Delegation::NotYetValid(Span::between(now, not_before.as_secs()))
            }
            webpki::Error::UnknownIssuer => Delegation::OtherIssuer(delegate.issuer_called()),
            webpki::Error::InvalidSignatureForPublicKey => Delegation::Signature(issuer.called()),
            other => Delegation::Path(other),
        })
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
    Delegation {
        /// What the responder's certificate is called.
        responder: String,
        /// Why it is none of the issuer's.
        why: Delegation,
    },
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
    /// Finding out who signed the staples takes more steps than a call may take.
    TooMany,
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
            Self::Delegation { .. } => 3,
            Self::Algorithm => 4,
            Self::Signature => 5,
            Self::Backwards => 6,
            Self::NotYet(_) => 7,
            Self::Ended(_) => 8,
            Self::Unknown => 9,
            Self::TooMany => 10,
            Self::Revoked(_) => 11,
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
            Self::Foreign => {
                f.write_str("is signed by neither its issuer nor a responder whose certificate it encloses")
            }
            Self::Delegation { responder, why } => write!(f, "is signed by responder \"{responder}\", {why}"),
            Self::Algorithm => f.write_str("is signed with an algorithm that is not accepted"),
            Self::Signature => f.write_str("has a wrong signature"),
            Self::Backwards => f.write_str("ends before it begins"),
            Self::NotYet(ahead) => write!(f, "begins in {ahead}: is the clock right?"),
            Self::Ended(ago) => write!(f, "ended {ago} ago"),
            Self::Unknown => f.write_str("says that the responder does not know it"),
            Self::TooMany => f.write_str("could not be found: too many staples claim to come from its issuer"),
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
    /// It expired this long ago.
    Expired(Span),
    /// It begins this far in the future.
    NotYetValid(Span),
    /// It names another issuer than the one whose certificate the staple is for.
    OtherIssuer(String),
    /// It names this issuer, whose signature it does not bear.
    Signature(String),
    /// It does not hold for another of webpki's reasons.
    Path(webpki::Error),
}

impl fmt::Display for Delegation {
    /// Continues "is signed by responder <name>, …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whose certificate ")?;
        match self {
            Self::Purpose => f.write_str("is not for OCSP signing (extendedKeyUsage)"),
            Self::KeyUsage => f.write_str("does not allow signing (keyUsage)"),
            Self::Expired(ago) => write!(f, "expired {ago} ago"),
            Self::NotYetValid(ahead) => write!(f, "begins in {ahead}: is the clock right?"),
            Self::OtherIssuer(name) => write!(f, "was issued by another CA, {name}"),
            Self::Signature(name) => write!(f, "names {name} as its issuer, but is not signed by it"),
            Self::Path(webpki::Error::CaUsedAsEndEntity) => f.write_str("is a CA's"),
            Self::Path(webpki::Error::UnsupportedCriticalExtension) => f.write_str("has an unknown critical extension"),
            Self::Path(webpki::Error::UnsupportedSignatureAlgorithmContext(_)) => {
                f.write_str("is signed with an algorithm that is not accepted")
            }
            Self::Path(error) => write!(f, "does not hold: {}", quoted(error.to_string().as_bytes())),
        }
    }
}
