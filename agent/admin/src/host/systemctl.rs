//! What the running systemd knows of sshd's units, and what it is asked to do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::root_directory::Disk;
use super::subprocess::{self, Ended};

/// Debian's way for maintainer scripts (init-system-helpers).
const DEB_SYSTEMD_INVOKE: &str = "/usr/bin/deb-systemd-invoke";

/// What it says, with status 0, where policy-rc.d forbids it.
const KEPT_BY_POLICY: &str = "returned 101, not running";

/// The running systemd.
pub(crate) struct Systemd<'a> {
    scratch: &'a Path,
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
        let ended = subprocess::run(command, self.scratch).map_err(|error| error.to_string())?;
        if ended.status == Some(0) && !ended.stderr.contains(KEPT_BY_POLICY) {
            return Ok(());
        }
        Err(first_line(&ended.stderr))
    }

    /// The main process of a unit.
    pub(crate) fn main_pid(&self, unit: &str) -> Option<u32> {
        self.property(unit, "MainPID")?.parse().ok().filter(|pid| *pid != 0)
    }

    /// Whether a unit's files have changed since systemd read them.
    pub(crate) fn is_outdated(&self, unit: &str) -> bool {
        self.property(unit, "NeedDaemonReload")
            .is_some_and(|value| value == "yes")
    }

    /// What it starts, as systemd has it in mind.
    pub(crate) fn exec_start(&self, unit: &str) -> Option<String> {
        self.property(unit, "ExecStart")
    }

    /// A property's value. Amazon Linux 2's systemd 219 knows no `--value`.
    fn property(&self, unit: &str, property: &str) -> Option<String> {
        let ended = self.systemctl(&["show", "--property", property, unit]).ok()?;
        let (_, value) = ended.stdout.trim().split_once('=')?;
        Some(value.to_owned())
    }

    fn systemctl(&self, arguments: &[&str]) -> io::Result<Ended> {
        let mut command = Command::new("systemctl");
        command.args(arguments);
        subprocess::run(command, self.scratch)
    }
}

/// What failed; the lines behind it say where to look further.
fn first_line(said: &str) -> String {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().trim_end_matches('.').to_owned()
}
