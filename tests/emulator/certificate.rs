//! A certificate: a template in which any field can be wrong, and the signed certificate made from it.

use std::time::Duration;

pub use const_oid::ObjectIdentifier;
use const_oid::{AssociatedOid, db};
use der::Encode;
use der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString, UtcTime};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, ExtendedKeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
pub use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

pub use x509_cert::certificate::Version;

use crate::key::{Key, SignatureAlgorithm};
pub use crate::name::NameAttribute;
use crate::name::distinguished_name;

/// The extended key usages that tests use.
pub mod purpose {
    pub use const_oid::db::rfc5280::{
        ANY_EXTENDED_KEY_USAGE, ID_KP_CLIENT_AUTH, ID_KP_CODE_SIGNING, ID_KP_EMAIL_PROTECTION, ID_KP_OCSP_SIGNING,
        ID_KP_SERVER_AUTH,
    };
}

/// An extension in its encoded form, whether or not this crate knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawExtension {
    /// Its object identifier.
    pub oid: ObjectIdentifier,
    /// Whether it is critical: a verifier that does not know it must refuse the certificate or response.
    pub critical: bool,
    /// The contents of the OCTET STRING.
    pub value: Vec<u8>,
}

impl RawExtension {
    /// An extension that nobody knows.
    pub fn unknown(critical: bool) -> Self {
        Self {
            oid: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1"),
            critical,
            value: vec![0x05, 0x00],
        }
    }

    /// `id-pkix-ocsp-nocheck`: this responder's own revocation status must not be checked.
    pub fn ocsp_no_check() -> Self {
        Self {
            oid: db::rfc6960::ID_PKIX_OCSP_NOCHECK,
            critical: false,
            value: vec![0x05, 0x00],
        }
    }

    pub(crate) fn to_extension(&self) -> Extension {
        Extension {
            extn_id: self.oid,
            critical: self.critical,
            extn_value: OctetString::new(self.value.clone()).expect("it is shorter than DER's limit"),
        }
    }
}

/// The DNS names that a CA permits and excludes in the certificates below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConstraints {
    /// The permitted names; if empty, all are permitted.
    pub permitted: Vec<String>,
    /// The excluded names.
    pub excluded: Vec<String>,
}

/// All fields of a certificate, which can be changed before [`CertificateTemplate::issued_by`] signs it.
#[derive(Clone, Debug)]
pub struct CertificateTemplate {
    /// Usually v3. A v1 certificate with extensions is malformed: see [`CertificateTemplate::without_extensions`].
    pub version: Version,
    /// Big-endian, positive, 20 bytes at most.
    pub serial: Vec<u8>,
    /// The subject's attributes in their order.
    pub subject: Vec<NameAttribute>,
    /// An issuer name other than the subject of the signing certificate.
    pub issuer: Option<Vec<NameAttribute>>,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
    /// The subject's key; the certificate contains its public key.
    pub key: Key,
    /// basicConstraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage.
    pub key_usage: Option<KeyUsage>,
    /// extKeyUsage.
    pub extended_key_usage: Option<Vec<ObjectIdentifier>>,
    /// subjectAltName, DNS names only.
    pub dns_names: Option<Vec<String>>,
    /// nameConstraints on DNS names.
    pub name_constraints: Option<DnsConstraints>,
    /// Whether it has subjectKeyIdentifier and authorityKeyIdentifier.
    pub key_identifiers: bool,
    /// Further extensions, after the others. If the certificate already has one of the same kind, it occurs twice.
    pub extensions: Vec<RawExtension>,
    /// Which of the extensions above (raw ones apart) are critical.
    pub critical: Vec<ObjectIdentifier>,
    /// The signature algorithm; `None` for the signing key's usual one.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// The value of the unsigned algorithm field, if it should differ from the signed one.
    pub outer_algorithm: Option<SignatureAlgorithm>,
    /// The value of both algorithm fields, if it should differ from the algorithm used.
    pub claimed_algorithm: Option<SignatureAlgorithm>,
    /// Flips a bit of the signature.
    pub tamper_signature: bool,
}

impl CertificateTemplate {
    /// A certificate for a key with only a name, a validity period and key identifiers.
    pub fn new(subject: Vec<NameAttribute>, key: Key, not_before: i64, not_after: i64) -> Self {
        let mut serial: [u8; 16] = rand::random();
        // Positive and without a leading zero, so that every tool shows the same digits.
        serial[0] = serial[0] & 0x3f | 0x40;
        Self {
            version: Version::V3,
            serial: serial.to_vec(),
            subject,
            issuer: None,
            not_before,
            not_after,
            key,
            basic_constraints: None,
            key_usage: None,
            extended_key_usage: None,
            dns_names: None,
            name_constraints: None,
            key_identifiers: true,
            extensions: Vec::new(),
            critical: vec![BasicConstraints::OID, KeyUsage::OID, NameConstraints::OID],
            signature_algorithm: None,
            outer_algorithm: None,
            claimed_algorithm: None,
            tamper_signature: false,
        }
    }

    /// Makes it a CA certificate: basicConstraints with that path length, and the key usages of a CA.
    #[must_use]
    pub fn for_ca(mut self, path_length: Option<u8>) -> Self {
        self.basic_constraints = Some(BasicConstraints {
            ca: true,
            path_len_constraint: path_length,
        });
        self.key_usage = Some(KeyUsage(
            KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        ));
        self
    }

    /// Drops every extension; with [`Version::V1`] this makes a proper version 1 certificate.
    #[must_use]
    pub fn without_extensions(mut self) -> Self {
        self.basic_constraints = None;
        self.key_usage = None;
        self.extended_key_usage = None;
        self.dns_names = None;
        self.name_constraints = None;
        self.key_identifiers = false;
        self.extensions.clear();
        self
    }

    /// Signs it with its own key.
    pub fn self_signed(self) -> Certificate {
        let issuer = self.subject.clone();
        let key = self.key.clone();
        self.signed_by(&issuer, &key)
    }

    /// Signs it with the key of that certificate, which becomes its issuer.
    pub fn issued_by(self, issuer: &Certificate) -> Certificate {
        self.signed_by(&issuer.template.subject, &issuer.template.key)
    }

    /// Signs it with that issuer name and that key, whether or not they belong together.
    pub fn signed_by(self, issuer: &[NameAttribute], key: &Key) -> Certificate {
        let algorithm = self.signature_algorithm.unwrap_or_else(|| key.default_algorithm());
        let claimed = self.claimed_algorithm.unwrap_or(algorithm);
        let issuer = distinguished_name(self.issuer.as_deref().unwrap_or(issuer));
        let extensions = self.encoded_extensions(key);
        let tbs_certificate = TbsCertificate {
            version: self.version,
            serial_number: serial_number(&self.serial),
            signature: claimed.identifier(),
            issuer: issuer.clone(),
            validity: Validity {
                not_before: time(self.not_before),
                not_after: time(self.not_after),
            },
            subject: distinguished_name(&self.subject),
            subject_public_key_info: self.key.public_key_info(),
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: (!extensions.is_empty()).then_some(extensions),
        };
        let tbs = tbs_certificate.to_der().expect("a certificate encodes");
        let mut signature = key.sign(algorithm, &tbs);
        if self.tamper_signature {
            tamper(&mut signature);
        }
        let parsed = x509_cert::Certificate {
            tbs_certificate,
            signature_algorithm: self.outer_algorithm.unwrap_or(claimed).identifier(),
            signature: BitString::from_bytes(&signature).expect("a signature fits a BIT STRING"),
        };
        Certificate {
            der: parsed.to_der().expect("a certificate encodes"),
            issuer: issuer.to_der().expect("a name encodes"),
            template: self,
            parsed,
        }
    }

    /// The extensions in the order that public CAs use.
    fn encoded_extensions(&self, issuer_key: &Key) -> Vec<Extension> {
        let mut all = Vec::new();
        let mut add = |oid: ObjectIdentifier, value: der::Result<Vec<u8>>| {
            all.push(Extension {
                extn_id: oid,
                critical: self.critical.contains(&oid),
                extn_value: OctetString::new(value.expect("an extension encodes"))
                    .expect("an extension is shorter than DER's limit"),
            });
        };
        let octets = |bytes| OctetString::new(bytes).expect("a key identifier is short");
        if self.key_identifiers {
            let authority = AuthorityKeyIdentifier {
                key_identifier: Some(octets(issuer_key.identifier())),
                ..AuthorityKeyIdentifier::default()
            };
            add(AuthorityKeyIdentifier::OID, authority.to_der());
            let subject = SubjectKeyIdentifier(octets(self.key.identifier()));
            add(SubjectKeyIdentifier::OID, subject.to_der());
        }
        if let Some(names) = &self.dns_names {
            let names = names.iter().map(|name| dns_name(name)).collect();
            add(SubjectAltName::OID, SubjectAltName(names).to_der());
        }
        if let Some(usage) = &self.key_usage {
            add(KeyUsage::OID, usage.to_der());
        }
        if let Some(purposes) = &self.extended_key_usage {
            let purposes = ExtendedKeyUsage(purposes.clone());
            add(ExtendedKeyUsage::OID, purposes.to_der());
        }
        if let Some(constraints) = &self.basic_constraints {
            add(BasicConstraints::OID, constraints.to_der());
        }
        if let Some(constraints) = &self.name_constraints {
            let constraints = NameConstraints {
                permitted_subtrees: subtrees(&constraints.permitted),
                excluded_subtrees: subtrees(&constraints.excluded),
            };
            add(NameConstraints::OID, constraints.to_der());
        }
        all.extend(self.extensions.iter().map(RawExtension::to_extension));
        all
    }
}

/// A signed certificate, its private key, and the template it was made from.
#[derive(Clone, Debug)]
pub struct Certificate {
    template: CertificateTemplate,
    parsed: x509_cert::Certificate,
    der: Vec<u8>,
    issuer: Vec<u8>,
}

impl Certificate {
    /// The template from which it was made: clone it, change it, and sign it again.
    pub fn template(&self) -> &CertificateTemplate {
        &self.template
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM, with its final newline.
    pub fn pem(&self) -> String {
        crate::pem("CERTIFICATE", &self.der)
    }

    /// The private key of its subject.
    pub fn key(&self) -> &Key {
        &self.template.key
    }

    /// The serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.template.serial
    }

    /// The subject's distinguished name in DER.
    pub fn subject_der(&self) -> Vec<u8> {
        distinguished_name(&self.template.subject)
            .to_der()
            .expect("a name encodes")
    }

    /// The issuer's distinguished name in DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer
    }

    /// SHA-1 of the certificate in upper-case hexadecimal: the name under which IMDS serves its staple.
    pub fn sha1(&self) -> String {
        crate::upper_hex(&Sha1::digest(&self.der))
    }

    /// SHA-256 of the certificate in upper-case hexadecimal.
    pub fn sha256(&self) -> String {
        crate::upper_hex(&Sha256::digest(&self.der))
    }

    pub(crate) fn parsed(&self) -> &x509_cert::Certificate {
        &self.parsed
    }
}

/// Flips the lowest bit of a signature's second to last byte: both RSA and ECDSA signatures stay well-formed.
pub(crate) fn tamper(signature: &mut [u8]) {
    let position = signature.len().saturating_sub(2);
    if let Some(byte) = signature.get_mut(position) {
        *byte ^= 1;
    }
}

pub(crate) fn serial_number(bytes: &[u8]) -> SerialNumber {
    SerialNumber::new(bytes).expect("a serial number is 1 to 20 bytes long")
}

/// A point in time as GeneralizedTime.
pub(crate) fn generalized_time(seconds: i64) -> GeneralizedTime {
    GeneralizedTime::from_unix_duration(since_epoch(seconds)).expect("a year before 10000")
}

/// UTCTime through the year 2049, GeneralizedTime from then on (RFC 5280, section 4.1.2.5).
fn time(seconds: i64) -> Time {
    match UtcTime::from_unix_duration(since_epoch(seconds)) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(generalized_time(seconds)),
    }
}

fn since_epoch(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().expect("a time after 1970"))
}

fn dns_name(name: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(name).expect("a DNS name is ASCII"))
}

fn subtrees(names: &[String]) -> Option<Vec<GeneralSubtree>> {
    let subtree = |name: &String| GeneralSubtree {
        base: dns_name(name),
        minimum: 0,
        maximum: None,
    };
    (!names.is_empty()).then(|| names.iter().map(subtree).collect())
}
