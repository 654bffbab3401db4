//! Points in time on the clock that files are stamped with, finer than a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// What stat(2) has of a file.
    pub(crate) fn of_stat(seconds: i64, nanoseconds: i64) -> Self {
        let (seconds, nanoseconds) = (u64::try_from(seconds), u64::try_from(nanoseconds));
        Self(seconds.unwrap_or(0).saturating_mul(1_000_000_000) + nanoseconds.unwrap_or(0))
    }

    pub(crate) fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(span)))
    }

    pub(crate) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(span)))
    }
}

/// A moment told in nanoseconds since the machine was booted, as the clock has it now.
pub(crate) fn since_boot(span: u64) -> Moment {
    let boot = clock_gettime(ClockId::Boottime);
    let up = Moment::of_stat(boot.tv_sec, boot.tv_nsec).0;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(nanoseconds(now).saturating_sub(up).saturating_add(span))
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
