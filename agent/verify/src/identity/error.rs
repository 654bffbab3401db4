//! Why the signer that this instance must expect cannot be determined.

use std::error::Error;
use std::fmt;

/// Why the signer that this instance must expect cannot be determined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The region's name fits no partition of AWS.
    Region(String),
    /// The Availability Zone's name does not start with the name of a region.
    Zone(String),
    /// The instance identity document is not JSON with a region.
    Document(String),
    /// IMDS has no region, no instance identity document and no Availability Zone.
    NoRegion,
    /// The domain is not that of the region's partition.
    Domain {
        /// The domain that IMDS returned.
        served: String,
        /// The region.
        region: String,
        /// The domain of the region's partition.
        expected: &'static str,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(served) => write!(f, "\"{served}\" is not an AWS region"),
            Self::Zone(served) => write!(f, "availability zone \"{served}\" is not in any AWS region"),
            Self::Document(served) => {
                write!(f, "the instance identity document contains no region: \"{served}\"")
            }
            Self::NoRegion => f.write_str("IMDS has neither a region nor an availability zone"),
            Self::Domain {
                served,
                region,
                expected,
            } => write!(
                f,
                "IMDS returned the services domain \"{served}\", but that of {region} is {expected}"
            ),
        }
    }
}

impl Error for IdentityError {}
