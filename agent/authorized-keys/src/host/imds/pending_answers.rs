//! The answers of IMDS that the program is waiting for, so that the watchdog can see that one of them is overdue.
//!
//! The runtime's own timers do not fire if IMDS sends, without a pause and without an end, something that the HTTP library
//! reads before it returns (interim responses, the digits of a chunk's size): the library continues as long as there is
//! something to read, and nothing else runs on that thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::ImdsError;

/// How long after its time limit an answer is overdue: the runtime's own timer gets to act first if it can.
const GRACE: Duration = Duration::from_millis(100);

/// The answers that the program is waiting for. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct PendingAnswers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The end of each answer's time limit, and the error that it has then.
    pending: Vec<(Instant, ImdsError)>,
    /// Whether the thread is doing blocking work, so that a late answer is not IMDS's fault.
    is_blocked: bool,
    /// When the last blocking work ended.
    blocked_until: Option<Instant>,
}

impl PendingAnswers {
    /// Adds an answer until the returned value is dropped. It should arrive within `time`; otherwise its error is
    /// `error`.
    pub(super) fn add(&self, time: Duration, error: ImdsError) -> PendingAnswer<'_> {
        let end = Instant::now() + time;
        self.state().pending.push((end, error));
        PendingAnswer { all: self, end }
    }

    /// Does work that may block, such as reading a file: in the meantime the thread cannot receive an answer.
    pub(crate) fn run_blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().is_blocked = true;
        let result = work();
        let mut state = self.state();
        state.is_blocked = false;
        state.blocked_until = Some(Instant::now());
        result
    }

    /// The error of an answer that is overdue although the thread could have received it.
    pub(crate) fn overdue(&self) -> Option<ImdsError> {
        let state = self.state();
        let now = Instant::now();
        let is_overdue = |end: Instant| now > state.blocked_until.map_or(end, |until| until.max(end)) + GRACE;
        let mut pending = state.pending.iter();
        let first = pending.find(|(end, _)| !state.is_blocked && is_overdue(*end));
        first.map(|(_, error)| error.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer that the program is waiting for; dropping it ends the wait.
pub(super) struct PendingAnswer<'a> {
    all: &'a PendingAnswers,
    end: Instant,
}

impl Drop for PendingAnswer<'_> {
    fn drop(&mut self) {
        let mut state = self.all.state();
        // If two end at the same moment, either can be removed.
        if let Some(at) = state.pending.iter().position(|(end, _)| *end == self.end) {
            state.pending.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    fn timed_out(target: &str) -> ImdsError {
        ImdsError::TimedOut {
            target: target.to_owned(),
            limit: Duration::ZERO,
        }
    }

    #[test]
    fn an_answer_is_overdue_100_ms_after_its_time_and_not_once_it_is_there() {
        let pending = PendingAnswers::default();
        let late = pending.add(Duration::ZERO, timed_out("a"));
        let _in_time = pending.add(Duration::from_secs(60), timed_out("b"));
        assert_eq!(pending.overdue(), None);
        sleep(GRACE + Duration::from_millis(10));
        assert_eq!(pending.overdue(), Some(timed_out("a")));
        drop(late);
        assert_eq!(pending.overdue(), None);
    }

    #[test]
    fn time_that_other_work_took_is_not_blamed_on_imds() {
        let pending = PendingAnswers::default();
        let _late = pending.add(Duration::ZERO, timed_out("a"));
        pending.run_blocking(|| {
            sleep(GRACE * 2);
            assert_eq!(pending.overdue(), None);
        });
        assert_eq!(pending.overdue(), None);
        sleep(GRACE + Duration::from_millis(10));
        assert_eq!(pending.overdue(), Some(timed_out("a")));
    }
}
