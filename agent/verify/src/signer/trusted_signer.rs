//! The proof that a signer may sign records: a path to a trusted root, on which no certificate is revoked.

use std::cell::RefCell;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, VerifiedPath};
use x509_parser::asn1_rs::Tag;

use super::chain::SignerChain;
use super::path_cost::candidates_below_roots;
use super::path_failure;
use super::rejection::{RSA_MIN_BITS, SignerRejection};
use super::trust_anchors::TrustAnchors;
use crate::identity::{ExpectedSigner, SignerCas};
use crate::revocation::{BasicOcspResponse, NotRevoked, OcspParseError, OcspStaple, SignatureBudget};
use crate::x509::{Certificate, PathError, RequiredPurpose};

/// A signer whose certificate has a path to a trusted root, on which no certificate is revoked.
///
/// [`TrustedSigner::establish`] is the only way to get one, and records cannot be verified without one.
#[derive(Debug)]
pub struct TrustedSigner {
    end_entity: CertificateDer<'static>,
    /// The proofs for all certificates on the path below the root.
    _not_revoked: Vec<NotRevoked>,
}

impl TrustedSigner {
    /// Finds a path from the signer's certificate to a trusted root on which every certificate is valid at `now` (seconds
    /// since the epoch) and a stapled OCSP response proves that it is not revoked.
    ///
    /// # Errors
    /// [`SignerRejection`]: the most specific of the reasons for which the possible paths are refused.
    pub fn establish(
        chain: &SignerChain,
        staples: &[OcspStaple],
        anchors: &TrustAnchors,
        expected: &ExpectedSigner,
        now: u64,
    ) -> Result<Self, SignerRejection> {
        let der = chain
            .end_entity(expected.name())
            .ok_or(SignerRejection::NoCertificate)?;
        let leaf = Certificate::parse(der).ok_or(SignerRejection::Malformed)?;
        check_end_entity(&leaf, expected)?;

        let search = PathSearch {
            leaf: &leaf,
            expected,
            responses: staples.iter().map(OcspStaple::parse).collect(),
            budget: SignatureBudget::per_call(),
            anchors,
            now,
            proofs: RefCell::new(None),
            rejection: RefCell::new(None),
        };
        search.run(der, chain)?;
        Ok(Self {
            end_entity: der.clone(),
            _not_revoked: search.proofs.take().ok_or(SignerRejection::Malformed)?,
        })
    }

    /// Checks the signer's signature of `message`: RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (RFC
    /// 8017 8.1.2; ring accepts no other length of salt).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), webpki::Error> {
        EndEntityCert::try_from(&self.end_entity)?.verify_signature(
            RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            message,
            signature,
        )
    }
}

/// The key purpose that the certificates on the signer's path must allow.
fn required_purpose(cas: SignerCas) -> RequiredPurpose {
    match cas {
        SignerCas::Public => RequiredPurpose::Server,
        SignerCas::Private => RequiredPurpose::ServerOrClient,
    }
}

/// Checks the signer's own certificate, apart from its path.
fn check_end_entity(leaf: &Certificate<'_>, expected: &ExpectedSigner) -> Result<(), SignerRejection> {
    let names = leaf.typed_common_names().ok_or(SignerRejection::SubjectMalformed)?;
    let (tag, name) = match names.as_slice() {
        [name] => *name,
        several => return Err(SignerRejection::CommonNames(several.len())),
    };
    // RFC 5280 4.1.2.4: new certificates have no other string type, in which the same bytes can mean other characters.
    if !matches!(tag, Tag::PrintableString | Tag::Utf8String) {
        return Err(SignerRejection::CommonNameType(tag.to_string()));
    }
    if name != expected.name().as_bytes() {
        return Err(SignerRejection::wrong_name(name, expected));
    }
    let public = expected.cas() == SignerCas::Public;
    let may_lack_alternative_name = !public && leaf.has_no_subject_alt_name();
    if !may_lack_alternative_name && !leaf.has_dns_name(expected.name()) {
        return Err(SignerRejection::AlternativeName);
    }
    // An extendedKeyUsage that is present is checked by webpki and by `PathSearch::check`.
    if public && leaf.has_no_extended_key_usage() {
        return Err(SignerRejection::ExtendedKeyUsage(leaf.display_name()));
    }
    match leaf.rsa_bits() {
        None => return Err(SignerRejection::NotRsa),
        Some(bits) if bits < RSA_MIN_BITS => return Err(SignerRejection::RsaBits(bits)),
        Some(_) => {}
    }
    if !leaf.allows_key_usage(|usage| usage.digital_signature()) {
        return Err(SignerRejection::KeyUsage {
            certificate: leaf.display_name(),
            missing: "digitalSignature",
        });
    }
    Ok(())
}

/// One search for a path.
struct PathSearch<'s> {
    leaf: &'s Certificate<'s>,
    expected: &'s ExpectedSigner,
    responses: Vec<Result<BasicOcspResponse<'s>, OcspParseError>>,
    /// The checks that may still be made to find out who signed the responses.
    budget: SignatureBudget,
    anchors: &'s TrustAnchors,
    now: u64,
    /// The proofs for the accepted path.
    proofs: RefCell<Option<Vec<NotRevoked>>>,
    /// The most specific reason for refusing a path that webpki accepts.
    rejection: RefCell<Option<SignerRejection>>,
}

impl PathSearch<'_> {
    fn run(&self, der: &CertificateDer<'static>, chain: &SignerChain) -> Result<(), SignerRejection> {
        let end_entity = EndEntityCert::try_from(der).map_err(|error| SignerRejection::Path(PathError::new(error)))?;
        let roots: Vec<TrustAnchor<'_>> = self
            .anchors
            .certificates()
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        let purpose = required_purpose(self.expected.cas());
        let candidates = candidates_below_roots(der, chain.certificates(), &roots)?;
        let result = end_entity.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &roots,
            &candidates,
            UnixTime::since_unix_epoch(Duration::from_secs(self.now)),
            purpose,
            None,
            Some(&|path| self.accept(path)),
        );
        result.map(drop).map_err(|error| match self.rejection.take() {
            Some(rejection) => rejection,
            None => {
                let certificates: Vec<_> = chain
                    .certificates()
                    .iter()
                    .filter_map(|der| Certificate::parse(der))
                    .collect();
                path_failure::rejection(error, self.leaf, &certificates, purpose, self.anchors, self.now)
            }
        })
    }

    /// Called by webpki for each path that it accepts: checks what webpki leaves to its callers, and revocation. After an
    /// error, webpki tries another path.
    fn accept(&self, path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
        // webpki identifies an anchor by name, key and name constraints, which several certificates of a root can share.
        let is_this_anchor = |root: &&CertificateDer<'_>| {
            webpki::anchor_from_trusted_cert(root).is_ok_and(|anchor| anchor == *path.anchor())
        };
        for anchor in self.anchors.certificates().iter().filter(is_this_anchor) {
            match self.check(path, anchor) {
                Ok(proofs) => {
                    self.proofs.replace(Some(proofs));
                    return Ok(());
                }
                Err(rejection) => self.keep_most_specific(rejection),
            }
        }
        Err(webpki::Error::UnknownRevocationStatus)
    }

    fn keep_most_specific(&self, rejection: SignerRejection) {
        let mut kept = self.rejection.borrow_mut();
        if kept.as_ref().is_none_or(|known| rejection.rank() > known.rank()) {
            *kept = Some(rejection);
        }
    }

    /// Checks a path that webpki accepts, which ends at `anchor`.
    fn check(&self, path: &VerifiedPath<'_>, anchor: &CertificateDer<'_>) -> Result<Vec<NotRevoked>, SignerRejection> {
        let intermediates: Vec<CertificateDer<'_>> = path.intermediate_certificates().map(|cert| cert.der()).collect();
        let issuers = intermediates
            .iter()
            .map(|der| Certificate::parse(der))
            .chain([Certificate::parse(anchor)])
            .collect::<Option<Vec<_>>>()
            .ok_or(SignerRejection::Malformed)?;

        for (cas_below, issuer) in issuers.iter().enumerate() {
            // webpki checks neither keyUsage (RFC 5280 4.2.1.3) nor the pathLenConstraint of an anchor.
            if !issuer.allows_key_usage(|usage| usage.key_cert_sign()) {
                return Err(SignerRejection::KeyUsage {
                    certificate: issuer.display_name(),
                    missing: "keyCertSign",
                });
            }
            if !issuer.ca_path_length().is_some_and(|length| length.allows(cas_below)) {
                return Err(SignerRejection::PathLength(issuer.display_name()));
            }
            if !issuer.permits_dns_name(self.expected.name()) {
                return Err(SignerRejection::NameConstraint(issuer.display_name()));
            }
        }
        let subjects: Vec<&Certificate<'_>> = [self.leaf].into_iter().chain(&issuers).collect();
        if let Some((root, below)) = subjects.split_last()
            && let Some(without) = required_purpose(self.expected.cas()).first_without(below, root)
        {
            return Err(SignerRejection::ExtendedKeyUsage(without.display_name()));
        }
        subjects
            .into_iter()
            .zip(&issuers)
            .map(|(certificate, issuer)| {
                NotRevoked::prove(certificate, issuer, &self.responses, self.now, &self.budget).map_err(|problem| {
                    SignerRejection::Revocation {
                        certificate: certificate.display_name(),
                        problem,
                    }
                })
            })
            .collect()
    }
}
