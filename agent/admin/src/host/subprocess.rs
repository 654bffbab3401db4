//! Runs another program to its end, within a time, and reads what it says.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eic_authorized_keys::host::regular_file;

/// How long sshd or systemctl may take; a reload waits for sshd to be up again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether the program has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What is read of its output; `sshd -T` writes about 5 KiB.
const OUTPUT_BYTES: u64 = 1024 * 1024;

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program with a plain environment, its output going to files in `scratch`, so that it never waits for us.
pub(crate) fn run(command: Command, scratch: &Path) -> io::Result<Ended> {
    run_within(PATIENCE, command, scratch)
}

/// As [`run`], with another patience.
pub(crate) fn run_within(patience: Duration, mut command: Command, scratch: &Path) -> io::Result<Ended> {
    let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
    let mut child = command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .spawn()?;
    let end = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            let words = format!("it did not answer within {} seconds", patience.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, words));
        }
        thread::sleep(PAUSE);
    };
    let text =
        |path: &Path| regular_file::read(path, OUTPUT_BYTES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Ended {
        status,
        stdout: text(&stdout)?,
        stderr: text(&stderr)?,
    })
}
