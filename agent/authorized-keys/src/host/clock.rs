//! The system clock, which `eic-verify` gets as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch. A clock before 1970 reads as 0, at which no certificate is valid yet.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
