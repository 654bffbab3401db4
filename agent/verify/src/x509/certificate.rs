//! One X.509 certificate: the fields that messages and OCSP need, and the checks that webpki leaves to its callers.

use x509_parser::asn1_rs::{Class, Tag};
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::prelude::{FromDer, GeneralName, KeyUsage, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::der::Der;
use super::name_constraints::permits_dns_name;
use crate::text::quoted;

/// id-at-commonName (RFC 5280 A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A certificate that x509-parser can parse. Nothing in it is verified.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    der: &'a [u8],
    x509: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    /// Parses one certificate; `None` if `der` is not a certificate or bytes follow it.
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        match X509Certificate::from_der(der) {
            Ok(([], x509)) => Some(Self { der, x509 }),
            _ => None,
        }
    }

    /// The certificate as it was read.
    pub(crate) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The common names of the subject that can be read, in order.
    pub(crate) fn common_names(&self) -> impl Iterator<Item = &[u8]> {
        self.x509.subject().iter_common_name().map(|name| name.as_slice())
    }

    /// All common names of the subject, with their string types; `None` if the subject is not exactly a Name (RFC 5280
    /// 4.1.2.4). x509-parser skips what it cannot read.
    pub(crate) fn typed_common_names(&self) -> Option<Vec<(Tag, &'a [u8])>> {
        let mut name = Der::whole(self.subject()).and_then(Der::sequence).ok()?;
        let mut found = Vec::new();
        while !name.is_empty() {
            let mut set = Der::within(name.take(Class::Universal, Tag::Set.0).ok()?);
            while !set.is_empty() {
                let mut attribute = Der::within(set.take(Class::Universal, Tag::Sequence.0).ok()?);
                let kind = attribute.take(Class::Universal, Tag::Oid.0).ok()?;
                if kind == COMMON_NAME {
                    found.push(attribute.take_string().ok()?);
                } else {
                    attribute.take_whole().ok()?;
                }
                attribute.end().ok()?;
            }
        }
        Some(found)
    }

    /// The certificate's name in messages: the first common name of its subject, or the whole subject.
    pub(crate) fn display_name(&self) -> String {
        match self.common_names().next() {
            Some(name) => quoted(name),
            None => quoted(self.x509.subject().to_string().as_bytes()),
        }
    }

    /// The issuer's name in messages, likewise.
    pub(crate) fn issuer_display_name(&self) -> String {
        let issuer = self.x509.issuer();
        match issuer.iter_common_name().next() {
            Some(name) => quoted(name.as_slice()),
            None => quoted(issuer.to_string().as_bytes()),
        }
    }

    /// The subject's Name, with its DER header.
    pub(crate) fn subject(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject.as_raw()
    }

    /// The issuer's Name, with its DER header.
    pub(crate) fn issuer(&self) -> &'a [u8] {
        self.x509.tbs_certificate.issuer.as_raw()
    }

    /// The serial number's bytes.
    pub(crate) fn serial(&self) -> &'a [u8] {
        self.x509.raw_serial()
    }

    /// The SubjectPublicKeyInfo, with its DER header.
    pub(crate) fn public_key_info(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject_pki.raw
    }

    /// The bits of the public key, which OCSP's key hashes are computed from (RFC 6960 4.1.1).
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        &self.x509.tbs_certificate.subject_pki.subject_public_key.data
    }

    /// The size of an RSA key's modulus in bits; `None` for any other kind of key.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        let Ok(PublicKey::RSA(key)) = self.x509.public_key().parsed() else {
            return None;
        };
        let zeros = key.modulus.iter().take_while(|&&byte| byte == 0).count();
        let modulus = key.modulus.get(zeros..).unwrap_or_default();
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        Some(modulus.len() * 8 - unused)
    }

    /// Whether keyUsage is absent or has the bit that `usage` reads (RFC 5280 4.2.1.3). An extension that is present twice
    /// or cannot be read allows nothing.
    pub(crate) fn allows_key_usage(&self, usage: impl Fn(&KeyUsage) -> bool) -> bool {
        match self.x509.key_usage() {
            Ok(Some(extension)) => usage(extension.value),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether extendedKeyUsage is absent or has the purpose that `purpose` reads (RFC 5280 4.2.1.12). An extension that is
    /// present twice or cannot be read allows nothing.
    pub(crate) fn allows_extended_key_usage(&self, purpose: impl Fn(&ExtendedKeyUsage<'_>) -> bool) -> bool {
        match self.x509.extended_key_usage() {
            Ok(Some(extension)) => purpose(extension.value),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether the certificate has no extendedKeyUsage.
    pub(crate) fn has_no_extended_key_usage(&self) -> bool {
        matches!(self.x509.extended_key_usage(), Ok(None))
    }

    /// The pathLenConstraint of a CA certificate (RFC 5280 4.2.1.9); `None` if basicConstraints is absent or does not
    /// assert cA.
    pub(crate) fn ca_path_length(&self) -> Option<PathLength> {
        let constraints = self.x509.basic_constraints().ok()??.value;
        constraints.ca.then_some(PathLength(constraints.path_len_constraint))
    }

    /// Whether `now` (seconds since the epoch) is within the validity period, both ends included (RFC 5280 4.1.2.5).
    pub(crate) fn is_valid_at(&self, now: u64) -> bool {
        let validity = self.x509.validity();
        i64::try_from(now)
            .is_ok_and(|now| validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp())
    }

    /// Whether the certificate has no subjectAltName.
    pub(crate) fn has_no_subject_alt_name(&self) -> bool {
        matches!(self.x509.subject_alternative_name(), Ok(None))
    }

    /// Whether subjectAltName contains this DNS name, in upper or lower case. Wildcards do not match.
    pub(crate) fn has_dns_name(&self, name: &str) -> bool {
        match self.x509.subject_alternative_name() {
            Ok(Some(extension)) => extension
                .value
                .general_names
                .iter()
                .any(|general| matches!(general, GeneralName::DNSName(dns) if dns.eq_ignore_ascii_case(name))),
            Ok(None) | Err(_) => false,
        }
    }

    /// Whether nameConstraints permits certificates below this CA to have this DNS name (RFC 5280 4.2.1.10). webpki applies
    /// nameConstraints to subjectAltName only; the signer is identified by its common name.
    pub(crate) fn permits_dns_name(&self, name: &str) -> bool {
        let constraints = match self.x509.name_constraints() {
            Ok(Some(extension)) => extension.value,
            Ok(None) => return true,
            Err(_) => return false,
        };
        permits_dns_name(constraints, name)
    }
}

/// The pathLenConstraint of a CA: how many CAs may be between it and the end entity; `None`: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathLength(Option<u32>);

impl PathLength {
    /// Whether `cas_below` CAs may be between this one and the end entity.
    pub(crate) fn allows(self, cas_below: usize) -> bool {
        self.0
            .is_none_or(|most| u32::try_from(cas_below).is_ok_and(|below| below <= most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_length_counts_the_cas_below() {
        assert!(PathLength(None).allows(9));
        assert!(PathLength(Some(1)).allows(1));
        assert!(!PathLength(Some(0)).allows(1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Certificate::parse(&bytes);
        }
    }
}
