//! The audit trail: lines to `/dev/log` under authpriv.info, which cost little time and never change the outcome.

use std::io::{self, BufWriter, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
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

/// How long it waits on top of that for the lines that say which key was printed. Any local user can fill the queue, and
/// must not be able to keep those out: while the daemon still reads, a second gives a waiting writer many chances. Nor
/// can it be much longer, as every login then waits so long where the daemon hangs.
const PATIENCE_FOR_KEYS: Duration = Duration::from_secs(1);

/// What a line is about, and so how long it may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A key that is printed.
    Key,
    /// Anything else.
    Other,
}

/// A connection to the syslog daemon, where there is one.
pub struct AuditLog {
    logger: Option<Logger<LoggerBackend, AuthprivInfo>>,
    patience: Duration,
    patience_for_keys: Duration,
}

impl AuditLog {
    /// Connects to the socket at `path`, a datagram or a stream one. Where that fails, lines are dropped.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let started = Instant::now();
        let backend = connect(path);
        Self {
            logger: backend.ok().map(|backend| Logger::new(backend, AuthprivInfo)),
            patience: PATIENCE.saturating_sub(started.elapsed()),
            patience_for_keys: PATIENCE_FOR_KEYS,
        }
    }

    /// Sends one line, which must be printable; dropped where the daemon does not take it in time.
    pub fn line(&mut self, line: &str, weight: Weight) {
        let Some(logger) = &mut self.logger else { return };
        let patience = match weight {
            Weight::Key => &mut self.patience_for_keys,
            Weight::Other => &mut self.patience,
        };
        let started = Instant::now();
        let sent = wait_at_most(&logger.backend, *patience).is_ok() && logger.info(line).is_ok();
        if !sent {
            // What a stream did not take is sent again when it is closed.
            let _ = wait_at_most(&logger.backend, Duration::ZERO);
        }
        *patience = patience.saturating_sub(started.elapsed());
    }
}

/// Has the kernel wait for a place in the queue. Writers that wait get one in turn, where one that only looked now and
/// then would find it taken.
fn wait_at_most(backend: &LoggerBackend, patience: Duration) -> io::Result<()> {
    // A time-out of nothing is none at all (socket(7), SO_SNDTIMEO).
    let patience = patience.max(Duration::from_millis(1));
    match backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(patience)),
        LoggerBackend::UnixStream(stream) => stream.get_ref().set_write_timeout(Some(patience)),
        _ => Ok(()),
    }
}

fn connect(path: &Path) -> io::Result<LoggerBackend> {
    let address = SockAddr::unix(path)?;
    let socket = |kind: Type| {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        // A stream's backlog can be full.
        socket.set_write_timeout(Some(PATIENCE))?;
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
