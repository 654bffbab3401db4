//! Who must have signed the keys of this instance: its instance ID, its region, and the signer that belongs to them.

mod error;
mod expected_signer;
mod instance_id;
mod partition;
mod region;

pub use error::IdentityError;
pub use expected_signer::ExpectedSigner;
pub(crate) use expected_signer::SIGNER_PREFIX;
pub use instance_id::InstanceId;
pub(crate) use partition::SignerCas;
pub use partition::{PARTITIONS, Partition};
pub use region::Region;
