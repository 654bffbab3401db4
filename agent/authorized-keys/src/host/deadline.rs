//! The deadline of a run, and the watchdog that ends the process then, even if it is blocked in the kernel.

use std::fmt;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::alarm;

use super::imds::{ImdsError, PendingAnswers};

/// How long before the deadline the watchdog acts: it may have to wait for a full `/dev/log`.
const WATCHDOG_MARGIN: Duration = Duration::from_millis(100);

/// How long before the deadline unfinished work is given up: time to log the reason and to exit before the watchdog acts.
const GIVE_UP_MARGIN: Duration = Duration::from_millis(250);

/// How often the watchdog looks for an overdue answer of IMDS. Most runs end before it looks for the first time.
const INTERVAL: Duration = Duration::from_millis(50);

/// The stack of the watchdog's thread, which formats one line and writes it.
const STACK_BYTES: usize = 64 * 1024;

/// What the program is doing, for the watchdog's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Activity {
    /// Finding out whether this is an EC2 instance.
    ReadingDmi,
    /// Requesting from IMDS, reading the trust store, verifying.
    FetchingAndVerifying,
    /// Writing to the log.
    Logging,
    /// Writing the keys to standard output.
    PrintingKeys,
    /// Writing messages to standard error.
    PrintingMessages,
}

impl Activity {
    fn from_number(number: u8) -> Self {
        [
            Self::ReadingDmi,
            Self::FetchingAndVerifying,
            Self::Logging,
            Self::PrintingKeys,
        ]
        .into_iter()
        .find(|activity| *activity as u8 == number)
        .unwrap_or(Self::PrintingMessages)
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadingDmi => "reading DMI data",
            Self::FetchingAndVerifying => "fetching and verifying keys",
            Self::Logging => "writing to the log",
            Self::PrintingKeys => "writing keys to standard output, which no process is reading",
            Self::PrintingMessages => "writing to standard error, which no process is reading",
        })
    }
}

/// Why the watchdog ends the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The deadline was reached.
    TimedOut(TimedOut),
    /// An answer of IMDS is overdue.
    AnswerOverdue(ImdsError),
}

/// The deadline was reached before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut {
    /// The timeout, in seconds.
    pub(crate) seconds: u64,
    /// What the program was doing.
    pub(crate) activity: Activity,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {} s while {}", self.seconds, self.activity)
    }
}

/// Called if an answer of IMDS is overdue and the process is to continue.
pub(crate) type OnOverdueAnswer = Box<dyn FnOnce(ImdsError) + Send>;

/// The end of this run.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    end: Instant,
    activity: Arc<AtomicU8>,
    pending: PendingAnswers,
}

impl Deadline {
    /// Starts the watchdog. After `limit` it calls `last_words` with what the program is doing and the reason, and ends the
    /// process with `status`. It does so earlier if an answer of IMDS is overdue and the runtime's timers do not fire,
    /// unless there is `on_overdue` to call instead.
    ///
    /// The watchdog is a thread, because a thread ends even work that the kernel does not let a signal handler interrupt (an
    /// unreachable NFS server below the trust store), and can report the reason. If no thread can be started, alarm(2) ends
    /// the process: without a message, by a signal, and accurate to the second.
    pub(crate) fn start(
        limit: Duration,
        status: i32,
        on_overdue: Option<OnOverdueAnswer>,
        last_words: impl FnOnce(Activity, Expiry) + Send + 'static,
    ) -> Self {
        let end = Instant::now() + limit;
        let pending = PendingAnswers::default();
        let watched_answers = pending.clone();
        let activity = Arc::new(AtomicU8::new(Activity::ReadingDmi as u8));
        let watched_activity = Arc::clone(&activity);
        let watchdog = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let overdue = watch(end, &watched_answers, on_overdue);
            let activity = Activity::from_number(watched_activity.load(Ordering::Relaxed));
            // Even the last words may block, on a stderr that nobody reads.
            alarm::set(1);
            let seconds = limit.as_secs();
            let timed_out = Expiry::TimedOut(TimedOut { seconds, activity });
            last_words(activity, overdue.map_or(timed_out, Expiry::AnswerOverdue));
            process::exit(status);
        });
        if watchdog.is_err() {
            alarm::set(u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX));
        }
        Self { end, activity, pending }
    }

    /// The answers of IMDS that the watchdog watches.
    pub(crate) fn pending_answers(&self) -> &PendingAnswers {
        &self.pending
    }

    /// When work that can be given up must be given up, so that the reason can still be logged.
    pub(crate) fn give_up_at(&self) -> Instant {
        self.end.checked_sub(GIVE_UP_MARGIN).unwrap_or(self.end)
    }

    /// Tells the watchdog what the program does from now on.
    pub(crate) fn enter(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }
}

/// Waits until the end is near, or until an answer of IMDS is overdue and there is no `on_overdue` to call instead.
fn watch(end: Instant, pending: &PendingAnswers, mut on_overdue: Option<OnOverdueAnswer>) -> Option<ImdsError> {
    let continues = on_overdue.is_some();
    let mut seen = false;
    loop {
        let left = end
            .saturating_duration_since(Instant::now())
            .saturating_sub(WATCHDOG_MARGIN);
        if left.is_zero() {
            return None;
        }
        thread::sleep(left.min(INTERVAL));
        let Some(error) = pending.overdue() else {
            seen = false;
            continue;
        };
        // If the process was stopped for a while, the answer may be there, and the runtime gets a moment to receive it.
        if !seen {
            seen = true;
            continue;
        }
        match on_overdue.take() {
            Some(call) => call(error),
            None if continues => {}
            None => return Some(error),
        }
    }
}
