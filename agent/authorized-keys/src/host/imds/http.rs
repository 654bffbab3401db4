//! HTTP as IMDS needs it: the clients that hold the connections, and bodies of limited size.

use std::cell::OnceCell;

use reqwest::{Client, Response, StatusCode, redirect};

use super::error::ImdsError;

/// The most headers that an answer may have; IMDS sends about eight.
const MAX_HEADERS: usize = 32;

/// The HTTP clients of one run.
pub(super) struct HttpClients {
    /// Sends several requests over one connection if IMDS leaves it open.
    keep_alive: Client,
    /// Opens a new connection for each request. Once a connection has broken, only this one is used: a server that closes
    /// connections without notice may have closed the other idle ones too.
    new_connections: OnceCell<Client>,
}

impl HttpClients {
    /// Makes them; `idle` is the number of idle connections that are kept.
    pub(super) fn new(idle: usize) -> Result<Self, ImdsError> {
        Ok(Self {
            keep_alive: client(idle)?,
            new_connections: OnceCell::new(),
        })
    }

    /// The client for the next attempt; `last` is the error of the attempt before it.
    pub(super) fn client_after(&self, last: Option<&ImdsError>) -> Result<&Client, ImdsError> {
        if matches!(last, Some(ImdsError::ConnectionClosed { .. })) && self.new_connections.get().is_none() {
            let client = client(0)?;
            return Ok(self.new_connections.get_or_init(|| client));
        }
        Ok(self.new_connections.get().unwrap_or(&self.keep_alive))
    }
}

/// A client that keeps at most `idle` idle connections.
fn client(idle: usize) -> Result<Client, ImdsError> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(idle)
        .http1_max_headers(MAX_HEADERS)
        .user_agent(concat!("ec2-instance-connect/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ImdsError::from_client("anything", &error))
}

/// The body of an answer with status 200, of at most `limit` bytes. `target` is what was requested, for the error.
pub(super) async fn body(target: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, ImdsError> {
    if response.status() != StatusCode::OK {
        return Err(ImdsError::Status {
            target: target.to_owned(),
            status: response.status().as_u16(),
        });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ImdsError::from_client(target, &error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(ImdsError::TooLarge {
                target: target.to_owned(),
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
