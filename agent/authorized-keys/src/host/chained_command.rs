//! The other AuthorizedKeysCommand, given with `--chain`: starts it, and uses its keys only if it exits 0.

use std::env;
use std::ffi::OsString;
use std::fmt;
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
use nix::unistd::Pid;

use super::safe_path::{self, UnsafePath};
use eic_verify::text::printable;

/// The most of its output that is used: more than a hundred keys of 4,096 characters. A longer output is cut after the last
/// whole line.
const OUTPUT_BYTES: usize = 512 * 1024;

/// The environment that sshd gives an AuthorizedKeysCommand (`subprocess` in OpenSSH's misc.c).
const ENVIRONMENT: [&str; 5] = ["PATH", "USER", "LOGNAME", "HOME", "LANG"];

/// How long a killed process group may take to end.
const KILL_TIME: Duration = Duration::from_millis(50);

/// The process group of the command, which must not outlive this program; 0 while there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroup(Arc<AtomicI32>);

impl ProcessGroup {
    /// Kills every process of the group.
    pub(crate) fn kill(&self) {
        let id = self.0.load(Ordering::Relaxed);
        if id > 1 {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }

    /// Waits until its first process has ended, and forgets the group. Until that process is reaped, its number cannot be
    /// used again; afterwards it may be that of another process, which must not be killed.
    fn forget_once_ended(&self) {
        let id = Pid::from_raw(self.0.load(Ordering::Relaxed));
        let ended = waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        if ended.is_ok() {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

/// The running command.
#[derive(Debug)]
pub(crate) struct ChainedCommand {
    program: PathBuf,
    group: ProcessGroup,
    ended: Receiver<io::Result<(ExitStatus, Vec<u8>)>>,
}

impl ChainedCommand {
    /// Starts the command in a process group of its own, which it stores in `group` so that the watchdog can kill it.
    ///
    /// # Errors
    /// [`ChainedCommandError`]; also if sshd itself would not start it.
    pub(crate) fn start(command: &[OsString], group: &ProcessGroup) -> Result<Self, ChainedCommandError> {
        let (program, arguments) = command
            .split_first()
            .ok_or(ChainedCommandError::RelativePath(PathBuf::new()))?;
        let program = PathBuf::from(program);
        if !program.is_absolute() {
            return Err(ChainedCommandError::RelativePath(program));
        }
        safe_path::check(Path::new("/"), &program).map_err(ChainedCommandError::Unsafe)?;
        let start = |error| ChainedCommandError::Start {
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
            group.kill();
            return Err(start(error));
        }
        Ok(Self {
            program,
            group: group.clone(),
            ended,
        })
    }

    /// Waits for its keys until it exits 0. At `end`, its process group is killed.
    ///
    /// # Errors
    /// [`ChainedCommandError`], if it fails: then none of its output is used.
    pub(crate) fn keys(self, end: Instant) -> Result<Vec<u8>, ChainedCommandError> {
        let program = self.program;
        let ended = match self.ended.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {
                self.group.kill();
                // It may have exited 0 and left a process that keeps its output open.
                self.ended.recv_timeout(KILL_TIME)
            }
            other => other,
        };
        match ended {
            Ok(Ok((status, output))) if status.success() => Ok(output),
            Ok(Ok((status, _))) if status.signal() == Some(Signal::SIGKILL as i32) && Instant::now() >= end => {
                Err(ChainedCommandError::Killed(program))
            }
            Ok(Ok((status, _))) => Err(ChainedCommandError::Status { program, status }),
            Ok(Err(error)) => Err(ChainedCommandError::Output { program, error }),
            Err(_) => Err(ChainedCommandError::StillRunning(program)),
        }
    }
}

/// Reads to the end, so that the writer is never blocked, and keeps the whole lines within the limit.
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

/// Why no keys of the chained command are used.
#[derive(Debug)]
pub(crate) enum ChainedCommandError {
    /// Its path is not absolute.
    RelativePath(PathBuf),
    /// sshd would refuse to run it.
    Unsafe(UnsafePath),
    /// It could not be started.
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It exited with another status than 0, or a signal killed it.
    Status {
        /// The program.
        program: PathBuf,
        /// Its exit status, or the signal.
        status: ExitStatus,
    },
    /// Its output could not be read.
    Output {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It was still running at the deadline, and was killed.
    Killed(PathBuf),
    /// It was still running at the deadline, and it, or a process that it started and that left its process group, could
    /// not be killed.
    StillRunning(PathBuf),
}

impl fmt::Display for ChainedCommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| printable(path.as_os_str().as_encoded_bytes());
        f.write_str("Used no keys from the chained command: ")?;
        match self {
            Self::RelativePath(program) => write!(f, "\"{}\" is not an absolute path", name(program)),
            Self::Unsafe(error) => error.fmt(f),
            Self::Start { program, error } => write!(f, "cannot start {}: {error}", name(program)),
            Self::Status { program, status } => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "{} exited with status {code}", name(program)),
                (None, Some(signal)) => write!(f, "{} was killed by signal {signal}", name(program)),
                (None, None) => write!(f, "{} did not exit", name(program)),
            },
            Self::Output { program, error } => write!(f, "cannot read the output of {}: {error}", name(program)),
            Self::Killed(program) => write!(f, "{} did not finish in time and was killed", name(program)),
            Self::StillRunning(program) => write!(
                f,
                "{} did not finish in time; it, or a process that it started, is still running and keeps its output open",
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
