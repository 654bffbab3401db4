//! Runs another program with a time limit, and reads its output.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eic_authorized_keys::host::regular_file;

/// How long sshd or systemctl may take; systemctl waits until sshd has reloaded.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often to check whether the program has exited.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How much of its output is read; `sshd -T` writes about 5 KiB.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit status; `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program with a minimal environment. Its output goes to files in `temporary`, so that it never blocks on a pipe.
///
/// # Errors
/// It cannot be run, or does not exit in time.
pub(crate) fn run(command: Command, temporary: &Path) -> io::Result<Output> {
    run_within(TIMEOUT, command, temporary)
}

/// As [`run`], with another time limit.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_within(timeout: Duration, mut command: Command, temporary: &Path) -> io::Result<Output> {
    let (stdout, stderr) = (temporary.join("stdout"), temporary.join("stderr"));
    let mut child = command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .spawn()?;
    let end = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            let message = format!("it did not answer within {} seconds", timeout.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        thread::sleep(POLL_INTERVAL);
    };
    let text = |path: &Path| {
        regular_file::read(path, MAX_OUTPUT_BYTES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Output {
        status,
        stdout: text(&stdout)?,
        stderr: text(&stderr)?,
    })
}
