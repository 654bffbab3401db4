//! What a run found out: the valid keys, the refused records, and why there is no key.

use std::fmt;
use std::io;

use crate::host::deadline::TimedOut;
use crate::host::imds::ImdsError;
use crate::host::machine::CLOUD_INIT_INSTANCE_ID;
use crate::host::trust_store::TrustStoreError;
use eic_verify::{BlobError, IdentityError, InstanceId, RefusedRecord, SignerRejection, VerifiedKey};

/// What a run found out. It is filled in step by step, so that after a failure it shows how far the run got.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// The fingerprint of the offered key, once there are records to search for it.
    pub(crate) queried: Option<String>,
    /// The valid keys.
    pub(crate) keys: Vec<VerifiedKey>,
    /// The records for the offered key that are not valid.
    pub(crate) refused: Vec<RefusedRecord>,
    /// The number of records that were not judged because there are too many.
    pub(crate) skipped: usize,
    /// Why there is no record to judge, if there is none.
    pub(crate) no_record: Option<NoRecord>,
    /// Why the records could not be judged.
    pub(crate) failure: Option<Failure>,
}

/// Why there is no record to judge, which is the usual case. It is not logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRecord {
    /// Nobody pushed a key for the user.
    NothingPushed,
    /// A key was pushed, but not the one with the fingerprint that sshd asks for.
    OtherFingerprint,
}

/// Why the records could not be judged.
#[derive(Debug)]
pub(crate) enum Failure {
    /// IMDS gave no usable answer.
    Imds(ImdsError),
    /// The region, or the domain of the signer, could not be determined.
    Identity(IdentityError),
    /// IMDS names a different instance from the machine itself.
    InstanceMismatch {
        /// Where the machine's own instance ID is from.
        source: InstanceIdSource,
        /// The machine's own instance ID.
        own: InstanceId,
        /// The instance ID that IMDS returned.
        imds: InstanceId,
    },
    /// The answer for the keys is not a key blob.
    Blob(BlobError),
    /// There are no CA certificates.
    TrustStore(TrustStoreError),
    /// The signer is not trusted.
    Signer(SignerRejection),
    /// IMDS answered each request in time, but all of them together took longer than the timeout, in seconds.
    ImdsTooSlow(u8),
    /// The deadline was reached during work that could not be given up.
    TimedOut(TimedOut),
    /// The kernel did not provide what is needed to send a request.
    Runtime(io::Error),
}

/// A source of the instance ID other than IMDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceIdSource {
    /// The DMI asset tag, on Nitro.
    Dmi,
    /// cloud-init's file, on Xen.
    CloudInit,
}

impl Failure {
    /// Whether the exit status is 1. It is 0 if trying again, or looking at IMDS, the signer or the trust store, would not
    /// help.
    pub(crate) fn is_error(&self) -> bool {
        !matches!(
            self,
            Self::Imds(ImdsError::Disabled) | Self::InstanceMismatch { .. } | Self::Blob(BlobError::NoRecord(_))
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imds(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::InstanceMismatch { source, own, imds } => {
                let (own, imds) = (own.as_str(), imds.as_str());
                match source {
                    InstanceIdSource::Dmi => write!(
                        f,
                        "the instance ID is {own} according to the DMI data, but {imds} according to IMDS"
                    ),
                    InstanceIdSource::CloudInit => write!(
                        f,
                        "the instance ID is {own} according to {CLOUD_INIT_INSTANCE_ID}, but {imds} according to IMDS \
                         (if the file is from another instance, delete it)"
                    ),
                }
            }
            Self::Blob(error) => error.fmt(f),
            Self::TrustStore(error) => error.fmt(f),
            Self::Signer(rejection) => rejection.fmt(f),
            Self::ImdsTooSlow(seconds) => write!(f, "IMDS took longer than the timeout of {seconds} s"),
            Self::TimedOut(timed_out) => timed_out.fmt(f),
            Self::Runtime(error) => write!(f, "cannot start: {error} (check the limits on open files and threads)"),
        }
    }
}

macro_rules! failure_from {
    ($($error:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}
failure_from! {
    ImdsError => Imds,
    IdentityError => Identity,
    BlobError => Blob,
    TrustStoreError => TrustStore,
    SignerRejection => Signer,
}
