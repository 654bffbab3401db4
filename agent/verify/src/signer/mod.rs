//! The signer: its certificates, the CA certificates that this system trusts, and the proof that it may sign records.

mod chain;
mod path_cost;
mod path_failure;
mod rejection;
mod trust_anchors;
mod trusted_signer;

pub use chain::SignerChain;
pub use rejection::SignerRejection;
pub use trust_anchors::{TrustAnchors, TrustStore};
pub use trusted_signer::TrustedSigner;
