//! One deadline over everything, and the watchdog that ends the process when even blocking work goes past it.

use std::fmt;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::alarm;

use super::ImdsError;
use super::waits::Waits;

/// How long before the end the watchdog wakes: it may have to wait for a full `/dev/log`.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long before the end the orderly way out is taken: time to log the cause and to exit before the watchdog wakes.
const ORDERLY: Duration = Duration::from_millis(250);

/// How often the watchdog looks for an answer of IMDS that is overdue. Most calls have ended by then.
const LOOK: Duration = Duration::from_millis(50);

/// The watchdog's stack: it formats one line and sends it.
const STACK_BYTES: usize = 64 * 1024;

/// What the program is at, for the watchdog to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Reading what the firmware says of the machine.
    Machine,
    /// Asking IMDS, reading the trust store, verifying.
    Authorizing,
    /// Logging.
    Logging,
    /// Writing the keys to stdout.
    Printing,
    /// Explaining on stderr.
    Explaining,
}

impl Stage {
    fn of(number: u8) -> Self {
        [Self::Machine, Self::Authorizing, Self::Logging, Self::Printing]
            .into_iter()
            .find(|stage| *stage as u8 == number)
            .unwrap_or(Self::Explaining)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Machine => "reading DMI data",
            Self::Authorizing => "fetching and verifying keys",
            Self::Logging => "writing to the log",
            Self::Printing => "writing keys to standard output, which nobody reads",
            Self::Explaining => "writing to standard error, which nobody reads",
        }
    }
}

/// What is called where an answer of IMDS is overdue, and the process is to go on.
pub type Overdue = Box<dyn FnOnce(ImdsError) + Send>;

/// The words for a call that cannot say whom it was for.
pub(crate) fn no_keys(cause: &dyn fmt::Display) -> String {
    format!("Provided no ssh key: {cause}")
}

/// The words for work that was not done after so many seconds.
pub(crate) fn timed_out(seconds: u64, stage: Stage) -> String {
    format!("timed out after {seconds} s while {}", stage.words())
}

/// The end of this call.
#[derive(Debug, Clone)]
pub struct Deadline {
    end: Instant,
    stage: Arc<AtomicU8>,
    waits: Waits,
}

impl Deadline {
    /// Starts the watchdog: `limit` from now, `last_words` is called with the stage and the cause, and the process ends with
    /// `status`. It ends so before that where an answer of IMDS is overdue and the runtime's timers do not see it, unless
    /// there is an `overdue` to call instead.
    ///
    /// A thread does it, as that ends even work the kernel would not let a signal handler interrupt (a dead NFS under
    /// the trust store) and can say why. Where no thread can be started, alarm(2) ends the process: silently, by a
    /// signal, and to the second.
    pub fn start(
        limit: Duration,
        status: i32,
        overdue: Option<Overdue>,
        last_words: impl FnOnce(Stage, &str) + Send + 'static,
    ) -> Self {
        let end = Instant::now() + limit;
        let waits = Waits::default();
        let pending = waits.clone();
        let stage = Arc::new(AtomicU8::new(Stage::Machine as u8));
        let watched = Arc::clone(&stage);
        let watchdog = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let error = watch(end, &pending, overdue);
            let stage = Stage::of(watched.load(Ordering::Relaxed));
            // Even the last words may block, on a stderr that nobody reads.
            alarm::set(1);
            let cause = error.map_or_else(|| timed_out(limit.as_secs(), stage), |error| no_keys(&error));
            last_words(stage, &cause);
            process::exit(status);
        });
        if watchdog.is_err() {
            alarm::set(u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX));
        }
        Self { end, stage, waits }
    }

    /// The answers of IMDS that are being waited for.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// When work that can be given up must be.
    #[must_use]
    pub fn soft_end(&self) -> Instant {
        self.end.checked_sub(ORDERLY).unwrap_or(self.end)
    }

    /// Says what the program is at now.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }
}

/// Waits until the end is near or, where nobody is to be told of it instead, an answer of IMDS is overdue.
fn watch(end: Instant, waits: &Waits, mut overdue: Option<Overdue>) -> Option<ImdsError> {
    let goes_on = overdue.is_some();
    let mut seen = false;
    loop {
        let left = end.saturating_duration_since(Instant::now()).saturating_sub(LAST_WORDS);
        if left.is_zero() {
            return None;
        }
        thread::sleep(left.min(LOOK));
        let Some(error) = waits.overdue() else {
            seen = false;
            continue;
        };
        // Where the process was stopped for a while, the answer may be there, and the runtime has a moment to take it.
        if !seen {
            seen = true;
            continue;
        }
        match overdue.take() {
            Some(tell) => tell(error),
            None if goes_on => {}
            None => return Some(error),
        }
    }
}
