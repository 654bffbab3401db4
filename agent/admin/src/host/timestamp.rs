//! Time stamps of files and processes, in nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the epoch, by the system clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// From a time stamp of stat(2).
    pub(crate) fn from_stat(seconds: i64, nanoseconds: i64) -> Self {
        let (seconds, nanoseconds) = (u64::try_from(seconds), u64::try_from(nanoseconds));
        Self(seconds.unwrap_or(0).saturating_mul(1_000_000_000) + nanoseconds.unwrap_or(0))
    }

    /// This time minus a span.
    pub(crate) fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(span)))
    }

    /// This time plus a span.
    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(span)))
    }
}

/// The time stamp for a time in nanoseconds since boot, by the present setting of the clock.
pub(crate) fn since_boot(span: u64) -> Timestamp {
    let boot = clock_gettime(ClockId::Boottime);
    let up = Timestamp::from_stat(boot.tv_sec, boot.tv_nsec).0;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(nanoseconds(now).saturating_sub(up).saturating_add(span))
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
