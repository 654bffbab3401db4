//! Verifies SSH public keys that EC2 Instance Connect pushed to an instance.
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]
#![deny(clippy::disallowed_methods)]

mod identity;
mod limits;
mod login;
mod record;
mod revocation;
mod signer;
pub mod text;
mod x509;

pub use identity::{ExpectedSigner, IdentityError, InstanceId, PARTITIONS, Partition, Region, SignerCas};
pub use limits::Limits;
pub use login::{FingerprintFilter, UserName};
pub use record::{
    BlobError, Candidates, KeyBlob, PublicKey, PublicKeyError, RecordRejection, RefusedRecord, UnverifiedRecord,
    VerifiedKey,
};
pub use revocation::{DelegationProblem, OcspParseError, OcspStaple, RevocationProblem};
pub use signer::{SignerChain, SignerRejection, TrustAnchors, TrustStore, TrustedSigner};
pub use x509::PathError;
