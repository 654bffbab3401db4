//! Why IMDS gave no usable answer, and whether a retry may help.

use std::error::Error as _;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use eic_verify::text::printable;

/// Why IMDS gave no usable answer. `target` is what was requested: a path, or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImdsError {
    /// No answer came within the time limit, from any address.
    TimedOut {
        /// What was requested.
        target: String,
        /// The time limit.
        limit: Duration,
    },
    /// The connection was refused.
    ConnectionRefused {
        /// What was requested.
        target: String,
    },
    /// The connection was reset or closed before the answer was complete.
    ConnectionClosed {
        /// What was requested.
        target: String,
        /// The HTTP client's reason.
        reason: String,
    },
    /// There was no connection, or the answer was not HTTP.
    RequestFailed {
        /// What was requested.
        target: String,
        /// The HTTP client's reason.
        reason: String,
    },
    /// The answer has a status other than 200, or than 404 where that is an answer.
    Status {
        /// What was requested.
        target: String,
        /// The HTTP status.
        status: u16,
    },
    /// IMDS answered the token request with 403: it is disabled for this instance, or for this program.
    Disabled,
    /// The answer is too large.
    TooLarge {
        /// What was requested.
        target: String,
        /// The size limit, in bytes.
        limit: usize,
    },
    /// The token is not one line of printable characters.
    InvalidToken,
    /// The instance ID does not have the form of one; the start of it, quoted.
    InvalidInstanceId(String),
    /// IMDS lists more staples than this limit.
    TooManyStaples(usize),
    /// The HTTP client would send a different URL from this one.
    UrlChanged(String),
}

impl ImdsError {
    /// The meaning of an error of reqwest.
    pub(super) fn from_client(target: &str, error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        let mut reason = error.to_string();
        let mut is_closed = false;
        while let Some(inner) = cause {
            let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(ErrorKind::ConnectionRefused) {
                return Self::ConnectionRefused {
                    target: target.to_owned(),
                };
            }
            is_closed |= kind.is_some_and(is_end) || inner.downcast_ref::<hyper::Error>().is_some_and(is_unfinished);
            reason = inner.to_string();
            cause = inner.source();
        }
        let (target, reason) = (target.to_owned(), printable(reason.as_bytes()));
        if is_closed {
            Self::ConnectionClosed { target, reason }
        } else {
            Self::RequestFailed { target, reason }
        }
    }

    /// Whether a retry may succeed: IMDS was overloaded (503) or restarting, a connection broke, or the token expired.
    /// Every request may be sent twice: a GET changes nothing, and either of two tokens is good.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::ConnectionRefused { .. } | Self::ConnectionClosed { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 401,
            _ => false,
        }
    }

    /// Whether an HTTP server answered at this address, so that no other address needs to be tried.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(
            self,
            Self::TimedOut { .. }
                | Self::ConnectionRefused { .. }
                | Self::ConnectionClosed { .. }
                | Self::RequestFailed { .. }
        )
    }
}

/// Whether the kernel reports that the other end reset or closed the connection.
fn is_end(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
}

/// Whether the connection was closed before an answer was complete, or before the request was sent.
fn is_unfinished(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

impl fmt::Display for ImdsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { target, limit } => {
                write!(
                    f,
                    "IMDS did not answer the request for {target} within {} ms",
                    limit.as_millis()
                )
            }
            Self::ConnectionRefused { target } => write!(f, "the connection to IMDS for {target} was refused"),
            Self::ConnectionClosed { target, reason } => {
                write!(
                    f,
                    "the connection to IMDS was closed before the request for {target} was answered: {reason}"
                )
            }
            Self::RequestFailed { target, reason } => write!(f, "the request to IMDS for {target} failed: {reason}"),
            Self::Status { target, status } => write!(f, "IMDS returned HTTP status {status} for {target}"),
            Self::Disabled => {
                f.write_str("IMDS is disabled for this instance (the token request returned HTTP status 403)")
            }
            Self::TooLarge { target, limit } => write!(f, "IMDS returned more than {limit} bytes for {target}"),
            Self::InvalidToken => f.write_str("IMDS returned an invalid token"),
            Self::InvalidInstanceId(answer) => write!(f, "IMDS returned an invalid instance ID: \"{answer}\""),
            Self::TooManyStaples(limit) => write!(f, "IMDS lists more than {limit} stapled OCSP responses"),
            Self::UrlChanged(url) => write!(
                f,
                "the HTTP client would change the URL {url}, so the request was not sent"
            ),
        }
    }
}
