//! The other key command of `--chain`: run beside our own work, its keys held back until it has succeeded.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, close};

use super::safe_path::{self, UnsafePath};
use eic_verify::text::printable;

/// The most that is taken of its output: a hundred keys of 4,096 characters, and more. What is longer is cut after the last
/// whole line.
const OUTPUT_BYTES: usize = 512 * 1024;

/// What sshd gives a key command (`subprocess` in OpenSSH's misc.c).
const ENVIRONMENT: [&str; 5] = ["PATH", "USER", "LOGNAME", "HOME", "LANG"];

/// How long an ended process group may take to be gone.
const ENDING: Duration = Duration::from_millis(50);

/// The process group to end with the program; 0 while there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group(Arc<AtomicI32>);

impl Group {
    /// Ends every process of the group.
    pub(crate) fn end(&self) {
        let id = self.0.load(Ordering::Relaxed);
        if id > 1 {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }

    /// Waits for its first process to end. As long as that is not fetched its number is nobody else's; afterwards it may
    /// be, and must not be ended.
    fn forget_once_ended(&self) {
        let id = Pid::from_raw(self.0.load(Ordering::Relaxed));
        let ended = waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        if ended.is_ok() {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

/// The command, running.
#[derive(Debug)]
pub(crate) struct Chained {
    program: PathBuf,
    group: Group,
    ended: Receiver<io::Result<(ExitStatus, Vec<u8>)>>,
}

impl Chained {
    /// Starts the command in a process group of its own, `group`, which is for the watchdog to end.
    ///
    /// # Errors
    /// [`ChainError`] where sshd itself would not have started it.
    pub(crate) fn start(command: &[OsString], group: &Group) -> Result<Self, ChainError> {
        let (program, arguments) = command.split_first().ok_or(ChainError::Relative(PathBuf::new()))?;
        let program = PathBuf::from(program);
        if !program.is_absolute() {
            return Err(ChainError::Relative(program));
        }
        safe_path::check(Path::new("/"), &program).map_err(ChainError::Unsafe)?;
        let start = |error| ChainError::Start {
            program: program.clone(),
            error,
        };
        let mut child = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, env::var_os(name)?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(start)?;
        group.0.store(i32::try_from(child.id()).unwrap_or(0), Ordering::Relaxed);
        let (done, ended) = mpsc::channel();
        let running = group.clone();
        let waiting = thread::Builder::new().spawn(move || {
            let output = child.stdout.take().map_or_else(|| Ok(Vec::new()), read_within_limit);
            running.forget_once_ended();
            let result = output.and_then(|output| child.wait().map(|status| (status, output)));
            let _ = done.send(result);
        });
        if let Err(error) = waiting {
            group.end();
            return Err(start(error));
        }
        Ok(Self {
            program,
            group: group.clone(),
            ended,
        })
    }

    /// Its keys, once it has exited 0. At `end`, its process group is ended.
    ///
    /// # Errors
    /// [`ChainError`]: then it has no keys.
    pub(crate) fn keys(self, end: Instant) -> Result<Vec<u8>, ChainError> {
        let program = self.program;
        let ended = match self.ended.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {
                self.group.end();
                // It may have exited 0 and left something running that holds its output open.
                self.ended.recv_timeout(ENDING)
            }
            other => other,
        };
        match ended {
            Ok(Ok((status, output))) if status.success() => Ok(output),
            Ok(Ok((status, _))) if status.signal() == Some(Signal::SIGKILL as i32) && Instant::now() >= end => {
                Err(ChainError::Killed(program))
            }
            Ok(Ok((status, _))) => Err(ChainError::Status { program, status }),
            Ok(Err(error)) => Err(ChainError::Output { program, error }),
            Err(_) => Err(ChainError::RunsOn(program)),
        }
    }
}

/// Closes whatever whoever started us has left open, so that the command does not get it either. Only before anything
/// else is opened.
pub(crate) fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The folder's own is closed already.
        let _ = close(descriptor);
    }
}

/// Reads to the end, so that the writer never has to wait, and keeps whole lines within the limit.
fn read_within_limit(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let limit = u64::try_from(OUTPUT_BYTES).unwrap_or(u64::MAX);
    from.by_ref().take(limit).read_to_end(&mut kept)?;
    let more = io::copy(&mut from, &mut io::sink())? > 0;
    if more {
        let whole = kept.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        kept.truncate(whole);
    } else if !kept.is_empty() && !kept.ends_with(b"\n") {
        kept.push(b'\n');
    }
    Ok(kept)
}

/// Why the chained command has no keys.
#[derive(Debug)]
pub(crate) enum ChainError {
    /// It is not named by its whole path.
    Relative(PathBuf),
    /// sshd would refuse to run it.
    Unsafe(UnsafePath),
    /// It could not be started.
    Start {
        /// What was to be started.
        program: PathBuf,
        /// What starting it said.
        error: io::Error,
    },
    /// It failed, or a signal ended it.
    Status {
        /// What was started.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// Its output could not be read.
    Output {
        /// What was started.
        program: PathBuf,
        /// What reading said.
        error: io::Error,
    },
    /// It was still running at the deadline, and was killed.
    Killed(PathBuf),
    /// So it was, and something that it started, which left its process group, runs on.
    RunsOn(PathBuf),
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| printable(path.as_os_str().as_encoded_bytes());
        f.write_str("Took no keys from the chained command: ")?;
        match self {
            Self::Relative(program) => write!(f, "\"{}\" is not an absolute path", name(program)),
            Self::Unsafe(error) => error.fmt(f),
            Self::Start { program, error } => write!(f, "{} could not be started: {error}", name(program)),
            Self::Status { program, status } => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "{} exited with status {code}", name(program)),
                (None, Some(signal)) => write!(f, "{} was killed by signal {signal}", name(program)),
                (None, None) => write!(f, "{} did not exit", name(program)),
            },
            Self::Output { program, error } => write!(f, "the output of {} could not be read: {error}", name(program)),
            Self::Killed(program) => write!(f, "{} did not finish in time and was killed", name(program)),
            Self::RunsOn(program) => write!(
                f,
                "{} did not finish in time; it, or a process that it started, holds its output open and is still running",
                name(program)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_the_limit_is_cut_after_a_whole_line() {
        let line = b"ssh-ed25519 AAAA\n";
        let long = line.repeat(OUTPUT_BYTES / line.len() + 10);
        let kept = read_within_limit(long.as_slice()).unwrap();
        assert!(kept.len() <= OUTPUT_BYTES && kept.ends_with(b"\n"));
        assert_eq!(kept.len() % line.len(), 0);
        assert_eq!(read_within_limit(vec![b'x'; OUTPUT_BYTES + 1].as_slice()).unwrap(), b"");
        assert_eq!(read_within_limit(&b"a\nb"[..]).unwrap(), b"a\nb\n");
        assert_eq!(read_within_limit(&b""[..]).unwrap(), b"");
    }
}
