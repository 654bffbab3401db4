//! What sshd and the program write to `/dev/log`, each line with its time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// One line of a log.
#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    /// When it arrived, if that is known.
    pub(crate) at: Option<Instant>,
    /// Facility and severity, if the log stores them.
    pub(crate) priority: Option<u8>,
    /// The tag: `sshd`, `ec2-instance-connect`.
    pub(crate) tag: String,
    /// The text.
    pub(crate) text: String,
}

impl LogLine {
    /// Parses `tag[pid]: text`, with any words before the tag.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (head, text) = line.split_once("]: ")?;
        let (words, _pid) = head.rsplit_once('[')?;
        let tag = words.rsplit([' ', '>']).next()?;
        let priority = words.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        Some(Self {
            at: None,
            priority: priority.and_then(|(number, _)| number.parse().ok()),
            tag: tag.to_owned(),
            text: text.trim_end_matches(['\n', '\0']).to_owned(),
        })
    }

    /// Whether sshd logged it. Since OpenSSH 9.8, a separate program logs the login.
    pub(crate) fn is_sshd(&self) -> bool {
        self.tag.starts_with("sshd")
    }

    /// Whether the program under test logged it.
    pub(crate) fn is_ours(&self) -> bool {
        self.tag == "ec2-instance-connect"
    }
}

/// A syslog daemon that keeps everything in memory.
#[derive(Clone, Default)]
pub(crate) struct DevLog(Arc<Mutex<Vec<LogLine>>>);

impl DevLog {
    /// Listens at that path; every user can write to it.
    pub(crate) fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the namespace has a /dev of its own");
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("it is ours");
        let log = Self::default();
        let lines = Arc::clone(&log.0);
        // The thread ends with the process, because a datagram socket has no end of input.
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if let Some(mut line) = LogLine::parse(&text) {
                    line.at = Some(Instant::now());
                    lines
                        .lock()
                        .expect("nothing panics while it holds the lines")
                        .push(line);
                }
            }
        });
        log
    }

    /// Everything so far.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().expect("nothing panics while it holds the lines").clone()
    }
}
