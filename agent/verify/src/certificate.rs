//! What is asked of a certificate beside what webpki checks; names and keys as raw bytes, for hashing and comparing.

use x509_parser::asn1_rs::{Class, Tag};
use x509_parser::extensions::{ExtendedKeyUsage, GeneralSubtree};
use x509_parser::prelude::{FromDer, GeneralName, KeyUsage, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::der::Der;
use super::text::quoted;

/// id-at-commonName (RFC 5280 A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A certificate that x509-parser can read. Nothing about it has been verified.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    der: &'a [u8],
    x509: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads one certificate; `None` where it is none, or bytes follow it.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        match X509Certificate::from_der(der) {
            Ok(([], x509)) => Some(Self { der, x509 }),
            _ => None,
        }
    }

    pub(crate) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Every common name of the subject, in order, as far as it can be read.
    pub(crate) fn common_names(&self) -> impl Iterator<Item = &[u8]> {
        self.x509.subject().iter_common_name().map(|name| name.as_slice())
    }

    /// Every common name of the subject, with its string type; `None` where the Name is not exactly what RFC 5280 4.1.2.4
    /// says, to the last byte (x509-parser passes over what it cannot read).
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

    /// What messages call this certificate: its first common name, or its whole subject.
    pub(crate) fn called(&self) -> String {
        match self.common_names().next() {
            Some(name) => quoted(name),
            None => quoted(self.x509.subject().to_string().as_bytes()),
        }
    }

    /// What messages call its issuer.
    pub(crate) fn issuer_called(&self) -> String {
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

    /// The bits of the public key: what OCSP's key hashes are taken of.
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

    /// Whether it may be used so, by a keyUsage extension that is absent or has the bit (RFC 5280 4.2.1.3).
    /// An extension that is there twice or cannot be read allows nothing.
    pub(crate) fn may(&self, usage: impl Fn(&KeyUsage) -> bool) -> bool {
        match self.x509.key_usage() {
            Ok(Some(extension)) => usage(extension.value),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether it is for this purpose, by an extendedKeyUsage extension that is absent or has it (RFC 5280 4.2.1.12).
    /// An extension that is there twice or cannot be read allows nothing.
    pub(crate) fn is_for(&self, purpose: impl Fn(&ExtendedKeyUsage<'_>) -> bool) -> bool {
        match self.x509.extended_key_usage() {
            Ok(Some(extension)) => purpose(extension.value),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether there is no extendedKeyUsage extension.
    pub(crate) fn has_no_purposes(&self) -> bool {
        matches!(self.x509.extended_key_usage(), Ok(None))
    }

    /// Whether basicConstraints says CA, and how many CAs may stand below it (RFC 5280 4.2.1.9); `None` for no CA.
    pub(crate) fn ca(&self) -> Option<PathLength> {
        let constraints = self.x509.basic_constraints().ok()??.value;
        constraints.ca.then_some(PathLength(constraints.path_len_constraint))
    }

    /// Whether `now` (seconds since the epoch) is within its validity, both ends included.
    pub(crate) fn is_valid_at(&self, now: u64) -> bool {
        let validity = self.x509.validity();
        i64::try_from(now)
            .is_ok_and(|now| validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp())
    }

    /// Whether there is no subjectAltName.
    pub(crate) fn has_no_alternative_names(&self) -> bool {
        matches!(self.x509.subject_alternative_name(), Ok(None))
    }

    /// Whether subjectAltName has this DNS name (in any case; no wildcard).
    pub(crate) fn is_alternatively_named(&self, name: &str) -> bool {
        match self.x509.subject_alternative_name() {
            Ok(Some(extension)) => extension
                .value
                .general_names
                .iter()
                .any(|general| matches!(general, GeneralName::DNSName(dns) if dns.eq_ignore_ascii_case(name))),
            Ok(None) | Err(_) => false,
        }
    }

    /// Whether a certificate below this CA may bear this DNS name (RFC 5280 4.2.1.10). webpki applies the
    /// constraints to subjectAltNames only, and here it is the common name that counts.
    pub(crate) fn may_issue_for(&self, name: &str) -> bool {
        let constraints = match self.x509.name_constraints() {
            Ok(Some(extension)) => extension.value,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let dns = |tree: &GeneralSubtree<'_>| match tree.base {
            GeneralName::DNSName(base) => Some(is_within(name, base)),
            _ => None,
        };
        // x509-parser drops a list it cannot read, and both where the first one is empty (RFC 5280 wants one subtree).
        let lists = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
        let unreadable = |tree: &GeneralSubtree<'_>| matches!(tree.base, GeneralName::Invalid(..));
        if lists.iter().all(|list| list.is_none()) || lists.into_iter().flatten().flatten().any(unreadable) {
            return false;
        }
        let mut permitted = constraints
            .permitted_subtrees
            .iter()
            .flatten()
            .filter_map(dns)
            .peekable();
        let permits = permitted.peek().is_none() || permitted.any(|within| within);
        let excludes = constraints
            .excluded_subtrees
            .iter()
            .flatten()
            .filter_map(dns)
            .any(|within| within);
        permits && !excludes
    }
}

/// A pathLenConstraint: how many CAs may stand between this one and the end entity; `None` for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathLength(Option<u32>);

impl PathLength {
    pub(crate) fn allows(self, cas_below: usize) -> bool {
        self.0
            .is_none_or(|most| u32::try_from(cas_below).is_ok_and(|below| below <= most))
    }
}

/// Whether `name` is `base` or below it; only below it where `base` starts with a dot.
fn is_within(name: &str, base: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    let below = base.trim_start_matches('.');
    below.is_empty() || (name == base) || name.strip_suffix(below).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_within_itself_and_its_parents() {
        for base in ["", "com", "example.com", ".example.com", "a.example.com", "EXAMPLE.com"] {
            assert!(is_within("a.example.com", base), "{base}");
        }
        for base in [
            "xample.com",
            ".a.example.com",
            "b.example.com",
            "b.a.example.com",
            "org",
        ] {
            assert!(!is_within("a.example.com", base), "{base}");
        }
    }

    #[test]
    fn a_path_length_counts_the_cas_below() {
        assert!(PathLength(None).allows(9));
        assert!(PathLength(Some(1)).allows(1));
        assert!(!PathLength(Some(0)).allows(1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes);
        }
    }
}
