//! Why a record is refused.

use std::error::Error;
use std::fmt;

use super::public_key::PublicKeyError;
use crate::text::TimeSpan;

/// The maximum number of digits in a timestamp: any number of 18 digits fits into 64 bits. The service writes ten.
pub(super) const MAX_TIMESTAMP_DIGITS: usize = 18;

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedRecord {
    /// The fingerprint of the key in the record, if the key could be read.
    pub fingerprint: Option<String>,
    /// Why the record was refused.
    pub reason: RecordRejection,
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordRejection {
    /// It has no key line.
    NoKey,
    /// It has no signature.
    NoSignature,
    /// A line is longer than this limit, in bytes.
    LongLine(usize),
    /// It does not have this header.
    Missing(&'static str),
    /// It has this header more than once.
    Duplicate(&'static str),
    /// Its timestamp is not a decimal number.
    Timestamp(String),
    /// Its timestamp has this many digits, which is too many.
    TimestampDigits(usize),
    /// Its key is not accepted.
    Key(PublicKeyError),
    /// Its signature is not valid base64.
    SignatureNotBase64,
    /// Its signature is not valid for the signer's key.
    Signature,
    /// It is for another instance.
    OtherInstance {
        /// The instance that it is for.
        record: String,
        /// This instance.
        here: String,
    },
    /// It expired this long ago.
    Expired(TimeSpan),
}

impl fmt::Display for RecordRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("record ends before its key"),
            Self::NoSignature => f.write_str("record ends before its signature"),
            Self::LongLine(limit) => write!(f, "record has a line longer than {limit} bytes"),
            Self::Missing(name) => write!(f, "record has no {name}"),
            Self::Duplicate(name) => write!(f, "record has more than one {name}"),
            Self::Timestamp(served) => write!(f, "record's Timestamp is not a number: \"{served}\""),
            Self::TimestampDigits(digits) => {
                write!(
                    f,
                    "record's Timestamp has {digits} digits, more than {MAX_TIMESTAMP_DIGITS}"
                )
            }
            Self::Key(why) => write!(f, "record's {why}"),
            Self::SignatureNotBase64 => f.write_str("record's signature is not valid base64"),
            Self::Signature => f.write_str("record's signature is invalid"),
            Self::OtherInstance { record, here } => write!(f, "record is for instance {record}, but this is {here}"),
            Self::Expired(ago) => write!(f, "record expired {ago} ago"),
        }
    }
}

impl fmt::Display for RefusedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Error for RecordRejection {}

impl Error for RefusedRecord {}
