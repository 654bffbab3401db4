//! A deliberately small HTTP/1.1 server on plain TCP: an HTTP library would not let the faults send malformed bytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fault::Fault;

/// The longest request head; IMDS clients send a few hundred bytes, the AWS CLI under two thousand.
const HEAD_LIMIT: usize = 16 * 1024;
/// The longest request body; `SendSSHPublicKey` needs five thousand bytes at most.
const BODY_LIMIT: usize = 64 * 1024;
/// The most header lines of a request.
const HEADER_LIMIT: usize = 64;

/// A request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target exactly as received: not decoded and not normalised.
    pub path: String,
    /// The headers in their order, names in the client's own case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// The first header of that name, in any case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers; Content-Length is added on the way out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer of one content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .with("Content-Type", content_type)
    }

    /// With a further header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Status line and headers, including the empty line, with the given Content-Length or without one.
    pub(crate) fn head(&self, length: Option<usize>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The whole, correct answer.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(Some(self.body.len()));
        bytes.extend(&self.body);
        bytes
    }

    /// The head, and the first half of the body that it announces.
    pub(crate) fn first_half(&self) -> Vec<u8> {
        let mut bytes = self.head(Some(self.body.len()));
        bytes.extend(&self.body[..self.body.len() / 2]);
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    /// What to answer.
    pub(crate) response: Response,
    /// How to spoil it.
    pub(crate) fault: Option<Fault>,
    /// How long to wait before the first byte.
    pub(crate) delay: Duration,
}

/// What answers the requests on a listener.
pub(crate) trait Site: Send + Sync {
    /// Counts a new connection and returns its number; `None` if it must be reset.
    fn connected(&self) -> Option<usize>;
    /// Answers a request from that connection.
    fn answer(&self, connection: usize, request: Request) -> Answer;
}

/// Serves connections until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, site: Arc<dyn Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                // Ignore broken connections.
                tokio::spawn(async move { connection(stream, &*site).await.ok() });
            }
            // Probably no file descriptors are left: give others time to close some.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Answers one request after the other until either side closes.
async fn connection(mut stream: TcpStream, site: &dyn Site) -> io::Result<()> {
    let Some(number) = site.connected() else {
        return stream.set_zero_linger();
    };
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    loop {
        let request = match read_request(&mut stream, &mut received).await? {
            Incoming::Request(request) => request,
            Incoming::End => return Ok(()),
            Incoming::Refused(status) => {
                let refusal = Response::new(status, "text/plain", "").with("Connection", "close");
                return stream.write_all(&refusal.bytes()).await;
            }
        };
        let close = request
            .header("Connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let answer = site.answer(number, request);
        let close = close || header(&answer.response.headers, "Connection").is_some();
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        match answer.fault {
            Some(fault) => {
                let Some(healthy) = fault.perform(answer.response, &mut stream).await? else {
                    return Ok(());
                };
                stream.write_all(&healthy.bytes()).await?;
            }
            None => stream.write_all(&answer.response.bytes()).await?,
        }
        if close {
            return stream.shutdown().await;
        }
    }
}

/// What came in.
enum Incoming {
    Request(Request),
    /// The client closed between two requests.
    End,
    /// Not a request that this server accepts; the status of the answer.
    Refused(u16),
}

/// Reads one request; data after it stays in the buffer.
async fn read_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Incoming> {
    let (head_length, mut request) = loop {
        match parse_head(received) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if received.len() > HEAD_LIMIT => return Ok(Incoming::Refused(431)),
            Ok(None) => {}
            Err(_) => return Ok(Incoming::Refused(400)),
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(Incoming::End);
        }
    };
    if request.header("Transfer-Encoding").is_some() {
        return Ok(Incoming::Refused(411));
    }
    let length = match request.header("Content-Length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= BODY_LIMIT => length,
        Some(Ok(_)) => return Ok(Incoming::Refused(413)),
        Some(Err(_)) => return Ok(Incoming::Refused(400)),
    };
    if request.header("Expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while received.len() < head_length + length {
        if stream.read_buf(received).await? == 0 {
            return Ok(Incoming::End);
        }
    }
    request.body = received[head_length..head_length + length].to_vec();
    received.drain(..head_length + length);
    Ok(Incoming::Request(request))
}

/// The head's length and the request without its body, once the head is complete.
fn parse_head(received: &[u8]) -> Result<Option<(usize, Request)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(received)? else {
        return Ok(None);
    };
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let headers = head.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_owned(), value)
    });
    let request = Request {
        method: text(head.method),
        path: text(head.path),
        headers: headers.collect(),
        body: Vec::new(),
    };
    Ok(Some((length, request)))
}
