//! OCSP staples: a template in which any field can be wrong, and the response made from it.

use const_oid::db;
use der::Encode;
use der::asn1::{BitString, Null, OctetString};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::spki::AlgorithmIdentifierOwned;
pub use x509_ocsp::OcspResponseStatus;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, ResponderId, ResponseBytes, ResponseData,
    RevokedInfo, SingleResponse, Version,
};

use crate::certificate::{
    Certificate, NameAttribute, ObjectIdentifier, RawExtension, generalized_time, serial_number, tamper,
};
use crate::key::{Key, SignatureAlgorithm, null};
use crate::name::distinguished_name;

/// The digest in a certID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertIdHash {
    /// The digest that almost every responder uses (RFC 5019).
    Sha1,
    /// Also allowed, and used by some responders.
    Sha256,
}

impl CertIdHash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
        }
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => db::rfc5912::ID_SHA_1,
            Self::Sha256 => db::rfc5912::ID_SHA_256,
        }
    }
}

/// The status of a certificate in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked at that time (seconds since the epoch), key compromise given as the reason.
    Revoked(i64),
    /// The responder does not know it.
    Unknown,
}

/// The SingleResponse about one certificate.
#[derive(Clone, Debug)]
pub struct SingleTemplate {
    /// The digest that the certID names. The two hashes below are already computed with it.
    pub hash: CertIdHash,
    /// Digest of the issuer's name in DER.
    pub issuer_name_hash: Vec<u8>,
    /// Digest of the issuer's public key.
    pub issuer_key_hash: Vec<u8>,
    /// The certificate's serial number.
    pub serial: Vec<u8>,
    /// The status.
    pub status: Status,
    /// thisUpdate, in seconds since the epoch.
    pub this_update: i64,
    /// nextUpdate; some responders omit it.
    pub next_update: Option<i64>,
    /// singleExtensions.
    pub extensions: Vec<RawExtension>,
}

impl SingleTemplate {
    /// "Good", from an hour before `now` until a week after.
    pub fn good(hash: CertIdHash, certificate: &Certificate, issuer: &Certificate, now: i64) -> Self {
        Self {
            hash,
            // The name as encoded in the certificate, as RFC 6960, section 4.1.1 requires.
            issuer_name_hash: hash.digest(certificate.issuer_der()),
            issuer_key_hash: hash.digest(&issuer.key().public_key_bits()),
            serial: certificate.serial().to_vec(),
            status: Status::Good,
            this_update: now - 60 * 60,
            next_update: Some(now + 7 * 24 * 60 * 60),
            extensions: Vec::new(),
        }
    }

    fn encode(&self) -> SingleResponse {
        SingleResponse {
            cert_id: CertId {
                hash_algorithm: AlgorithmIdentifierOwned {
                    oid: self.hash.oid(),
                    parameters: Some(null()),
                },
                issuer_name_hash: octets(&self.issuer_name_hash),
                issuer_key_hash: octets(&self.issuer_key_hash),
                serial_number: serial_number(&self.serial),
            },
            cert_status: match self.status {
                Status::Good => CertStatus::Good(Null),
                Status::Revoked(at) => CertStatus::Revoked(RevokedInfo {
                    revocation_time: ocsp_time(at),
                    revocation_reason: Some(CrlReason::KeyCompromise),
                }),
                Status::Unknown => CertStatus::Unknown(Null),
            },
            this_update: ocsp_time(self.this_update),
            next_update: self.next_update.map(ocsp_time),
            single_extensions: extensions(&self.extensions),
        }
    }
}

/// How a response names its signer.
#[derive(Clone, Debug)]
pub enum ResponderName {
    /// By a distinguished name.
    ByName(Vec<NameAttribute>),
    /// By the SHA-1 of its public key.
    ByKey(Vec<u8>),
}

impl ResponderName {
    /// By the subject of that certificate.
    pub fn by_name_of(certificate: &Certificate) -> Self {
        Self::ByName(certificate.template().subject.clone())
    }

    /// By the key of that certificate.
    pub fn by_key_of(certificate: &Certificate) -> Self {
        Self::ByKey(certificate.key().identifier())
    }
}

/// All fields of an OCSP response, which can be changed before [`StapleTemplate::sign`].
#[derive(Clone, Debug)]
pub struct StapleTemplate {
    /// A response with a status other than successful has no contents.
    pub response_status: OcspResponseStatus,
    /// `id-pkix-ocsp-basic`, or an unknown type.
    pub response_type: ObjectIdentifier,
    /// The SingleResponses; the first one is about the certificate for which the template was made.
    pub singles: Vec<SingleTemplate>,
    /// When it was signed (seconds since the epoch).
    pub produced_at: i64,
    /// The signer: the issuer itself, or a responder to which it delegated.
    pub responder: Certificate,
    /// A signing key other than the responder's.
    pub signing_key: Option<Key>,
    /// A responder name other than the responder's subject.
    pub responder_name: Option<ResponderName>,
    /// The certificates enclosed, in their order.
    pub enclosed: Vec<Certificate>,
    /// responseExtensions.
    pub extensions: Vec<RawExtension>,
    /// The signature algorithm; `None` for the key's usual one.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// The value of the algorithm field, if it should differ from the algorithm used.
    pub claimed_algorithm: Option<SignatureAlgorithm>,
    /// Flips a bit of the signature.
    pub tamper_signature: bool,
    /// Bytes after the OCSPResponse.
    pub trailing: Vec<u8>,
    /// Bytes after the BasicOCSPResponse, inside its OCTET STRING.
    pub inner_trailing: Vec<u8>,
}

impl StapleTemplate {
    /// "Good", with a SHA-1 certID, signed by the issuer itself, no certificate enclosed.
    pub fn good(certificate: &Certificate, issuer: &Certificate, now: i64) -> Self {
        let single = SingleTemplate::good(CertIdHash::Sha1, certificate, issuer, now);
        Self {
            response_status: OcspResponseStatus::Successful,
            response_type: db::rfc6960::ID_PKIX_OCSP_BASIC,
            produced_at: single.this_update,
            singles: vec![single],
            responder: issuer.clone(),
            signing_key: None,
            responder_name: None,
            enclosed: Vec::new(),
            extensions: Vec::new(),
            signature_algorithm: None,
            claimed_algorithm: None,
            tamper_signature: false,
            trailing: Vec::new(),
            inner_trailing: Vec::new(),
        }
    }

    /// The SingleResponse about the certificate for which the template was made.
    ///
    /// # Panics
    ///
    /// If a test has removed every SingleResponse.
    pub fn single(&mut self) -> &mut SingleTemplate {
        self.singles.first_mut().expect("there is an answer")
    }

    /// Signed by that responder, whose certificate is enclosed.
    #[must_use]
    pub fn delegated_to(mut self, responder: &Certificate) -> Self {
        self.responder = responder.clone();
        self.enclosed = vec![responder.clone()];
        self
    }

    /// With another digest in the certID of its first SingleResponse.
    #[must_use]
    pub fn identified_by(mut self, hash: CertIdHash, certificate: &Certificate, issuer: &Certificate) -> Self {
        let single = self.single();
        single.hash = hash;
        single.issuer_name_hash = hash.digest(certificate.issuer_der());
        single.issuer_key_hash = hash.digest(&issuer.key().public_key_bits());
        self
    }

    /// With another status in its first SingleResponse.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.single().status = status;
        self
    }

    /// Signs it.
    pub fn sign(&self) -> Staple {
        let response_bytes = (self.response_status == OcspResponseStatus::Successful).then(|| ResponseBytes {
            response_type: self.response_type,
            response: octets(&self.basic_response()),
        });
        let response = OcspResponse {
            response_status: self.response_status,
            response_bytes,
        };
        let mut der = response.to_der().expect("an OCSPResponse encodes");
        der.extend(&self.trailing);
        Staple { der }
    }

    fn basic_response(&self) -> Vec<u8> {
        let responder_id = match &self.responder_name {
            None => ResponderId::ByName(distinguished_name(&self.responder.template().subject)),
            Some(ResponderName::ByName(name)) => ResponderId::ByName(distinguished_name(name)),
            Some(ResponderName::ByKey(hash)) => ResponderId::ByKey(octets(hash)),
        };
        let data = ResponseData {
            version: Version::V1,
            responder_id,
            produced_at: ocsp_time(self.produced_at),
            responses: self.singles.iter().map(SingleTemplate::encode).collect(),
            response_extensions: extensions(&self.extensions),
        };
        let key = self.signing_key.as_ref().unwrap_or_else(|| self.responder.key());
        let algorithm = self.signature_algorithm.unwrap_or_else(|| key.default_algorithm());
        let mut signature = key.sign(algorithm, &data.to_der().expect("ResponseData encodes"));
        if self.tamper_signature {
            tamper(&mut signature);
        }
        let enclosed = self.enclosed.iter().map(|c| c.parsed().clone());
        let basic = BasicOcspResponse {
            tbs_response_data: data,
            signature_algorithm: self.claimed_algorithm.unwrap_or(algorithm).identifier(),
            signature: BitString::from_bytes(&signature).expect("a signature fits a BIT STRING"),
            certs: (!self.enclosed.is_empty()).then(|| enclosed.collect()),
        };
        let mut der = basic.to_der().expect("a BasicOCSPResponse encodes");
        der.extend(&self.inner_trailing);
        der
    }
}

/// A signed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    der: Vec<u8>,
}

impl Staple {
    /// The OCSPResponse in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As IMDS serves it: base64, in lines of that length or in one, with a final newline.
    pub fn imds_text(&self, line_length: Option<usize>) -> String {
        crate::base64_lines(&self.der, line_length)
    }
}

fn octets(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).expect("it is shorter than DER's limit")
}

fn ocsp_time(seconds: i64) -> OcspGeneralizedTime {
    OcspGeneralizedTime(generalized_time(seconds))
}

fn extensions(raw: &[RawExtension]) -> Option<Vec<x509_cert::ext::Extension>> {
    (!raw.is_empty()).then(|| raw.iter().map(RawExtension::to_extension).collect())
}
