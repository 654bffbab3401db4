//! The audit log: lines to `/dev/log` with facility authpriv and severity info. Writing them takes little time and never
//! changes the result.

use std::io::{self, BufWriter, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

/// The socket of the syslog daemon, or of the journal.
pub(crate) const DEV_LOG: &str = "/dev/log";

/// The tag of the lines; the pid follows it.
const TAG: &str = "ec2-instance-connect";

/// How long a run waits, over all its lines, for a daemon whose queue is full. A burst of logins fills the queue (it has
/// ten places by default, unix(7)), and a working daemon empties it within milliseconds.
const WAIT: Duration = Duration::from_millis(100);

/// How long it waits in addition for the lines about printed keys. Any local user can fill the queue, and must not be
/// able to keep those lines out: while the daemon still reads, a second gives a waiting writer many chances. It cannot be
/// much longer, because every login takes that much longer if the daemon hangs.
const WAIT_FOR_KEYS: Duration = Duration::from_secs(1);

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// Its text, printable ASCII.
    pub(crate) text: String,
    /// What it is about.
    pub(crate) about: About,
}

impl LogLine {
    /// A line that is not about a printed key.
    pub(crate) fn new(text: String) -> Self {
        let about = About::Other;
        Self { text, about }
    }
}

/// What a log line is about, which determines how long the program waits to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// A key that is printed.
    PrintedKey,
    /// Anything else.
    Other,
}

/// A connection to the syslog daemon, if there is one.
pub(crate) struct AuditLog {
    logger: Option<Logger<LoggerBackend, AuthprivInfo>>,
    wait: Duration,
    wait_for_keys: Duration,
}

impl AuditLog {
    /// Connects to the socket at `path`, a datagram or a stream socket. If that fails, lines are dropped.
    pub(crate) fn open(path: &Path) -> Self {
        let started = Instant::now();
        let backend = connect(path);
        Self {
            logger: backend.ok().map(|backend| Logger::new(backend, AuthprivInfo)),
            wait: WAIT.saturating_sub(started.elapsed()),
            wait_for_keys: WAIT_FOR_KEYS,
        }
    }

    /// Writes one line, which is dropped if the daemon does not accept it in time.
    pub(crate) fn write(&mut self, line: &LogLine) {
        let Some(logger) = &mut self.logger else { return };
        let wait = match line.about {
            About::PrintedKey => &mut self.wait_for_keys,
            About::Other => &mut self.wait,
        };
        let started = Instant::now();
        let sent = wait_at_most(&logger.backend, *wait).is_ok() && logger.info(line.text.as_str()).is_ok();
        if !sent {
            // A stream sends what it could not write once more when it is closed.
            let _ = wait_at_most(&logger.backend, Duration::ZERO);
        }
        *wait = wait.saturating_sub(started.elapsed());
    }
}

/// Makes the kernel wait for a place in the queue. Waiting writers get one in turn; a program that only tried from time to
/// time would find it taken.
fn wait_at_most(backend: &LoggerBackend, wait: Duration) -> io::Result<()> {
    // A timeout of zero means none at all (SO_SNDTIMEO in socket(7)).
    let wait = wait.max(Duration::from_millis(1));
    match backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(wait)),
        LoggerBackend::UnixStream(stream) => stream.get_ref().set_write_timeout(Some(wait)),
        _ => Ok(()),
    }
}

fn connect(path: &Path) -> io::Result<LoggerBackend> {
    let address = SockAddr::unix(path)?;
    let socket = |kind: Type| {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        // The backlog of a stream socket can be full.
        socket.set_write_timeout(Some(WAIT))?;
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

/// `<86>ec2-instance-connect[pid]: line`, without a timestamp: the daemon has its own clock, and a timestamp would have to
/// be in local time, which depends on `TZ` and on files.
struct AuthprivInfo;

impl LogFormat<&str> for AuthprivInfo {
    fn format<W: Write>(&self, to: &mut W, severity: Severity, line: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_AUTHPRIV as u8 | severity as u8;
        let pid = std::process::id();
        write!(to, "<{priority}>{TAG}[{pid}]: {line}").map_err(syslog::Error::Io)
    }
}
