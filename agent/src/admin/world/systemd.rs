//! What the running systemd knows of sshd, and what it is asked to do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::disk::Disk;
use super::process::{self, Ended};
use crate::host::read::regular_file;

/// Debian's way for maintainer scripts (init-system-helpers).
const DEB_SYSTEMD_INVOKE: &str = "/usr/bin/deb-systemd-invoke";

/// What it says, with status 0, where policy-rc.d forbids it.
const KEPT_BY_POLICY: &str = "returned 101, not running";

/// The running systemd.
pub(crate) struct Systemd<'a> {
    scratch: &'a Path,
}

/// A listening sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    /// Its command line. sshd writes its state behind it.
    pub(crate) command_line: String,
    /// When it was started, in seconds since the epoch.
    pub(crate) started: u64,
}

impl<'a> Systemd<'a> {
    /// systemd, where it runs and this root is its own: not in a chroot, not with `--root`.
    pub(crate) fn find(disk: &Disk, scratch: &'a Path) -> Option<Self> {
        let is_booted = disk.is_own_root() && Path::new("/run/systemd/system").is_dir();
        let id = |path: &str| fs::metadata(path).map(|its| (its.dev(), its.ino()));
        let is_chroot = match (id("/"), id("/proc/1/root/.")) {
            (Ok(ours), Ok(its)) => ours != its,
            // Not ours to look at: then not ours to reload either.
            _ => true,
        };
        (is_booted && !is_chroot).then_some(Self { scratch })
    }

    pub(crate) fn is_active(&self, unit: &str) -> bool {
        self.systemctl(&["is-active", "--quiet", unit])
            .is_ok_and(|ended| ended.status == Some(0))
    }

    /// Asks for something, and says what systemctl said where it failed.
    pub(crate) fn ask(&self, verb: &[&str]) -> Result<(), String> {
        match self.systemctl(verb) {
            Ok(ended) if ended.status == Some(0) => Ok(()),
            Ok(ended) => Err(first_line(&ended.stderr)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// As [`Systemd::ask`], for a package's script: on Debian, the machine's policy-rc.d has a word in it.
    pub(crate) fn ask_as_package(&self, verb: &[&str]) -> Result<(), String> {
        if !Path::new(DEB_SYSTEMD_INVOKE).exists() {
            return self.ask(verb);
        }
        let mut command = Command::new(DEB_SYSTEMD_INVOKE);
        command.args(verb);
        let ended = process::run(command, self.scratch).map_err(|error| error.to_string())?;
        if ended.status == Some(0) && !ended.stderr.contains(KEPT_BY_POLICY) {
            return Ok(());
        }
        Err(first_line(&ended.stderr))
    }

    /// The main process of a unit.
    pub(crate) fn listener(&self, unit: &str) -> Option<Listener> {
        let pid = self.number(unit, "MainPID").and_then(|pid| u32::try_from(pid).ok())?;
        let proc = Path::new("/proc").join(format!("{pid}"));
        let command_line = text(&proc.join("cmdline"))?.replace('\0', " ");
        // proc_pid_stat(5): the name, in parentheses, may hold anything; starttime is the 20th field behind it.
        let stat = text(&proc.join("stat"))?;
        let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(Listener {
            pid,
            command_line: command_line.trim().to_owned(),
            started: booted()? + ticks / TICKS_A_SECOND,
        })
    }

    /// When a unit was last started or reloaded, in seconds since the epoch.
    pub(crate) fn last_changed(&self, unit: &str) -> Option<u64> {
        let microseconds = self.number(unit, "StateChangeTimestampMonotonic")?;
        Some(booted()? + microseconds / 1_000_000)
    }

    /// A property that is a number, and not 0. Amazon Linux 2's systemd 219 knows no `--value`.
    fn number(&self, unit: &str, property: &str) -> Option<u64> {
        let ended = self.systemctl(&["show", "--property", property, unit]).ok()?;
        let (_, value) = ended.stdout.trim().split_once('=')?;
        value.parse().ok().filter(|number| *number != 0)
    }

    fn systemctl(&self, arguments: &[&str]) -> io::Result<Ended> {
        let mut command = Command::new("systemctl");
        command.args(arguments);
        process::run(command, self.scratch)
    }
}

/// What failed; the lines behind it say where to look further.
fn first_line(said: &str) -> String {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().trim_end_matches('.').to_owned()
}

/// `USER_HZ`, in which /proc counts time: 100 on every Linux that this program is built for.
const TICKS_A_SECOND: u64 = 100;

/// When the machine was booted, in seconds since the epoch.
fn booted() -> Option<u64> {
    let stat = text(Path::new("/proc/stat"))?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn text(path: &Path) -> Option<String> {
    let bytes = regular_file(path, 1024 * 1024).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
