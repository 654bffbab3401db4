//! The proof that one certificate is not revoked.

use std::cell::LazyCell;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::problem::RevocationProblem;
use super::responder::{SignatureBudget, check_signature};
use super::response::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspParseError, SingleResponse};
use crate::text::TimeSpan;
use crate::x509::Certificate;

/// How far the responder's clock and this instance's may differ, in seconds: the default of OpenSSL's `ocsp` command. It
/// applies to the times of OCSP responses only, not to those of certificates and records.
const CLOCK_SLACK: u64 = 300;

/// How long a response without nextUpdate is valid, in seconds. Without nextUpdate, newer information is always available
/// (RFC 6960 4.2.2.1); ten days is the longest validity of a response for an end-entity certificate (Baseline
/// Requirements 4.9.10).
const VALIDITY_WITHOUT_NEXT_UPDATE: u64 = 10 * 86_400;

/// Proof that a currently valid OCSP response of the certificate's issuer gives its status as good.
///
/// [`NotRevoked::prove`] is the only way to get one.
#[derive(Debug)]
pub(crate) struct NotRevoked(());

impl NotRevoked {
    /// Proves it with any one of the stapled responses. A good status is not enough if another valid response gives the
    /// status as revoked.
    ///
    /// `now` is in seconds since the epoch.
    pub(crate) fn prove(
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        staples: &[Result<BasicOcspResponse<'_>, OcspParseError>],
        now: u64,
        budget: &SignatureBudget,
    ) -> Result<Self, RevocationProblem> {
        let sha1 = LazyCell::new(|| issuer_hashes::<Sha1>(certificate, issuer));
        let sha256 = LazyCell::new(|| issuer_hashes::<Sha256>(certificate, issuer));
        let identifies = |id: &CertId<'_>| {
            let hashes = (id.issuer_name, id.issuer_key);
            id.serial == certificate.serial()
                && match id.hash {
                    Some(HashAlgorithm::Sha1) => hashes == (&sha1.0[..], &sha1.1[..]),
                    Some(HashAlgorithm::Sha256) => hashes == (&sha256.0[..], &sha256.1[..]),
                    None => false,
                }
        };
        let mut good = false;
        let mut problem = RevocationProblem::Missing { unparsed: None };
        for staple in staples {
            let response = match staple {
                Ok(response) => response,
                Err(why) => {
                    problem.replace_if_more_specific(RevocationProblem::Missing { unparsed: Some(*why) });
                    continue;
                }
            };
            let mut statuses = response
                .responses
                .iter()
                .filter(|single| identifies(&single.certificate))
                .peekable();
            if statuses.peek().is_none() {
                continue;
            }
            // Once for the whole response: a signature takes far longer to check than anything else.
            match check_signature(response, issuer, now, budget) {
                Ok(()) => {}
                Err(too_many @ RevocationProblem::TooManyChecks(_)) => return Err(too_many),
                Err(why) => {
                    problem.replace_if_more_specific(why);
                    continue;
                }
            }
            for single in statuses {
                match check_status(single, now) {
                    Ok(()) => good = true,
                    Err(revoked @ RevocationProblem::Revoked(_)) => return Err(revoked),
                    Err(other) => problem.replace_if_more_specific(other),
                }
            }
        }
        if good { Ok(Self(())) } else { Err(problem) }
    }
}

/// The hashes that identify the issuer of this certificate in a CertID: of its name and of its key.
fn issuer_hashes<H: Digest>(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    (
        H::digest(certificate.issuer()).to_vec(),
        H::digest(issuer.public_key_bits()).to_vec(),
    )
}

/// Checks that the status of the certificate is valid now, and good.
fn check_status(single: &SingleResponse<'_>, now: u64) -> Result<(), RevocationProblem> {
    check_times(single, now)?;
    match single.status {
        CertStatus::Good => Ok(()),
        CertStatus::Revoked(at) => Err(RevocationProblem::Revoked(TimeSpan::between(seconds(at), now))),
        CertStatus::Unknown => Err(RevocationProblem::Unknown),
    }
}

/// Seconds since the epoch; 0 for an earlier time, which is long past in either case.
fn seconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

/// Checks thisUpdate and nextUpdate (RFC 6960 4.2.2.1).
fn check_times(single: &SingleResponse<'_>, now: u64) -> Result<(), RevocationProblem> {
    let since = seconds(single.this_update);
    if since > now.saturating_add(CLOCK_SLACK) {
        return Err(RevocationProblem::NotYetValid(TimeSpan::between(now, since)));
    }
    let until = match single.next_update {
        Some(next) if next < single.this_update => return Err(RevocationProblem::NextUpdateBeforeThisUpdate),
        Some(next) => seconds(next),
        None => since.saturating_add(VALIDITY_WITHOUT_NEXT_UPDATE),
    };
    if now > until.saturating_add(CLOCK_SLACK) {
        return Err(RevocationProblem::Expired(TimeSpan::between(until, now)));
    }
    Ok(())
}
