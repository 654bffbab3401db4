//! What went wrong with IMDS, and whether it may go better the next time.

use std::error::Error as _;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use eic_verify::text::printable;

/// Why IMDS gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImdsError {
    /// Nothing answered, at any address, within this time.
    Silent {
        /// What was asked.
        asked: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection was refused.
    Refused {
        /// What was asked.
        asked: String,
    },
    /// The connection was reset or closed before the answer was complete.
    Cut {
        /// What was asked.
        asked: String,
        /// What the HTTP client says.
        why: String,
    },
    /// There was no connection, or what came was not HTTP.
    Broken {
        /// What was asked.
        asked: String,
        /// What the HTTP client says.
        why: String,
    },
    /// It answered with a status that is no answer.
    Status {
        /// What was asked.
        asked: String,
        /// The HTTP status.
        status: u16,
    },
    /// It answered 403 to the request for a token: the instance's owner has switched IMDS off, or keeps it from us.
    SwitchedOff,
    /// The answer is longer than is taken.
    TooLong {
        /// What was asked.
        asked: String,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// The token is not one line of printable characters.
    Token,
    /// What it answered for the instance id is none.
    InstanceId(String),
    /// The listing has more staples than are taken.
    TooManyStaples(usize),
    /// The URL to be sent is not the one that was meant.
    Url(String),
}

impl ImdsError {
    /// What reqwest's error means.
    pub(super) fn from_client(asked: &str, error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        let mut why = error.to_string();
        let mut cut = false;
        while let Some(inner) = cause {
            let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(ErrorKind::ConnectionRefused) {
                return Self::Refused {
                    asked: asked.to_owned(),
                };
            }
            cut |= kind.is_some_and(is_end) || inner.downcast_ref::<hyper::Error>().is_some_and(is_unfinished);
            why = inner.to_string();
            cause = inner.source();
        }
        let (asked, why) = (asked.to_owned(), printable(why.as_bytes()));
        if cut {
            Self::Cut { asked, why }
        } else {
            Self::Broken { asked, why }
        }
    }

    /// Whether the same request may well be answered a moment later: IMDS was overloaded (503) or restarting, a
    /// connection broke, or the token has expired. Every request may be sent twice: a GET changes nothing, and of two
    /// tokens either is good.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Cut { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 401,
            _ => false,
        }
    }

    /// Whether somebody speaking HTTP is at the address, so that another address need not be tried.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(
            self,
            Self::Silent { .. } | Self::Refused { .. } | Self::Cut { .. } | Self::Broken { .. }
        )
    }
}

/// Whether the kernel says so of a connection that its other end has reset or closed.
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
            Self::Silent { asked, waited } => {
                write!(f, "IMDS did not answer {asked} within {} ms", waited.as_millis())
            }
            Self::Refused { asked } => write!(f, "the connection to IMDS for {asked} was refused"),
            Self::Cut { asked, why } => {
                write!(f, "the connection to IMDS broke before {asked} was answered: {why}")
            }
            Self::Broken { asked, why } => write!(f, "IMDS did not answer {asked}: {why}"),
            Self::Status { asked, status } => write!(f, "IMDS answered {status} to {asked}"),
            Self::SwitchedOff => {
                f.write_str("IMDS is disabled for this instance (it answered 403 to the request for a token)")
            }
            Self::TooLong { asked, limit } => write!(f, "IMDS answered more than {limit} bytes to {asked}"),
            Self::Token => f.write_str("IMDS returned an invalid token"),
            Self::InstanceId(said) => write!(f, "IMDS returned an invalid instance ID: \"{said}\""),
            Self::TooManyStaples(limit) => write!(f, "IMDS lists more than {limit} stapled OCSP responses"),
            Self::Url(url) => write!(f, "the HTTP client would change the URL {url}, so nothing was sent"),
        }
    }
}
