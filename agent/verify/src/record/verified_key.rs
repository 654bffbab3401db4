//! The proof that a key may be used: it was signed for this instance and has not expired.

use super::public_key::PublicKey;
use super::rejection::{RecordRejection, RefusedRecord};
use super::unverified::UnverifiedRecord;
use crate::identity::InstanceId;
use crate::signer::TrustedSigner;

/// A public key that a trusted signer signed for this instance, and that has not expired.
///
/// [`UnverifiedRecord::verify`] is the only way to get one, so a program that accepts only this type accepts only verified
/// keys.
#[derive(Debug)]
pub struct VerifiedKey {
    key: PublicKey,
    caller: Option<Vec<u8>>,
    request: Option<Vec<u8>>,
}

impl VerifiedKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The ARN of the IAM principal that pushed the key, if the record has it.
    #[must_use]
    pub fn caller(&self) -> Option<&[u8]> {
        self.caller.as_deref()
    }

    /// The ID of the API request that pushed the key, if the record has it. It is the same as in CloudTrail.
    #[must_use]
    pub fn request(&self) -> Option<&[u8]> {
        self.request.as_deref()
    }
}

impl UnverifiedRecord<'_> {
    /// Verifies that the signer signed the record, that it is for this instance, and that it has not expired at `now`
    /// (seconds since the epoch).
    ///
    /// Read the clock for `now` after everything was fetched from IMDS: otherwise a record can expire in between.
    ///
    /// # Errors
    /// [`RefusedRecord`], with the reason.
    pub fn verify(self, signer: &TrustedSigner, instance: &InstanceId, now: u64) -> Result<VerifiedKey, RefusedRecord> {
        let signature = signer
            .verify(self.signed, &self.signature)
            .map_err(|_| RecordRejection::Signature);
        match signature.and_then(|()| self.check_instance_and_expiry(instance, now)) {
            Ok(()) => Ok(VerifiedKey {
                caller: self.caller.map(<[u8]>::to_vec),
                request: self.request.map(<[u8]>::to_vec),
                key: self.key,
            }),
            Err(reason) => Err(self.refused(reason)),
        }
    }
}
