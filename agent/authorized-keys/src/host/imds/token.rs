//! The session token of IMDSv2, from whichever of the two link-local addresses answers first.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::error::ImdsError;
use super::http::body;
use eic_verify::Limits;

/// How long the IPv4 address may stay silent before the IPv6 address is tried as well: the 250 ms of RFC 8305 (section 5)
/// and a little more.
const IPV6_DELAY: Duration = Duration::from_millis(300);

/// How long the token is to be valid, in seconds: longer than any run takes.
const TOKEN_TTL: &str = "120";

const TOKEN_TTL_HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

const TOKEN_PATH: &str = "/latest/api/token";

/// Where `endpoint` issues tokens.
pub(super) fn token_url(endpoint: &Endpoint) -> String {
    format!("{}{TOKEN_PATH}", endpoint.as_str())
}

/// Asks the first endpoint; if that one stays silent or is unreachable, also asks the second one. An endpoint that has
/// answered with any HTTP status is the one that is used, even if its retries fail; `ask` sets its flag then.
pub(super) async fn first_to_answer<T>(
    endpoints: &[Endpoint],
    ask: impl AsyncFn(&Endpoint, &Cell<bool>) -> Result<T, ImdsError>,
) -> Result<T, ImdsError> {
    let answered = (Cell::new(false), Cell::new(false));
    let (first, second) = match endpoints {
        [first, second, ..] => (first, second),
        [only] => return ask(only, &answered.0).await,
        [] => return Err(ImdsError::UrlChanged(String::new())),
    };
    let mut first = pin!(ask(first, &answered.0));
    let early = timeout(IPV6_DELAY, first.as_mut()).await.ok();
    let mut second = pin!(ask(second, &answered.1));
    match early {
        Some(result) if answered.0.get() => result,
        // If both addresses are unreachable, the error of the usual one is reported.
        Some(unreachable) => {
            let result = second.await;
            if answered.1.get() { result } else { unreachable }
        }
        None if answered.0.get() => first.await,
        None => tokio::select! {
            result = &mut first => if answered.0.get() { result } else { second.await },
            result = &mut second => if answered.1.get() { result } else { first.await },
        },
    }
}

/// Requests a token from `endpoint`.
pub(super) async fn request_token(
    client: &Client,
    endpoint: &Endpoint,
    limits: &Limits,
) -> Result<HeaderValue, ImdsError> {
    let target = token_url(endpoint);
    let response = client
        .request(Method::PUT, endpoint.url(TOKEN_PATH)?)
        .header(TOKEN_TTL_HEADER, HeaderValue::from_static(TOKEN_TTL))
        .send()
        .await
        .map_err(|error| ImdsError::from_client(&target, &error))?;
    if response.status() == StatusCode::FORBIDDEN {
        return Err(ImdsError::Disabled);
    }
    let token = body(&target, response, limits.token_bytes).await?;
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(ImdsError::InvalidToken);
    }
    HeaderValue::from_bytes(&token).map_err(|_| ImdsError::InvalidToken)
}
