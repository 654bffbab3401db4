//! The signature of an OCSP response: by the certificate's issuer, or by a responder that the issuer authorized.

use std::cell::Cell;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use sha1::{Digest, Sha1};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, RawPublicKeyEntity};

use super::problem::{DelegationProblem, RevocationProblem};
use super::response::{BasicOcspResponse, ResponderId};
use crate::text::TimeSpan;
use crate::x509::{Certificate, PathError, RequiredPurpose};

/// The checks that one call may make to find out who signed the responses. Most of them are of a signature, which takes
/// at most 0.8 ms (P-384). A response takes two checks if the issuer signed it and three if an authorized responder did,
/// for each path that needs it.
const MAX_CHECKS: u32 = 40;

/// The number of checks that a call may still make.
#[derive(Debug)]
pub(crate) struct SignatureBudget(Cell<u32>);

impl SignatureBudget {
    /// The budget of one call.
    pub(crate) fn per_call() -> Self {
        Self(Cell::new(MAX_CHECKS))
    }

    fn spend_one(&self) -> Result<(), RevocationProblem> {
        let left = self
            .0
            .get()
            .checked_sub(1)
            .ok_or(RevocationProblem::TooManyChecks(MAX_CHECKS))?;
        self.0.set(left);
        Ok(())
    }
}

/// Checks that the response is signed by the issuer itself, or by a responder whose certificate the response includes and
/// which the issuer authorized (RFC 6960 4.2.2.2). `now` is in seconds since the epoch.
pub(super) fn check_signature(
    response: &BasicOcspResponse<'_>,
    issuer: &Certificate<'_>,
    now: u64,
    budget: &SignatureBudget,
) -> Result<(), RevocationProblem> {
    budget.spend_one()?;
    let mut problem = RevocationProblem::UnknownResponder;
    if is_responder(issuer, response) {
        budget.spend_one()?;
        match verify(response, issuer) {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    let included = response.certificates.iter().filter_map(|der| Certificate::parse(der));
    for responder in included {
        if responder.der() == issuer.der() || !is_responder(&responder, response) {
            continue;
        }
        budget.spend_one()?;
        if let Err(why) = check_delegation(&responder, issuer, now) {
            problem = RevocationProblem::Delegation {
                responder: responder.display_name(),
                problem: why,
            };
            continue;
        }
        // Only now is it known that the issuer certified this key. Anybody else's could be chosen to be slow.
        budget.spend_one()?;
        match verify(response, &responder) {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    Err(problem)
}

/// Whether the response's ResponderID is that of this certificate.
fn is_responder(certificate: &Certificate<'_>, response: &BasicOcspResponse<'_>) -> bool {
    match response.responder {
        ResponderId::Name(name) => name == certificate.subject(),
        ResponderId::Key(hash) => Sha1::digest(certificate.public_key_bits())[..] == *hash,
    }
}

/// Checks that this issuer, and no other, authorized the responder. As in OpenSSL, the responder's certificate need not
/// have id-pkix-ocsp-nocheck: IMDS serves no response for the responder itself.
fn check_delegation(responder: &Certificate<'_>, issuer: &Certificate<'_>, now: u64) -> Result<(), DelegationProblem> {
    if !responder.allows_key_usage(|usage| usage.digital_signature()) {
        return Err(DelegationProblem::KeyUsage);
    }
    let issuer_der = CertificateDer::from(issuer.der());
    let anchor = webpki::anchor_from_trusted_cert(&issuer_der)
        .map_err(|error| DelegationProblem::Path(PathError::new(error)))?;
    EndEntityCert::try_from(&CertificateDer::from(responder.der()))
        .and_then(|responder| {
            responder
                .verify_for_usage(
                    ALL_VERIFICATION_ALGS,
                    &[anchor],
                    &[],
                    UnixTime::since_unix_epoch(Duration::from_secs(now)),
                    RequiredPurpose::OcspSigning,
                    None,
                    None,
                )
                .map(drop)
        })
        .map_err(|error| match error {
            webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
                DelegationProblem::ExtendedKeyUsage
            }
            webpki::Error::CertExpired { not_after, .. } => {
                DelegationProblem::Expired(TimeSpan::between(not_after.as_secs(), now))
            }
            webpki::Error::CertNotValidYet { not_before, .. } => {
                DelegationProblem::NotYetValid(TimeSpan::between(now, not_before.as_secs()))
            }
            webpki::Error::UnknownIssuer => DelegationProblem::OtherIssuer(responder.issuer_display_name()),
            webpki::Error::InvalidSignatureForPublicKey => DelegationProblem::Signature(issuer.display_name()),
            other => DelegationProblem::Path(PathError::new(other)),
        })
}

/// Checks that the response's signature is valid for the key of this certificate.
fn verify(response: &BasicOcspResponse<'_>, signer: &Certificate<'_>) -> Result<(), RevocationProblem> {
    let key = SubjectPublicKeyInfoDer::from(signer.public_key_info());
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| RevocationProblem::Algorithm)?;
    let mut problem = RevocationProblem::Algorithm;
    // Several algorithms, which differ in the curve, have the same identifier: the one that fits the key decides.
    for algorithm in ALL_VERIFICATION_ALGS {
        if algorithm.signature_alg_id().as_ref() != response.algorithm {
            continue;
        }
        match key.verify_signature(*algorithm, response.signed, response.signature) {
            Ok(()) => return Ok(()),
            Err(webpki::Error::InvalidSignatureForPublicKey) => problem = RevocationProblem::Signature,
            Err(_) => {}
        }
    }
    Err(problem)
}
