//! The signer: from candidates, local roots and staples to a key that may be believed.

use std::cell::RefCell;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, VerifiedPath};
use x509_parser::asn1_rs::Tag;

use super::candidates;
use super::certificate::Certificate;
use super::identity::{ExpectedSigner, SignerCas};
use super::ocsp::{Served, Staple, Unreadable};
use super::purpose::Purpose;
use super::revocation::{NotRevoked, Steps};
use super::signer_chain::SignerChain;
use super::signer_rejection::{RSA_LEAST_BITS, SignerRejection};
use super::trust_anchor::TrustAnchors;

/// A signer that a local root vouches for, by a path of certificates none of which is revoked.
///
/// There is no other way to verify a record, and [`TrustedSigner::establish`] is the only way to get one.
#[derive(Debug)]
pub struct TrustedSigner {
    end_entity: CertificateDer<'static>,
    /// One for each certificate of the path below the anchor.
    _not_revoked: Vec<NotRevoked>,
}

impl TrustedSigner {
    /// Finds a path from the signer's certificate to a local root, every certificate of which holds at `now` (seconds
    /// since the epoch) and has a good staple.
    ///
    /// # Errors
    /// [`SignerRejection`]: of the paths that could be built, the most telling reason against one.
    pub fn establish(
        chain: &SignerChain,
        staples: &[Served],
        anchors: &TrustAnchors,
        expected: &ExpectedSigner,
        now: u64,
    ) -> Result<Self, SignerRejection> {
        let der = chain
            .end_entity(expected.name())
            .ok_or(SignerRejection::NoCertificate)?;
        let leaf = Certificate::read(der).ok_or(SignerRejection::Unreadable)?;
        check_end_entity(&leaf, expected)?;

        let search = PathSearch {
            leaf: &leaf,
            expected,
            staples: staples.iter().map(Served::read).collect(),
            steps: Steps::of_a_call(),
            anchors,
            now,
            proofs: RefCell::new(None),
            refused: RefCell::new(None),
        };
        search.run(der, chain)?;
        Ok(Self {
            end_entity: der.clone(),
            _not_revoked: search.proofs.take().ok_or(SignerRejection::Unreadable)?,
        })
    }

    /// Whether `signature` is the signer's over `message`: RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of
    /// exactly 32 bytes (RFC 8017 8.1.2; ring takes no other salt).
    ///
    /// # Errors
    /// webpki's, where it is not.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), webpki::Error> {
        EndEntityCert::try_from(&self.end_entity)?.verify_signature(
            RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            message,
            signature,
        )
    }
}

/// What the signer's own certificate must be, whoever issued it.
fn check_end_entity(leaf: &Certificate<'_>, expected: &ExpectedSigner) -> Result<(), SignerRejection> {
    let names = leaf.typed_common_names().ok_or(SignerRejection::SubjectMalformed)?;
    let (tag, name) = match names.as_slice() {
        [name] => *name,
        several => return Err(SignerRejection::CommonNames(several.len())),
    };
    // RFC 5280 4.1.2.4: no other string type is for new certificates, and the same bytes may mean other characters in it.
    if !matches!(tag, Tag::PrintableString | Tag::Utf8String) {
        return Err(SignerRejection::CommonNameType(tag.to_string()));
    }
    if name != expected.name().as_bytes() {
        return Err(SignerRejection::other_name(name, expected));
    }
    let public = expected.cas() == SignerCas::Public;
    let may_lack_alternative_names = !public && leaf.has_no_alternative_names();
    if !may_lack_alternative_names && !leaf.is_alternatively_named(expected.name()) {
        return Err(SignerRejection::AlternativeName);
    }
    // Where a purpose is there, path building and `PathSearch::check` judge it.
    if public && leaf.has_no_purposes() {
        return Err(SignerRejection::ExtendedKeyUsage(leaf.called()));
    }
    match leaf.rsa_bits() {
        None => return Err(SignerRejection::NotRsa),
        Some(bits) if bits < RSA_LEAST_BITS => return Err(SignerRejection::RsaBits(bits)),
        Some(_) => {}
    }
    if !leaf.may(|usage| usage.digital_signature()) {
        return Err(SignerRejection::KeyUsage(leaf.called()));
    }
    Ok(())
}

/// One search for a path, and what was found on the way.
struct PathSearch<'s> {
    leaf: &'s Certificate<'s>,
    expected: &'s ExpectedSigner,
    staples: Vec<Result<Staple<'s>, Unreadable>>,
    /// What is left to find out who signed them.
    steps: Steps,
    anchors: &'s TrustAnchors,
    now: u64,
    /// The proofs for the path that was accepted.
    proofs: RefCell<Option<Vec<NotRevoked>>>,
    /// The most telling reason against a path that webpki found good.
    refused: RefCell<Option<SignerRejection>>,
}

impl PathSearch<'_> {
    fn run(&self, der: &CertificateDer<'static>, chain: &SignerChain) -> Result<(), SignerRejection> {
        let end_entity = EndEntityCert::try_from(der).map_err(SignerRejection::Path)?;
        let roots: Vec<TrustAnchor<'_>> = self
            .anchors
            .certificates()
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        let purpose = Purpose::of_signers(self.expected.cas());
        let candidates = candidates::below_roots(der, chain.certificates(), &roots)?;
        let result = end_entity.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &roots,
            &candidates,
            UnixTime::since_unix_epoch(Duration::from_secs(self.now)),
            purpose,
            None,
            Some(&|path| self.accept(path)),
        );
        result.map(drop).map_err(|error| match self.refused.take() {
            Some(refused) => refused,
            None => {
                let served: Vec<_> = chain
                    .certificates()
                    .iter()
                    .filter_map(|der| Certificate::read(der))
                    .collect();
                SignerRejection::path(error, self.leaf, &served, purpose, self.anchors, self.now)
            }
        })
    }

    /// Called by webpki for each path it finds good: checks what webpki leaves to us, and the staples. An error makes
    /// it go on to look for another path.
    fn accept(&self, path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
        // webpki knows an anchor by name, key and name constraints alone: several versions of one root may be meant.
        let is_meant = |root: &&CertificateDer<'_>| {
            webpki::anchor_from_trusted_cert(root).is_ok_and(|anchor| anchor == *path.anchor())
        };
        for anchor in self.anchors.certificates().iter().filter(is_meant) {
            match self.check(path, anchor) {
                Ok(proofs) => {
                    self.proofs.replace(Some(proofs));
                    return Ok(());
                }
                Err(rejection) => self.note(rejection),
            }
        }
        Err(webpki::Error::UnknownRevocationStatus)
    }

    /// Keeps the more telling of two reasons.
    fn note(&self, rejection: SignerRejection) {
        let mut refused = self.refused.borrow_mut();
        if refused.as_ref().is_none_or(|known| rejection.rank() > known.rank()) {
            *refused = Some(rejection);
        }
    }

    fn check(&self, path: &VerifiedPath<'_>, anchor: &CertificateDer<'_>) -> Result<Vec<NotRevoked>, SignerRejection> {
        let intermediates: Vec<CertificateDer<'_>> = path.intermediate_certificates().map(|cert| cert.der()).collect();
        let issuers = intermediates
            .iter()
            .map(|der| Certificate::read(der))
            .chain([Certificate::read(anchor)])
            .collect::<Option<Vec<_>>>()
            .ok_or(SignerRejection::Unreadable)?;

        for (cas_below, issuer) in issuers.iter().enumerate() {
            // webpki leaves keyUsage to its callers (RFC 5280 4.2.1.3), and knows no path length of an anchor.
            if !issuer.may(|usage| usage.key_cert_sign()) {
                return Err(SignerRejection::KeyUsage(issuer.called()));
            }
            if !issuer.ca().is_some_and(|length| length.allows(cas_below)) {
                return Err(SignerRejection::PathLength(issuer.called()));
            }
            if !issuer.may_issue_for(self.expected.name()) {
                return Err(SignerRejection::NameConstraint(issuer.called()));
            }
        }
        let subjects: Vec<&Certificate<'_>> = [self.leaf].into_iter().chain(&issuers).collect();
        if let Some((root, below)) = subjects.split_last()
            && let Some(forbidding) = Purpose::of_signers(self.expected.cas()).forbidden_by(below, root)
        {
            return Err(SignerRejection::ExtendedKeyUsage(forbidding.called()));
        }
        subjects
            .into_iter()
            .zip(&issuers)
            .map(|(certificate, issuer)| {
                NotRevoked::prove(certificate, issuer, &self.staples, self.now, &self.steps).map_err(|problem| {
                    SignerRejection::Revocation {
                        certificate: certificate.called(),
                        problem,
                    }
                })
            })
            .collect()
    }
}
