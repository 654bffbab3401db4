//! The emulator's own tests, and what they share: a plain TCP client, a scratch directory, openssl.

mod ec2;
mod fault;
mod imds;
mod openssl;
mod service;
mod sigv4;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::imds::{META_DATA, TOKEN};
use crate::{Emulator, Options};

/// A key as people push it.
pub(crate) const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone";

/// An emulator with the defaults.
pub(crate) fn emulator() -> Emulator {
    Emulator::start(Options::default()).expect("loopback has free ports")
}

/// An answer, parsed no further than tests need.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an http URL");
    let stream = TcpStream::connect(address).expect("the emulator listens");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a timeout above zero");
    stream
}

/// Sends one request and reads until the server closes; whatever came until then, whether the end was clean or not.
pub(crate) fn raw(url: &str, request: &str) -> Vec<u8> {
    let mut stream = connect(url);
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut received = Vec::new();
    // A reset is what some tests are about: they look at what came before it.
    stream.read_to_end(&mut received).ok();
    received
}

/// Sends one request with these headers on a connection of its own.
pub(crate) fn send(url: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    parse(&raw(url, &request))
}

pub(crate) fn parse(received: &[u8]) -> Reply {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = received.split_at(end.expect("the answer has a head") + 4);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply {
        status: status.expect("the status is a number"),
        head,
        body: body.to_vec(),
    }
}

pub(crate) fn token(emulator: &Emulator, ttl: &str) -> Reply {
    let header = format!("X-aws-ec2-metadata-token-ttl-seconds: {ttl}");
    send(&emulator.imds_url(), "PUT", TOKEN, &[&header], "")
}

/// GET of a path below the metadata, or a whole one, with a fresh token.
pub(crate) fn get(emulator: &Emulator, path: &str) -> Reply {
    let token = token(emulator, "60").text();
    get_with(emulator, path, &token)
}

pub(crate) fn get_with(emulator: &Emulator, path: &str, token: &str) -> Reply {
    let header = format!("X-aws-ec2-metadata-token: {token}");
    let path = match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => format!("{META_DATA}{path}"),
    };
    send(&emulator.imds_url(), "GET", &path, &[&header], "")
}

/// A folder that is gone after the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let name = format!("emulator-{}", crate::upper_hex(&rand::random::<[u8; 8]>()));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("the temporary folder is writable");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the scratch folder is writable");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
