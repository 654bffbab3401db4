//! Other programs: run to their end within a time limit, or kept running until a test ends.

use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How a program ended.
#[derive(Clone)]
pub(crate) struct Outcome {
    /// Its command line.
    pub(crate) command: String,
    /// Its exit status; if a signal ended it, 128 plus the signal's number, as in a shell.
    pub(crate) status: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it printed to standard error.
    pub(crate) stderr: String,
    /// How long it ran.
    pub(crate) duration: Duration,
    /// Whether it exceeded its time limit and was killed.
    pub(crate) too_long: bool,
}

impl Outcome {
    /// Its standard output, if its status is 0.
    #[track_caller]
    pub(crate) fn success(&self) -> &str {
        assert_eq!(self.status, Some(0), "{self:#?}");
        &self.stdout
    }
}

impl fmt::Debug for Outcome {
    /// Both outputs, as a terminal would show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let ended = if self.too_long {
            ", ended as it took too long"
        } else {
            ""
        };
        let seconds = self.duration.as_secs_f64();
        let Self {
            command,
            stdout,
            stderr,
            ..
        } = self;
        write!(
            f,
            "\n$ {command}\n{stdout}{stderr}(status {status} after {seconds:.3} s{ended})\n"
        )
    }
}

/// Runs a command to its end, and kills it after that time.
pub(crate) fn run(command: &mut Command, bound: Duration) -> Outcome {
    run_with_input(command, "", bound)
}

/// The same, with an input.
pub(crate) fn run_with_input(command: &mut Command, input: &str, bound: Duration) -> Outcome {
    Running::start(command, input).end_within(bound)
}

/// A program that runs in the background.
pub(crate) struct Running {
    child: Child,
    words: String,
    started: Instant,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Running {
    /// Starts it with an input, which must fit into a pipe.
    pub(crate) fn start(command: &mut Command, input: &str) -> Self {
        let words = format!("{command:?}");
        let stdin = if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{words}: {error}"));
        if let Some(mut stdin) = child.stdin.take() {
            // A program may end without having read its input.
            stdin.write_all(input.as_bytes()).ok();
        }
        let stdout = read_beside(child.stdout.take().expect("it is piped"));
        let stderr = read_beside(child.stderr.take().expect("it is piped"));
        Self {
            child,
            words,
            started,
            stdout,
            stderr,
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("it is our child");
    }

    /// Waits for its end, and kills it after that time, counted from its start.
    pub(crate) fn end_within(mut self, bound: Duration) -> Outcome {
        let mut too_long = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if self.started.elapsed() > bound && !too_long {
                too_long = true;
                self.child.kill().expect("it is our child");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let duration = self.started.elapsed();
        let text = |reader: JoinHandle<Vec<u8>>| {
            let bytes = reader.join().expect("readers do not panic");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome {
            command: self.words,
            status: status.code().or_else(|| status.signal().map(|signal| 128 + signal)),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            duration,
            too_long,
        }
    }
}

fn read_beside(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // On an error, use what was read before it.
        from.read_to_end(&mut bytes).ok();
        bytes
    })
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a pid is positive"))
}

/// A daemon of the test. It ends when this value is dropped; if the test is killed, the kernel kills the daemon.
pub(crate) struct Daemon {
    child: Child,
    grace: Duration,
}

impl Daemon {
    /// Starts it, with its output going into a file.
    pub(crate) fn start(words: &[&str], output: &Path) -> Self {
        let output = std::fs::File::create(output).expect("the folder is ours");
        let errors = output.try_clone().expect("a file can be shared");
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--pdeathsig", "TERM"]).args(words).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{words:?}: {error}")),
            grace: Duration::from_secs(5),
        }
    }

    /// Gives it more time to exit by itself.
    pub(crate) fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }
}

impl Daemon {
    /// Ends it; returns whether it exited by itself.
    pub(crate) fn end(&mut self) -> bool {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return true;
        }
        // Both signals fail only if it has just ended.
        kill(pid(&self.child), Signal::SIGTERM).ok();
        let grace = self.grace;
        if wait_for(grace, || self.has_ended().then_some(())).is_some() {
            return true;
        }
        self.child.kill().ok();
        self.child.wait().ok();
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Repeats the query until it returns something, for at most that long.
pub(crate) fn wait_for<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || started.elapsed() > bound {
            return seen;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
