//! The audit trail: lines to `/dev/log` under authpriv.info, without ever blocking or changing the outcome.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

/// Where the syslog daemon, or the journal, listens.
pub const DEV_LOG: &str = "/dev/log";

/// What the lines are filed under; the pid follows it.
const TAG: &str = "ec2-instance-connect";

/// How long a call waits, over all its lines, for a daemon whose queue is full. A burst of logins fills the queue (it
/// has ten places by default, unix(7)), and a daemon that is alive empties it within milliseconds.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often it looks again.
const PAUSE: Duration = Duration::from_millis(5);

/// A connection to the syslog daemon, where there is one.
pub struct AuditLog {
    logger: Option<Logger<LoggerBackend, AuthprivInfo>>,
    patience: Duration,
}

impl AuditLog {
    /// Connects to the socket at `path`, a datagram or a stream one. Where that fails, lines are dropped.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let mut patience = PATIENCE;
        let backend = patiently(&mut patience, || connect(path));
        Self {
            logger: backend.ok().map(|backend| Logger::new(backend, AuthprivInfo)),
            patience,
        }
    }

    /// Sends one line, which must be printable; dropped where the daemon does not take it.
    pub fn line(&mut self, line: &str) {
        if let Some(logger) = &mut self.logger {
            let _ = patiently(&mut self.patience, || match logger.info(line) {
                Ok(()) => Ok(()),
                Err(syslog::Error::Io(error)) => Err(error),
                Err(other) => Err(io::Error::other(other.to_string())),
            });
        }
    }
}

/// Tries until it works or fails for good, as long as there is patience left for "not just now".
fn patiently<T>(patience: &mut Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && *patience >= PAUSE => {
                let asleep = Instant::now();
                thread::sleep(PAUSE);
                *patience = patience.saturating_sub(asleep.elapsed());
            }
            other => return other,
        }
    }
}

fn connect(path: &Path) -> io::Result<LoggerBackend> {
    let address = SockAddr::unix(path)?;
    let socket = |kind: Type| {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&address).map(|()| socket)
    };
    match socket(Type::DGRAM) {
        Ok(datagram) => Ok(LoggerBackend::Unix(UnixDatagram::from(datagram))),
        // EPROTOTYPE: it is a stream socket.
        Err(error) if error.raw_os_error() == Some(EPROTOTYPE) => {
            let stream = UnixStream::from(socket(Type::STREAM)?);
            Ok(LoggerBackend::UnixStream(BufWriter::new(stream)))
        }
        Err(error) => Err(error),
    }
}

/// "Protocol wrong type for socket", errno 91 on every Linux that this program is built for.
const EPROTOTYPE: i32 = 91;

/// `<86>ec2-instance-connect[pid]: line`, without a timestamp: the daemon has its own clock, and a timestamp would
/// have to be in local time, which `TZ` and files decide.
struct AuthprivInfo;

impl LogFormat<&str> for AuthprivInfo {
    fn format<W: Write>(&self, to: &mut W, severity: Severity, line: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_AUTHPRIV as u8 | severity as u8;
        let pid = std::process::id();
        write!(to, "<{priority}>{TAG}[{pid}]: {line}").map_err(syslog::Error::Io)
    }
}
