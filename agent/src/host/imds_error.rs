//! What went wrong with IMDS, and whether it may go better the next time.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

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
    /// There was no connection, or it broke, or what came was not HTTP.
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
        while let Some(inner) = cause {
            if inner
                .downcast_ref::<io::Error>()
                .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
            {
                return Self::Refused {
                    asked: asked.to_owned(),
                };
            }
            why = inner.to_string();
            cause = inner.source();
        }
        Self::Broken {
            asked: asked.to_owned(),
            why: crate::verify::text::printable(why.as_bytes()),
        }
    }

    /// Whether the same request may well be answered a moment later: IMDS was overloaded (503), restarting, or
    /// the token has expired.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 401,
            _ => false,
        }
    }

    /// Whether somebody speaking HTTP is at the address, so that another address need not be tried.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(self, Self::Silent { .. } | Self::Refused { .. } | Self::Broken { .. })
    }
}

impl fmt::Display for ImdsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { asked, waited } => {
                write!(f, "IMDS did not answer {asked} within {} ms", waited.as_millis())
            }
            Self::Refused { asked } => write!(f, "IMDS refused the connection for {asked}"),
            Self::Broken { asked, why } => write!(f, "IMDS did not answer {asked}: {why}"),
            Self::Status { asked, status } => write!(f, "IMDS answered {status} to {asked}"),
            Self::SwitchedOff => f.write_str("IMDS is switched off for this instance (403 to the request for a token)"),
            Self::TooLong { asked, limit } => write!(f, "IMDS answered more than {limit} bytes to {asked}"),
            Self::Token => f.write_str("IMDS answered a token that is none"),
            Self::InstanceId(said) => write!(f, "IMDS says the instance id is \"{said}\""),
            Self::TooManyStaples(limit) => write!(f, "IMDS lists more than {limit} staples"),
            Self::Url(url) => write!(f, "URL {url} would not be sent as it is"),
        }
    }
}
