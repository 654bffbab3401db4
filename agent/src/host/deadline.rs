//! One deadline over everything, and what ends the process when even blocking work goes past it.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::alarm;

/// How long before the end the watchdog wakes: it may have to wait for a full `/dev/log`.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long before the end the orderly way out is taken: time to log the cause and to exit before the watchdog wakes.
const ORDERLY: Duration = Duration::from_millis(250);

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
            Self::Machine => "reading what the firmware says",
            Self::Authorizing => "gathering and verifying keys",
            Self::Logging => "writing to the log",
            Self::Printing => "writing keys to a reader that does not read",
            Self::Explaining => "explaining to a reader that does not read",
        }
    }
}

/// The words for work that was not done after so many seconds.
pub(crate) fn gave_up(seconds: u64, stage: Stage) -> String {
    format!("gave up after {seconds} s, while {}", stage.words())
}

/// The end of this call.
#[derive(Debug, Clone)]
pub struct Deadline {
    end: Instant,
    stage: Arc<AtomicU8>,
}

impl Deadline {
    /// Starts the watchdog: `limit` from now, `last_words` is called with the stage and the cause, and the process ends with
    /// `status`.
    ///
    /// A thread does it, as that ends even work the kernel would not let a signal handler interrupt (a dead NFS under
    /// the trust store) and can say why. Where no thread can be started, alarm(2) ends the process: silently, by a
    /// signal, and to the second.
    pub fn start(limit: Duration, status: i32, last_words: impl FnOnce(Stage, &str) + Send + 'static) -> Self {
        let end = Instant::now() + limit;
        let stage = Arc::new(AtomicU8::new(Stage::Machine as u8));
        let watched = Arc::clone(&stage);
        let watchdog = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            thread::sleep(end.saturating_duration_since(Instant::now()).saturating_sub(LAST_WORDS));
            let stage = Stage::of(watched.load(Ordering::Relaxed));
            // Even the last words may block, on a stderr that nobody reads.
            alarm::set(1);
            last_words(stage, &gave_up(limit.as_secs(), stage));
            process::exit(status);
        });
        if watchdog.is_err() {
            alarm::set(u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX));
        }
        Self { end, stage }
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
