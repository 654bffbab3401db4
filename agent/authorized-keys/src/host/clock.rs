//! The clock, read where the world is touched and handed to what decides.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch. A clock before 1970 reads as 0, when no certificate is valid yet.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
