//! systemctl: what the running systemd knows about sshd's units, and what it is told to do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::root_directory::RootDirectory;
use super::subprocess::{self, Output};

/// Debian's systemctl for maintainer scripts (init-system-helpers).
const DEB_SYSTEMD_INVOKE: &str = "/usr/bin/deb-systemd-invoke";

/// What that prints, with status 0, if policy-rc.d forbids the action.
const FORBIDDEN_BY_POLICY: &str = "returned 101, not running";

/// systemctl, on the running system.
pub(crate) struct Systemctl<'a> {
    temporary: &'a Path,
}

impl<'a> Systemctl<'a> {
    /// systemctl, if systemd runs this root directory: not in a chroot, and not with `--root`.
    pub(crate) fn find(root: &RootDirectory, temporary: &'a Path) -> Option<Self> {
        let is_booted = root.is_running_system() && Path::new("/run/systemd/system").is_dir();
        let id = |path: &str| fs::metadata(path).map(|its| (its.dev(), its.ino()));
        let is_chroot = match (id("/"), id("/proc/1/root/.")) {
            (Ok(ours), Ok(its)) => ours != its,
            // If PID 1 may not be examined, sshd must not be reloaded either.
            _ => true,
        };
        (is_booted && !is_chroot).then_some(Self { temporary })
    }

    /// Whether a unit is active.
    pub(crate) fn is_active(&self, unit: &str) -> bool {
        self.systemctl(&["is-active", "--quiet", unit])
            .is_ok_and(|output| output.status == Some(0))
    }

    /// Runs a command of systemctl.
    ///
    /// # Errors
    /// What systemctl printed when it failed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<(), String> {
        match self.systemctl(arguments) {
            Ok(output) if output.status == Some(0) => Ok(()),
            Ok(output) => Err(first_line(&output.stderr)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// As [`Systemctl::run`], for a package script: on Debian, policy-rc.d may forbid the action.
    ///
    /// # Errors
    /// As [`Systemctl::run`]; also if policy-rc.d forbids the action.
    pub(crate) fn run_for_package(&self, arguments: &[&str]) -> Result<(), String> {
        if !Path::new(DEB_SYSTEMD_INVOKE).exists() {
            return self.run(arguments);
        }
        let mut command = Command::new(DEB_SYSTEMD_INVOKE);
        command.args(arguments);
        let output = subprocess::run(command, self.temporary).map_err(|error| error.to_string())?;
        if output.status == Some(0) && !output.stderr.contains(FORBIDDEN_BY_POLICY) {
            return Ok(());
        }
        Err(first_line(&output.stderr))
    }

    /// The process ID of a unit's main process.
    pub(crate) fn main_pid(&self, unit: &str) -> Option<u32> {
        self.property(unit, "MainPID")?.parse().ok().filter(|pid| *pid != 0)
    }

    /// Whether a unit's files have changed since systemd read them.
    pub(crate) fn needs_daemon_reload(&self, unit: &str) -> bool {
        self.property(unit, "NeedDaemonReload")
            .is_some_and(|value| value == "yes")
    }

    /// A unit's ExecStart, as systemd has read it.
    pub(crate) fn exec_start(&self, unit: &str) -> Option<String> {
        self.property(unit, "ExecStart")
    }

    /// The value of a property. systemd 219 of Amazon Linux 2 does not support `--value`.
    fn property(&self, unit: &str, property: &str) -> Option<String> {
        let output = self.systemctl(&["show", "--property", property, unit]).ok()?;
        let (_, value) = output.stdout.trim().split_once('=')?;
        Some(value.to_owned())
    }

    fn systemctl(&self, arguments: &[&str]) -> io::Result<Output> {
        let mut command = Command::new("systemctl");
        command.args(arguments);
        subprocess::run(command, self.temporary)
    }
}

/// The first line of an error message; the lines after it only point to logs.
fn first_line(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().trim_end_matches('.').to_owned()
}
