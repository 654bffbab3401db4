//! Which answers of IMDS are being waited for, so that the watchdog can see that one of them is overdue.
//!
//! The runtime's own timers do not see it where IMDS sends without a pause and without an end what the HTTP library reads
//! before it gives anything back (interim answers, the digits of a chunk's size): the library goes on as long as there is
//! something to read, and nothing else runs on that thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ImdsError;

/// How long after its time an answer is overdue: the runtime's own timer comes first where it can.
const GRACE: Duration = Duration::from_millis(100);

/// The answers that are being waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When each answer's time is over, and what to say then.
    pending: Vec<(Instant, ImdsError)>,
    /// Whether the thread is at other work, and no timer is to blame on IMDS.
    elsewhere: bool,
    /// When it came back from there.
    back: Option<Instant>,
}

impl Waits {
    /// Waits for an answer until the value is dropped; it should not take longer than `time`, and `error` is what it
    /// comes to if it does.
    pub(super) fn begin(&self, time: Duration, error: ImdsError) -> Wait<'_> {
        let end = Instant::now() + time;
        self.state().pending.push((end, error));
        Wait { waits: self, end }
    }

    /// Does work that may block, a file that is read: meanwhile no answer can be taken.
    pub(crate) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().elsewhere = true;
        let done = work();
        let mut state = self.state();
        state.elsewhere = false;
        state.back = Some(Instant::now());
        done
    }

    /// What is overdue, though there was time to take it.
    pub(super) fn overdue(&self) -> Option<ImdsError> {
        let state = self.state();
        let now = Instant::now();
        let is_overdue = |end: Instant| now > state.back.map_or(end, |back| back.max(end)) + GRACE;
        let mut pending = state.pending.iter();
        let first = pending.find(|(end, _)| !state.elsewhere && is_overdue(*end));
        first.map(|(_, error)| error.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer that is being waited for.
pub(super) struct Wait<'w> {
    waits: &'w Waits,
    end: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.waits.state();
        // Of two that end at the same moment, either will do.
        if let Some(at) = state.pending.iter().position(|(end, _)| *end == self.end) {
            state.pending.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    fn silent(asked: &str) -> ImdsError {
        ImdsError::Silent {
            asked: asked.to_owned(),
            waited: Duration::ZERO,
        }
    }

    #[test]
    fn an_answer_is_overdue_100_ms_after_its_time_and_not_once_it_is_there() {
        let waits = Waits::default();
        let late = waits.begin(Duration::ZERO, silent("a"));
        let _in_time = waits.begin(Duration::from_secs(60), silent("b"));
        assert_eq!(waits.overdue(), None);
        sleep(GRACE + Duration::from_millis(10));
        assert_eq!(waits.overdue(), Some(silent("a")));
        drop(late);
        assert_eq!(waits.overdue(), None);
    }

    #[test]
    fn time_that_other_work_took_is_not_blamed_on_imds() {
        let waits = Waits::default();
        let _late = waits.begin(Duration::ZERO, silent("a"));
        waits.aside(|| {
            sleep(GRACE * 2);
            assert_eq!(waits.overdue(), None);
        });
        assert_eq!(waits.overdue(), None);
        sleep(GRACE + Duration::from_millis(10));
        assert_eq!(waits.overdue(), Some(silent("a")));
    }
}
