//! The records of the key blob, one for each pushed key, and the proof that one of them is valid.

mod blob;
mod headers;
mod public_key;
mod rejection;
mod unverified;
mod verified_key;

pub use blob::{BlobError, Candidates, KeyBlob};
pub use public_key::{PublicKey, PublicKeyError};
pub use rejection::{RecordRejection, RefusedRecord};
pub use unverified::UnverifiedRecord;
pub use verified_key::VerifiedKey;
