//! extendedKeyUsage (RFC 5280 4.2.1.12): the check of each certificate during path building, and that of the whole path.

use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext};
use x509_parser::extensions::ExtendedKeyUsage;

use super::certificate::Certificate;

/// One key purpose, for webpki and for x509-parser.
struct KeyPurpose {
    /// The contents of its object identifier.
    oid: &'static [u8],
    /// Whether an extension contains it.
    is_in: fn(&ExtendedKeyUsage<'_>) -> bool,
}

/// id-kp-serverAuth (RFC 5280 4.2.1.12).
const SERVER_AUTH: KeyPurpose = KeyPurpose {
    oid: &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
    is_in: |usage| usage.server_auth,
};
/// id-kp-clientAuth (RFC 5280 4.2.1.12).
const CLIENT_AUTH: KeyPurpose = KeyPurpose {
    oid: &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
    is_in: |usage| usage.client_auth,
};
/// id-kp-OCSPSigning (RFC 6960 4.2.2.2).
const OCSP_SIGNING: KeyPurpose = KeyPurpose {
    oid: &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09],
    is_in: |usage| usage.ocsp_signing,
};

/// The key purpose that the certificates of a path must allow.
///
/// This is used in place of webpki's own validator, which lists the purposes that a certificate has instead in its error:
/// with fabricated certificates of ten thousand purposes, each such list takes milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredPurpose {
    /// serverAuth, in certificates that have an extendedKeyUsage.
    Server,
    /// serverAuth or clientAuth, in certificates that have an extendedKeyUsage.
    ServerOrClient,
    /// OCSPSigning, in a certificate that must have an extendedKeyUsage.
    OcspSigning,
}

impl RequiredPurpose {
    /// The key purposes any one of which is enough.
    fn alternatives(self) -> &'static [KeyPurpose] {
        match self {
            Self::Server => &[SERVER_AUTH],
            Self::ServerOrClient => &[SERVER_AUTH, CLIENT_AUTH],
            Self::OcspSigning => &[OCSP_SIGNING],
        }
    }

    /// Whether this certificate, taken alone, allows the purpose.
    pub(crate) fn is_allowed_by(self, certificate: &Certificate<'_>) -> bool {
        self.alternatives()
            .iter()
            .any(|purpose| certificate.allows_extended_key_usage(purpose.is_in))
    }

    /// The first certificate of the path that does not allow the purpose; `None` if all of them, the root included, allow
    /// the same one.
    ///
    /// RFC 5280 does not describe extendedKeyUsage in a root, and the Baseline Requirements (7.1.2.1.2) forbid it; OpenSSL
    /// applies it to the root as to any other CA. Where a root has one, this does the same; in a root,
    /// anyExtendedKeyUsage means that it is not restricted.
    pub(crate) fn first_without<'c>(
        self,
        below: &[&'c Certificate<'c>],
        root: &'c Certificate<'c>,
    ) -> Option<&'c Certificate<'c>> {
        let mut first = None;
        for purpose in self.alternatives() {
            let below = below
                .iter()
                .copied()
                .find(|certificate| !certificate.allows_extended_key_usage(purpose.is_in));
            let root = (!root.allows_extended_key_usage(|usage| usage.any || (purpose.is_in)(usage))).then_some(root);
            let without = below.or(root);
            first = first.or(Some(without?));
        }
        first
    }
}

impl ExtendedKeyUsageValidator for RequiredPurpose {
    fn validate(&self, ids: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut restricted = false;
        for id in ids {
            restricted = true;
            let id = id?;
            if self
                .alternatives()
                .iter()
                .any(|wanted| KeyPurposeId::new(wanted.oid) == id)
            {
                return Ok(());
            }
        }
        if restricted || *self == Self::OcspSigning {
            return Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
                required: KeyUsage::server_auth(),
                present: Vec::new(),
            }));
        }
        Ok(())
    }
}
