//! What certificates may be for (extendedKeyUsage, RFC 5280 4.2.1.12): the check that path building makes of each, and the
//! one of the whole path.

use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext};
use x509_parser::extensions::ExtendedKeyUsage;

use super::certificate::Certificate;
use super::identity::SignerCas;

/// One purpose, as webpki and as x509-parser know it.
struct KeyPurpose {
    /// Its object identifier, without header.
    oid: &'static [u8],
    /// Whether it is there.
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

/// What a path's certificates must be for.
///
/// webpki's own validator makes a list of what a certificate has instead, for its error; made-up certificates with ten
/// thousand purposes would make that cost milliseconds, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// serverAuth, wherever a certificate has an extendedKeyUsage.
    Server,
    /// serverAuth or clientAuth, wherever a certificate has an extendedKeyUsage.
    ServerOrClient,
    /// OCSPSigning, and an extendedKeyUsage that says so.
    OcspSigning,
}

impl Purpose {
    /// What a path from a signer of these CAs must be for.
    pub(crate) fn of_signers(cas: SignerCas) -> Self {
        match cas {
            SignerCas::Public => Self::Server,
            SignerCas::Private => Self::ServerOrClient,
        }
    }

    fn alternatives(self) -> &'static [KeyPurpose] {
        match self {
            Self::Server => &[SERVER_AUTH],
            Self::ServerOrClient => &[SERVER_AUTH, CLIENT_AUTH],
            Self::OcspSigning => &[OCSP_SIGNING],
        }
    }

    /// Whether a certificate by itself may be for this.
    pub(crate) fn is_of(self, certificate: &Certificate<'_>) -> bool {
        self.alternatives()
            .iter()
            .any(|purpose| certificate.is_for(purpose.is_in))
    }

    /// The certificate that keeps the path from being for this; `None` where all of them, the root included, are for one
    /// and the same purpose.
    ///
    /// RFC 5280 knows of no extendedKeyUsage in a root, and the Baseline Requirements (7.1.2.1.2) forbid it; OpenSSL
    /// judges the root by it as it does any other CA. A root whose owner says what it is for is taken at its word, and
    /// anyExtendedKeyUsage says that it is not restricted.
    pub(crate) fn forbidden_by<'c>(
        self,
        below: &[&'c Certificate<'c>],
        root: &'c Certificate<'c>,
    ) -> Option<&'c Certificate<'c>> {
        let mut first = None;
        for purpose in self.alternatives() {
            let below = below
                .iter()
                .copied()
                .find(|certificate| !certificate.is_for(purpose.is_in));
            let root = (!root.is_for(|usage| usage.any || (purpose.is_in)(usage))).then_some(root);
            let forbidding = below.or(root);
            first = first.or(Some(forbidding?));
        }
        first
    }
}

impl ExtendedKeyUsageValidator for Purpose {
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
