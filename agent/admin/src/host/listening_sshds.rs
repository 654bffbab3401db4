//! The sshds of the running system that listen for connections, from /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::subprocess;
use super::timestamp::{self, Timestamp};
use eic_authorized_keys::host::regular_file;

/// How much of a file in /proc is read: enough for a table of 27,000 sockets of 150 bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The state of a listening socket in /proc/net/tcp (`TCP_LISTEN` in the kernel's tcp_states.h).
const LISTEN: &str = "0A";

/// sshd's default PID file (`_PATH_SSH_DAEMON_PID_FILE`).
const PID_FILE: &str = "/run/sshd.pid";

/// How long sshd may take from reading its configuration to writing its PID file. Measured: 5 to 30 ms, in which it reads host
/// keys and opens sockets.
const READ_TO_PID_FILE: Duration = Duration::from_secs(2);

/// The unit of times in /proc (`USER_HZ`): 100 on every Linux that this program is built for.
const TICKS_A_SECOND: u64 = 100;

/// A listening sshd that root runs.
#[derive(Debug, Clone)]
pub(crate) struct ListeningSshd {
    pub(crate) pid: u32,
    /// The path of its program, even if that file was replaced since.
    pub(crate) program: PathBuf,
    /// The command line as in /proc, each argument ended by NUL.
    pub(crate) command_line: Vec<u8>,
    /// When it started.
    pub(crate) started: Timestamp,
}

impl ListeningSshd {
    /// Times before it last read its configuration, the cheapest to find first: its start, and its last SIGHUP, on which it
    /// executes itself again with the same process ID.
    pub(crate) fn times_before_reading<'a>(&'a self, temporary: &'a Path) -> impl Iterator<Item = Timestamp> + 'a {
        // If the clock was set forward since, its start seems too late; the time stamp of the PID file does not change.
        let start = self
            .pid_file_written()
            .map_or(self.started, |written| written.min(self.started));
        let start = [start].into_iter();
        let written = move |()| Some(self.pid_file_written()?.minus(READ_TO_PID_FILE));
        let sighup = move |()| self.last_sighup(temporary);
        start
            .chain([()].into_iter().filter_map(written))
            .chain([()].into_iter().filter_map(sighup))
    }

    /// When it wrote its PID file, which it does once it has read its configuration and listens.
    fn pid_file_written(&self) -> Option<Timestamp> {
        let its = fs::symlink_metadata(PID_FILE).ok().filter(|its| its.uid() == 0)?;
        let number = text(Path::new(PID_FILE))?;
        let is_own = number.trim() == self.pid.to_string();
        is_own.then(|| Timestamp::from_stat(its.mtime(), its.mtime_nsec()))
    }

    /// When it last logged a SIGHUP, by the time stamp of the kernel's log socket. sshd logs it right before it executes itself
    /// again.
    fn last_sighup(&self, temporary: &Path) -> Option<Timestamp> {
        let mut journal = Command::new("journalctl");
        journal
            .args([
                "--quiet",
                "--boot",
                "--no-pager",
                "--lines=1",
                "--output=json",
                "_UID=0",
            ])
            .arg(format!("_PID={}", self.pid))
            .arg("MESSAGE=Received SIGHUP; restarting.");
        let output = subprocess::run(journal, temporary)
            .ok()
            .filter(|output| output.status == Some(0))?;
        let line: serde_json::Value = serde_json::from_str(output.stdout.lines().next_back()?).ok()?;
        let microseconds: u64 = line.get("_SOURCE_REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        Some(Timestamp::from_nanoseconds(microseconds.saturating_mul(1000)))
    }

    /// Whether a path is the same file for it as for this program: it may have other mounts.
    pub(crate) fn sees_same_file(&self, file: &Path) -> bool {
        let its = Path::new("/proc")
            .join(format!("{}/root", self.pid))
            .join(file.strip_prefix("/").unwrap_or(file));
        matches!((id(&its), id(file)), (Some(its), Some(ours)) if its == ours)
    }
}

/// Finds the listening sshds. Those in containers have another root directory and do not count.
///
/// # Errors
/// The caller is not root, and cannot see them.
pub(crate) fn find() -> io::Result<Vec<ListeningSshd>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let root = id(Path::new("/"));
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let in_root = pids.filter(|pid| id(&Path::new("/proc").join(format!("{pid}/root"))) == root);
    let mut sockets = Sockets::default();
    let found: Vec<(u32, ListeningSshd)> = in_root.filter_map(|pid| examine(pid, &mut sockets)).collect();
    // A child that is about to serve a connection still has its parent's sockets for a moment.
    let pids: BTreeSet<u32> = found.iter().map(|(_, its)| its.pid).collect();
    let mut listening: Vec<ListeningSshd> = found
        .into_iter()
        .filter_map(|(parent, its)| (!pids.contains(&parent)).then_some(its))
        .collect();
    listening.sort_by_key(|its| its.pid);
    Ok(listening)
}

/// A process with the ID of its parent; `None` if it is not a listening sshd, or has ended.
fn examine(pid: u32, sockets: &mut Sockets) -> Option<(u32, ListeningSshd)> {
    let proc = Path::new("/proc").join(format!("{pid}"));
    let program = fs::read_link(proc.join("exe")).ok()?;
    let program = program.as_os_str().as_bytes();
    let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
    let program = PathBuf::from(std::ffi::OsStr::from_bytes(program));
    if !is_sshd(&program) || !is_root_s(&proc) || !sockets.listens(&proc) {
        return None;
    }
    // proc_pid_stat(5): the name, in parentheses, may contain anything; after it, the parent is the 2nd field and the start
    // time the 20th.
    let stat = text(&proc.join("stat"))?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let ticks: u64 = fields.nth(17)?.parse().ok()?;
    let its = ListeningSshd {
        pid,
        program,
        command_line: regular_file::read(&proc.join("cmdline"), MAX_BYTES).ok()?,
        started: timestamp::since_boot(ticks * (1_000_000_000 / TICKS_A_SECOND)),
    };
    Some((parent, its))
}

/// Whether this is OpenSSH's listener, or a program named after it. From 9.8 on, connections have programs of their own.
fn is_sshd(program: &Path) -> bool {
    let name = program.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    name.starts_with(b"sshd") && !name.starts_with(b"sshd-session") && !name.starts_with(b"sshd-auth")
}

/// Whether the real and the effective user are root.
fn is_root_s(proc: &Path) -> bool {
    let status = text(&proc.join("status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_whitespace().take(2).all(|user| user == "0"))
}

/// The listening sockets of each network namespace, which are read once for all processes.
#[derive(Default)]
struct Sockets(BTreeMap<PathBuf, BTreeSet<String>>);

impl Sockets {
    /// Whether a process has a listening socket.
    fn listens(&mut self, proc: &Path) -> bool {
        let Ok(namespace) = fs::read_link(proc.join("ns/net")) else {
            return false;
        };
        let sockets = self.0.entry(namespace).or_insert_with(|| listening_sockets(proc));
        let descriptors = fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        links.any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
    }
}

/// The listening sockets of a process's network namespace. They come first in these tables, so a table that is too long still
/// contains them.
fn listening_sockets(proc: &Path) -> BTreeSet<String> {
    let mut sockets = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let mut bytes = Vec::new();
        let read = File::open(proc.join(table)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        if read.is_ok() {
            sockets.extend(String::from_utf8_lossy(&bytes).lines().filter_map(listening_socket));
        }
    }
    sockets
}

/// The socket of a line of these tables if it is listening. The state is the 4th field, the inode the 10th.
fn listening_socket(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace().skip(3);
    let is_listening = fields.next()? == LISTEN;
    let number = fields.nth(5)?;
    is_listening.then(|| format!("socket:[{number}]"))
}

/// The device and inode of a file.
fn id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|its| (its.dev(), its.ino()))
}

fn text(path: &Path) -> Option<String> {
    let bytes = regular_file::read(path, MAX_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_recognized_by_its_state() {
        let line = |state: &str| {
            format!(
                "   0: 00000000:0016 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 33029 1 0000 100 0 0 10 0"
            )
        };
        assert_eq!(listening_socket(&line("0A")), Some("socket:[33029]".to_owned()));
        assert_eq!(listening_socket(&line("01")), None);
        assert_eq!(
            listening_socket("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when"),
            None
        );
    }

    #[test]
    fn the_programs_of_connections_are_no_listeners() {
        for (program, expected) in [
            ("/usr/sbin/sshd", true),
            ("/opt/x/sshd.real", true),
            ("/usr/lib/openssh/sshd-session", false),
            ("/usr/lib/openssh/sshd-auth", false),
            ("/usr/sbin/dropbear", false),
        ] {
            assert_eq!(is_sshd(Path::new(program)), expected, "{program}");
        }
    }
}
