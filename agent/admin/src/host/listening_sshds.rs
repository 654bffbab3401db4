//! The sshds that listen for connections in this root, as /proc tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::subprocess;
use super::timestamp::{self, Moment};
use eic_authorized_keys::host::regular_file;

/// What is read of a file in /proc: a table of 27,000 sockets, 150 bytes each.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The state of a socket that listens, in /proc/net/tcp (`TCP_LISTEN` in the kernel's tcp_states.h).
const LISTENS: &str = "0A";

/// Where sshd writes its number unless it is told otherwise (`_PATH_SSH_DAEMON_PID_FILE`).
const PID_FILE: &str = "/run/sshd.pid";

/// How long sshd may take from reading its configuration to writing that file; measured: 5 to 30 ms, host keys being read
/// and sockets opened in between.
const READ_TO_PID_FILE: Duration = Duration::from_secs(2);

/// `USER_HZ`, in which /proc counts time: 100 on every Linux that this program is built for.
const TICKS_A_SECOND: u64 = 100;

/// A process of root's whose program is an sshd, and which listens.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    pub(crate) pid: u32,
    /// Its program, also where that file has been replaced since.
    pub(crate) program: PathBuf,
    /// As it stands in /proc, the words ended by NUL.
    pub(crate) command_line: Vec<u8>,
    pub(crate) started: Moment,
}

impl Listening {
    /// Moments at which it had not yet read its configuration for the last time, the cheapest to ask for first: its
    /// start, and its last SIGHUP, at which it starts itself anew under the same number.
    pub(crate) fn before_reading<'a>(&'a self, scratch: &'a Path) -> impl Iterator<Item = Moment> + 'a {
        // Where the clock was set forward since, its start seems later than it was; what the file is stamped with stays.
        let start = self
            .pid_file_written()
            .map_or(self.started, |written| written.min(self.started));
        let start = [start].into_iter();
        let written = move |()| Some(self.pid_file_written()?.before(READ_TO_PID_FILE));
        let hang_up = move |()| self.hung_up(scratch);
        start
            .chain([()].into_iter().filter_map(written))
            .chain([()].into_iter().filter_map(hang_up))
    }

    /// When it wrote its number into its file, which it does once it has read its configuration and listens.
    fn pid_file_written(&self) -> Option<Moment> {
        let its = fs::symlink_metadata(PID_FILE).ok().filter(|its| its.uid() == 0)?;
        let number = text(Path::new(PID_FILE))?;
        let is_own = number.trim() == self.pid.to_string();
        is_own.then(|| Moment::of_stat(its.mtime(), its.mtime_nsec()))
    }

    /// When it last logged that it got a SIGHUP, by the clock of the kernel that passed the line on. sshd does so right
    /// before it starts itself anew.
    fn hung_up(&self, scratch: &Path) -> Option<Moment> {
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
        let ended = subprocess::run(journal, scratch)
            .ok()
            .filter(|ended| ended.status == Some(0))?;
        let line: serde_json::Value = serde_json::from_str(ended.stdout.lines().next_back()?).ok()?;
        let microseconds: u64 = line.get("_SOURCE_REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        Some(Moment::from_nanoseconds(microseconds.saturating_mul(1000)))
    }

    /// Whether this file is the same to the process as to us: its mounts may be others.
    pub(crate) fn shares(&self, file: &Path) -> bool {
        let its = Path::new("/proc")
            .join(format!("{}/root", self.pid))
            .join(file.strip_prefix("/").unwrap_or(file));
        matches!((id(&its), id(file)), (Some(its), Some(ours)) if its == ours)
    }
}

/// Finds them. Those of containers have another root, and are not looked at.
///
/// # Errors
/// Where this is not root, who alone can see it.
pub(crate) fn sshds() -> io::Result<Vec<Listening>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let root = id(Path::new("/"));
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let in_root = pids.filter(|pid| id(&Path::new("/proc").join(format!("{pid}/root"))) == root);
    let mut sockets = Sockets::default();
    let found: Vec<(u32, Listening)> = in_root.filter_map(|pid| look(pid, &mut sockets)).collect();
    // A child has its parent's sockets for a moment, before it serves one connection.
    let pids: BTreeSet<u32> = found.iter().map(|(_, its)| its.pid).collect();
    let mut listening: Vec<Listening> = found
        .into_iter()
        .filter_map(|(parent, its)| (!pids.contains(&parent)).then_some(its))
        .collect();
    listening.sort_by_key(|its| its.pid);
    Ok(listening)
}

/// A process, and its parent; `None` where it is another, or is gone by now.
fn look(pid: u32, sockets: &mut Sockets) -> Option<(u32, Listening)> {
    let proc = Path::new("/proc").join(format!("{pid}"));
    let program = fs::read_link(proc.join("exe")).ok()?;
    let program = program.as_os_str().as_bytes();
    let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
    let program = PathBuf::from(std::ffi::OsStr::from_bytes(program));
    if !is_sshd(&program) || !is_root_s(&proc) || !sockets.listens(&proc) {
        return None;
    }
    // proc_pid_stat(5): the name, in parentheses, may hold anything; the parent is the 2nd field after it, the time of
    // the start the 20th.
    let stat = text(&proc.join("stat"))?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let ticks: u64 = fields.nth(17)?.parse().ok()?;
    let its = Listening {
        pid,
        program,
        command_line: regular_file::read(&proc.join("cmdline"), LONGEST).ok()?,
        started: timestamp::since_boot(ticks * (1_000_000_000 / TICKS_A_SECOND)),
    };
    Some((parent, its))
}

/// Whether this is what OpenSSH calls its listener, or a name made of that; from 9.8 on, connections have other programs.
fn is_sshd(program: &Path) -> bool {
    let name = program.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    name.starts_with(b"sshd") && !name.starts_with(b"sshd-session") && !name.starts_with(b"sshd-auth")
}

/// Whether root runs it: its real and effective user.
fn is_root_s(proc: &Path) -> bool {
    let status = text(&proc.join("status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_whitespace().take(2).all(|user| user == "0"))
}

/// The listening sockets of each network namespace, read once: there may be many sessions.
#[derive(Default)]
struct Sockets(BTreeMap<PathBuf, BTreeSet<String>>);

impl Sockets {
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

/// Those that listen come first in these tables, so that what is cut off, where there are many connections, is not needed.
fn listening_sockets(proc: &Path) -> BTreeSet<String> {
    let mut sockets = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let mut bytes = Vec::new();
        let read = File::open(proc.join(table)).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
        if read.is_ok() {
            sockets.extend(String::from_utf8_lossy(&bytes).lines().filter_map(listening_socket));
        }
    }
    sockets
}

/// proc_net(5): a line's state is its 4th field, the number of the socket its 10th.
fn listening_socket(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace().skip(3);
    let is_listening = fields.next()? == LISTENS;
    let number = fields.nth(5)?;
    is_listening.then(|| format!("socket:[{number}]"))
}

fn id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|its| (its.dev(), its.ino()))
}

fn text(path: &Path) -> Option<String> {
    let bytes = regular_file::read(path, LONGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_told_by_its_state() {
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
