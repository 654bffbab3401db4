//! Everything that can go wrong between a request and its answer. Each fault can be set by path, method and count.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Listener;
use crate::http::Response;

/// How much the Content-Length of [`Fault::LongContentLength`] exceeds the length of the body.
pub const MISSING_BYTES: usize = 1000;

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Never answers, and keeps the connection open until the client gives up.
    Hang,
    /// Sends the whole answer, head included, one byte per interval.
    Drip(Duration),
    /// Sends the head immediately, and the body one byte per interval.
    DripBody(Duration),
    /// Waits that long, then answers properly.
    Delay(Duration),
    /// A body without end, in chunks.
    EndlessChunks,
    /// A body without end and without any header about its length.
    EndlessBody,
    /// A Content-Length that is [`MISSING_BYTES`] longer than the body; then closes the connection.
    LongContentLength,
    /// A Content-Length of half the body, all of which is sent.
    ShortContentLength,
    /// Closes in the middle of the head.
    CutHead,
    /// Closes in the middle of the body.
    Cut,
    /// Resets the connection (RST) in the middle of the body.
    ResetBody,
    /// Resets the connection (RST) instead of answering.
    Reset,
    /// Answers properly, and closes the connection without announcing it.
    CloseAfter,
    /// Closes the connection (FIN) instead of answering.
    Close,
    /// Waits that long, then closes the connection (FIN) instead of answering.
    LateClose(Duration),
    /// 302 to that location.
    Redirect(String),
    /// Puts that many headers before the proper answer's.
    HeaderFlood(usize),
    /// 200 with a web page, as a captive portal answers.
    Html,
    /// That status, its number as the body.
    Status(u16),
    /// 200 with this body.
    Body(Vec<u8>),
    /// These bytes as the whole answer, then closes the connection.
    Raw(Vec<u8>),
    /// The first of these as the start of the answer, and then the second again and again.
    EndlessRaw(Vec<u8>, Vec<u8>),
}

impl Fault {
    /// Its name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Drip(_) => "drip",
            Self::DripBody(_) => "drip body",
            Self::Delay(_) => "delay",
            Self::EndlessChunks => "endless chunks",
            Self::EndlessBody => "endless body",
            Self::LongContentLength => "long Content-Length",
            Self::ShortContentLength => "short Content-Length",
            Self::CutHead => "cut head",
            Self::Cut => "cut",
            Self::ResetBody => "reset body",
            Self::Reset => "reset",
            Self::CloseAfter => "close after",
            Self::Close => "close",
            Self::LateClose(_) => "late close",
            Self::Redirect(_) => "redirect",
            Self::HeaderFlood(_) => "header flood",
            Self::Html => "html",
            Self::Status(_) => "status",
            Self::Body(_) => "body",
            Self::Raw(_) => "raw",
            Self::EndlessRaw(..) => "endless raw",
        }
    }

    /// Applies the fault. Returns the answer that remains to be sent, properly framed, if the connection stays usable.
    pub(crate) async fn perform(self, mut response: Response, stream: &mut TcpStream) -> io::Result<Option<Response>> {
        let length = response.body.len();
        match self {
            Self::Hang => hold(stream).await?,
            Self::Drip(interval) => drip(stream, &response.bytes(), interval).await?,
            Self::DripBody(interval) => {
                stream.write_all(&response.head(Some(length))).await?;
                drip(stream, &response.body, interval).await?;
            }
            Self::Delay(time) => {
                tokio::time::sleep(time).await;
                return Ok(Some(response));
            }
            Self::EndlessChunks => {
                let response = response.with("Transfer-Encoding", "chunked");
                stream.write_all(&response.head(None)).await?;
                let chunk = [b"1000\r\n", &[b'A'; 0x1000][..], b"\r\n"].concat();
                endless(stream, &chunk).await?;
            }
            Self::EndlessBody => {
                stream.write_all(&response.head(None)).await?;
                endless(stream, &[b'A'; 0x1000]).await?;
            }
            Self::LongContentLength => {
                let head = response.head(Some(length + MISSING_BYTES));
                stream.write_all(&[head, response.body].concat()).await?;
                stream.shutdown().await?;
            }
            Self::ShortContentLength => {
                let head = response.head(Some(length / 2));
                stream.write_all(&[head, response.body].concat()).await?;
                stream.shutdown().await?;
            }
            Self::CutHead => {
                let head = response.head(Some(length));
                stream.write_all(&head[..head.len() / 2]).await?;
                stream.shutdown().await?;
            }
            Self::Cut => {
                stream.write_all(&response.first_half()).await?;
                stream.shutdown().await?;
            }
            Self::ResetBody => {
                stream.write_all(&response.first_half()).await?;
                // Give the client time to read it: after an RST, its kernel drops unread data.
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()?;
            }
            Self::CloseAfter => {
                stream.write_all(&response.bytes()).await?;
                stream.shutdown().await?;
            }
            // A linger time of zero makes the close an RST.
            Self::Reset => stream.set_zero_linger()?,
            Self::Close => stream.shutdown().await?,
            Self::LateClose(time) => {
                tokio::time::sleep(time).await;
                stream.shutdown().await?;
            }
            Self::Redirect(location) => {
                let redirect = Response::new(302, "text/plain", "").with("Location", &location);
                return Ok(Some(redirect));
            }
            Self::HeaderFlood(count) => {
                let flood = (0..count).map(|n| (format!("X-Flood-{n}"), "drop".repeat(8)));
                response.headers.splice(..0, flood);
                return Ok(Some(response));
            }
            Self::Html => {
                let page = "<!DOCTYPE html>\n<html><title>Welcome</title><p>Please sign in.</html>\n";
                return Ok(Some(Response::new(200, "text/html", page)));
            }
            Self::Status(status) => {
                let text = format!("{status}\n");
                return Ok(Some(Response::new(status, "text/plain", text)));
            }
            Self::Body(body) => return Ok(Some(Response::new(200, "text/plain", body))),
            Self::Raw(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
            }
            Self::EndlessRaw(first, again) => {
                stream.write_all(&first).await?;
                endless(stream, &again).await?;
            }
        }
        Ok(None)
    }
}

/// Waits until the client closes.
async fn hold(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? != 0 {}
    Ok(())
}

async fn drip(stream: &mut TcpStream, bytes: &[u8], interval: Duration) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(interval).await;
    }
    Ok(())
}

/// Ends when the client has closed the connection, because the write then fails.
async fn endless(stream: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(piece).await?;
        // Let this single-threaded server handle the other connections.
        tokio::task::yield_now().await;
    }
}

/// When a fault applies.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// The listener to which it applies.
    pub listener: Listener,
    /// Only for this method.
    pub method: Option<String>,
    /// Only for paths that start with this. `/` matches every path.
    pub path_prefix: String,
    /// How many matching requests are answered properly first.
    pub skip: usize,
    /// How many requests are affected after that; `None` for all.
    pub count: Option<usize>,
    /// Which of those are affected; `None` for all.
    pub share: Option<Share>,
    /// The fault.
    pub fault: Fault,
}

/// A percentage of requests, chosen by a seed: the same ones in every run.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The percentage.
    pub percent: u32,
    /// The seed.
    pub seed: u64,
}

impl Share {
    /// Whether the `n`th request is chosen.
    pub(crate) fn picks(self, of: &str, n: usize) -> bool {
        let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(format!("{} {of} {n}", self.seed)));
        u32::from(u16::from_be_bytes([first, second])) * 100 < self.percent << 16
    }
}

impl FaultRule {
    /// Every request to IMDS whose path starts with this.
    pub fn imds(path_prefix: &str, fault: Fault) -> Self {
        Self {
            listener: Listener::Imds,
            method: None,
            path_prefix: path_prefix.to_owned(),
            skip: 0,
            count: None,
            share: None,
            fault,
        }
    }

    /// Every request to the service.
    pub fn service(fault: Fault) -> Self {
        Self {
            listener: Listener::Service,
            ..Self::imds("/", fault)
        }
    }

    /// Only requests with that method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only the first `n` requests that match.
    #[must_use]
    pub fn first(mut self, n: usize) -> Self {
        self.count = Some(n);
        self
    }

    /// Only from the `n`th matching request on; the first request is number 1.
    #[must_use]
    pub fn from(mut self, n: usize) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// Only this share of the matching requests, counted for each path separately.
    #[must_use]
    pub fn share(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }
}

/// The rules in force, with their counts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<(FaultRule, usize)>,
    /// How many requests each path has had. Requests for one path come one after the other, so that a share of them is
    /// the same in every run, even if requests for different paths overtake each other.
    seen: HashMap<String, usize>,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for this request: that of the first rule that applies. Every matching rule counts the request.
    pub(crate) fn pick(&mut self, listener: Listener, method: &str, path: &str) -> Option<Fault> {
        let asked = format!("{method} {path}");
        let nth = self.seen.entry(asked.clone()).or_default();
        *nth += 1;
        let mut picked = None;
        for (rule, seen) in &mut self.rules {
            let matches = rule.listener == listener
                && path.starts_with(&rule.path_prefix)
                && rule.method.as_deref().is_none_or(|only| only == method);
            if !matches {
                continue;
            }
            *seen += 1;
            let hit = *seen > rule.skip && rule.count.is_none_or(|n| *seen <= rule.skip + n);
            let hit = hit && rule.share.is_none_or(|share| share.picks(&asked, *nth));
            if hit && picked.is_none() {
                picked = Some(rule.fault.clone());
            }
        }
        picked
    }
}
