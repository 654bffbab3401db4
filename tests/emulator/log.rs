//! The requests that an emulator received.

use std::fmt;
use std::time::Duration;

use crate::http;

/// One of the two services that an emulator provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The instance metadata service.
    Imds,
    /// The service that takes pushed keys.
    Service,
}

/// One request, as it was received, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When, since the emulator's start.
    pub at: Duration,
    /// The service that received it.
    pub listener: Listener,
    /// The number of its connection; the first one of each listener is number 1.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The request target exactly as received.
    pub path: String,
    /// The headers in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the proper answer, even if a fault changed it.
    pub status: u16,
    /// The id that the service answered with.
    pub request_id: Option<String>,
    /// The name of the fault that was applied to the answer.
    pub fault: Option<&'static str>,
}

impl LoggedRequest {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// The requested operation: the target in the JSON protocol, the action in the query protocol.
    pub fn operation(&self) -> Option<&str> {
        if self.listener != Listener::Service {
            return None;
        }
        if let Some(target) = self.header("X-Amz-Target") {
            return target.rsplit('.').next();
        }
        let form = std::str::from_utf8(&self.body).ok()?;
        form.split('&').find_map(|pair| pair.strip_prefix("Action="))
    }
}

impl fmt::Display for LoggedRequest {
    /// One line; the path is escaped, so that a client cannot write to somebody's terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = match self.listener {
            Listener::Imds => "imds",
            Listener::Service => "service",
        };
        write!(
            f,
            "{:9.3} s  {listener:7} #{:<3} {} {} {}",
            self.at.as_secs_f64(),
            self.connection,
            self.status,
            self.method,
            self.path.escape_debug(),
        )?;
        if let Some(operation) = self.operation() {
            write!(f, " {}", operation.escape_debug())?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " ({id})")?;
        }
        match self.fault {
            Some(fault) => write!(f, "  [fault: {fault}]"),
            None => Ok(()),
        }
    }
}
