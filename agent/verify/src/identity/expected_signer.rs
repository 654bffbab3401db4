//! The name that the signer's certificate must have, derived from the region and the domain of its services.

use super::error::IdentityError;
use super::partition::SignerCas;
use super::region::Region;
use crate::text::{quoted, single_line};

/// What every signer's name starts with; `<region>.<domain>` follows.
pub(crate) const SIGNER_PREFIX: &str = "managed-ssh-signer.";

/// The signer that must have signed the keys of this instance: the common name of its certificate, such as
/// `managed-ssh-signer.us-west-2.amazonaws.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedSigner {
    name: String,
    region: Region,
}

impl ExpectedSigner {
    /// The signer of `region`, where `domain` is what IMDS serves at `services/domain`.
    ///
    /// # Errors
    /// [`IdentityError::Domain`] if `domain` is not that of the region's partition: AWS does not control a signer of
    /// that name.
    pub fn new(region: Region, domain: &[u8]) -> Result<Self, IdentityError> {
        let expected = region.partition().domain;
        if single_line(domain) != Some(expected) {
            return Err(IdentityError::Domain {
                served: quoted(domain),
                region: region.name().to_owned(),
                expected,
            });
        }
        Ok(Self {
            name: format!("{SIGNER_PREFIX}{}.{expected}", region.name()),
            region,
        })
    }

    /// The common name that the signer's certificate must have.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which kind of CA issues its certificate.
    pub(crate) fn cas(&self) -> SignerCas {
        self.region.partition().signer_cas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signer_is_named_after_region_and_domain() {
        let region = Region::parse(b"cn-north-1").unwrap();
        let signer = ExpectedSigner::new(region, b"amazonaws.com.cn").unwrap();
        assert_eq!(signer.name(), "managed-ssh-signer.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn a_domain_of_another_partition_or_of_none_is_refused() {
        for domain in [
            "amazonaws.com.cn",
            "amazonaws.com.",
            "evil.example",
            "",
            "AMAZONAWS.COM",
            "amazonaws.com\n\n",
        ] {
            let region = Region::parse(b"us-west-2").unwrap();
            assert_eq!(
                ExpectedSigner::new(region, domain.as_bytes()),
                Err(IdentityError::Domain {
                    served: quoted(domain.as_bytes()),
                    region: "us-west-2".into(),
                    expected: "amazonaws.com",
                }),
                "{domain:?}"
            );
        }
    }
}
