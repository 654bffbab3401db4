//! The instance metadata service, version 2: one token, then answers, each within its time and its bound.

use std::cell::{Cell, OnceCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, redirect};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::ImdsError;
use super::endpoint::Endpoint;
use super::retries::Retries;
use super::waits::Waits;
use eic_verify::identity::InstanceId;
use eic_verify::limits::Limits;
use eic_verify::login::UserName;
use eic_verify::text::quoted;

/// How long the token may take, over both addresses and the retries. Where IMDS never answers, this is what every
/// login costs, so it is short; a real IMDS answers within a few milliseconds.
const TOKEN_TIME: Duration = Duration::from_secs(1);

/// How long IPv4 may be silent before IPv6 is tried beside it: RFC 8305's 250 ms, and a little.
const IPV6_DELAY: Duration = Duration::from_millis(300);

/// How long each later answer may take, its body and the retries included.
const ANSWER_TIME: Duration = Duration::from_millis(1500);

/// How many requests go side by side. IMDS limits connections and packets, and logins come in bursts.
const SIDE_BY_SIDE: usize = 5;

/// How long the token is to last, in seconds: longer than any call does.
const TOKEN_LIFE: &str = "120";

/// Headers of one answer; IMDS sends about eight.
const HEADERS: usize = 32;

const TOKEN_LIFE_HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// IMDS, with the address that answered and a token for it.
pub struct Imds {
    http: Http,
    endpoint: Endpoint,
    token: Mutex<Rc<HeaderValue>>,
    retries: Retries,
    side_by_side: Semaphore,
    waits: Waits,
    limits: Limits,
}

impl Imds {
    /// Gets a token from the first of `endpoints` that answers: the second is asked too when the first has been
    /// silent for 300 ms or cannot be reached, but never after it gave an HTTP status.
    ///
    /// # Errors
    /// [`ImdsError`]; [`ImdsError::SwitchedOff`] is a 403.
    pub(crate) async fn open(endpoints: &[Endpoint], limits: &Limits, waits: &Waits) -> Result<Self, ImdsError> {
        let http = Http::new()?;
        let retries = Retries::for_a_call();
        let token_from = async |endpoint: &Endpoint, answered: &Cell<bool>| {
            let attempt = async |last: Option<&ImdsError>| {
                let token = request_token(http.client_after(last)?, endpoint, limits).await;
                answered.set(answered.get() || token.as_ref().err().is_none_or(ImdsError::is_answer));
                token
            };
            let token = retries.run(attempt).await?;
            Ok((token, endpoint.clone()))
        };
        let asked = endpoints.iter().map(Endpoint::as_str).collect::<Vec<_>>().join(" and ");
        let token = answer_within(waits, &asked, TOKEN_TIME, first_to_answer(endpoints, token_from));
        let (token, endpoint) = token.await?;
        Ok(Self {
            http,
            endpoint,
            token: Mutex::new(Rc::new(token)),
            retries,
            side_by_side: Semaphore::new(SIDE_BY_SIDE),
            waits: waits.clone(),
            limits: limits.clone(),
        })
    }

    /// The key blob for `user`; `None` where nobody pushed a key.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn active_keys(&self, user: &UserName) -> Result<Option<Vec<u8>>, ImdsError> {
        let path = format!("managed-ssh-keys/active-keys/{}/", user.as_str());
        self.meta_data(&path, self.limits.blob_bytes).await
    }

    /// The signer's certificates, as PEM.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn signer_certificates(&self) -> Result<Vec<u8>, ImdsError> {
        self.required("managed-ssh-keys/signer-cert/", self.limits.chain_bytes)
            .await
    }

    /// The names of the staples. Each is a single path segment that stands for itself in a URL; a line that is not is
    /// passed over, as the staples that are needed may be listed next to it.
    ///
    /// # Errors
    /// [`ImdsError`]; [`ImdsError::TooManyStaples`].
    pub async fn staple_names(&self) -> Result<Vec<StapleName>, ImdsError> {
        let listing = self
            .required("managed-ssh-keys/signer-ocsp/", self.limits.listing_bytes)
            .await?;
        let names: Vec<StapleName> = listing
            .split(|&byte| byte == b'\n')
            .filter_map(|line| StapleName::parse(line, self.limits.staple_name_bytes))
            .take(self.limits.staples + 1)
            .collect();
        if names.len() > self.limits.staples {
            return Err(ImdsError::TooManyStaples(self.limits.staples));
        }
        Ok(names)
    }

    /// The staple of this name, as served; `None` where it is gone since it was listed.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn staple(&self, name: &StapleName) -> Result<Option<Vec<u8>>, ImdsError> {
        let path = format!("managed-ssh-keys/signer-ocsp/{}", name.0);
        self.meta_data(&path, self.limits.staple_bytes).await
    }

    /// The instance id.
    ///
    /// # Errors
    /// [`ImdsError`]; [`ImdsError::InstanceId`].
    pub async fn instance_id(&self) -> Result<InstanceId, ImdsError> {
        let answer = self.required("instance-id", self.limits.line_bytes).await?;
        InstanceId::parse(&answer).ok_or_else(|| ImdsError::InstanceId(quoted(&answer)))
    }

    /// The domain of this partition's services.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn domain(&self) -> Result<Vec<u8>, ImdsError> {
        self.required("services/domain", self.limits.line_bytes).await
    }

    /// The region; `None` where this IMDS is too old to tell.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn region(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.meta_data("placement/region", self.limits.line_bytes).await
    }

    /// The zone; `None` where IMDS does not tell.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn zone(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.meta_data("placement/availability-zone", self.limits.line_bytes)
            .await
    }

    /// The instance-identity document; `None` where IMDS has none.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn identity_document(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.get("/latest/dynamic/instance-identity/document", self.limits.document_bytes)
            .await
    }

    async fn required(&self, path: &str, limit: usize) -> Result<Vec<u8>, ImdsError> {
        self.meta_data(path, limit).await?.ok_or_else(|| ImdsError::Status {
            asked: path.to_owned(),
            status: StatusCode::NOT_FOUND.as_u16(),
        })
    }

    async fn meta_data(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ImdsError> {
        self.get(&format!("/latest/meta-data/{path}"), limit).await
    }

    /// The answer to one GET of at most `limit` bytes; `None` for 404. After a 401, once more with a new token.
    async fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ImdsError> {
        let url = self.endpoint.url(path)?;
        let used = Cell::new(None);
        let attempt = async |last: Option<&ImdsError>| {
            if matches!(last, Some(ImdsError::Status { status: 401, .. })) {
                self.renew_token(used.take()).await?;
            }
            let token = Rc::clone(&*self.token.lock().await);
            used.set(Some(Rc::clone(&token)));
            let response = self
                .http
                .client_after(last)?
                .request(Method::GET, url.clone())
                .header(TOKEN_HEADER, HeaderValue::clone(&token))
                .send()
                .await
                .map_err(|error| ImdsError::from_client(path, &error))?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            body(path, response, limit).await.map(Some)
        };
        // IMDS limits connections as well as packets.
        let _turn = self.side_by_side.acquire().await;
        answer_within(&self.waits, path, ANSWER_TIME, self.retries.run(attempt)).await
    }

    /// Gets a new token, unless another request of this call has done so since `used` was refused.
    async fn renew_token(&self, used: Option<Rc<HeaderValue>>) -> Result<(), ImdsError> {
        let mut token = self.token.lock().await;
        if used.is_none_or(|used| Rc::ptr_eq(&used, &token)) {
            *token = Rc::new(request_token(self.http.client_after(None)?, &self.endpoint, &self.limits).await?);
        }
        Ok(())
    }
}

/// The name of a staple: what can stand as a single path segment of a URL and is not encoded there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StapleName(String);

impl StapleName {
    fn parse(line: &[u8], longest: usize) -> Option<Self> {
        let name = std::str::from_utf8(line).ok()?;
        let stands_for_itself = !name.is_empty()
            && name.len() <= longest
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._=+".contains(&b));
        stands_for_itself.then(|| Self(name.to_owned()))
    }
}

/// The HTTP clients of one call.
struct Http {
    /// Sends several requests over one connection where IMDS leaves it open.
    reusing: Client,
    /// Opens a connection for each request. Taken for good once a connection broke: a server that closes without a
    /// word may have closed the other idle ones too.
    opening: OnceCell<Client>,
}

impl Http {
    fn new() -> Result<Self, ImdsError> {
        Ok(Self {
            reusing: client(SIDE_BY_SIDE)?,
            opening: OnceCell::new(),
        })
    }

    /// The client for the attempt after one that failed so.
    fn client_after(&self, last: Option<&ImdsError>) -> Result<&Client, ImdsError> {
        if matches!(last, Some(ImdsError::Cut { .. })) && self.opening.get().is_none() {
            let opening = client(0)?;
            return Ok(self.opening.get_or_init(|| opening));
        }
        Ok(self.opening.get().unwrap_or(&self.reusing))
    }
}

/// A client that keeps so many idle connections.
fn client(idle: usize) -> Result<Client, ImdsError> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(idle)
        .http1_max_headers(HEADERS)
        .user_agent(concat!("ec2-instance-connect/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ImdsError::from_client("anything", &error))
}

/// Asks the first endpoint and, where that stays silent or cannot be reached, the second one beside it. Once an
/// endpoint answered with an HTTP status, whatever becomes of its retry, it is the one.
async fn first_to_answer<T>(
    endpoints: &[Endpoint],
    ask: impl AsyncFn(&Endpoint, &Cell<bool>) -> Result<T, ImdsError>,
) -> Result<T, ImdsError> {
    let answered = (Cell::new(false), Cell::new(false));
    let (first, second) = match endpoints {
        [first, second, ..] => (first, second),
        [only] => return ask(only, &answered.0).await,
        [] => return Err(ImdsError::Url(String::new())),
    };
    let mut first = pin!(ask(first, &answered.0));
    let early = timeout(IPV6_DELAY, first.as_mut()).await.ok();
    let mut second = pin!(ask(second, &answered.1));
    match early {
        Some(result) if answered.0.get() => result,
        // Of two addresses that cannot be reached, the usual one's reason is the one to tell.
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

/// Asks `endpoint` for a token.
async fn request_token(client: &Client, endpoint: &Endpoint, limits: &Limits) -> Result<HeaderValue, ImdsError> {
    let asked = format!("{}/latest/api/token", endpoint.as_str());
    let mut headers = HeaderMap::new();
    headers.insert(TOKEN_LIFE_HEADER, HeaderValue::from_static(TOKEN_LIFE));
    let response = client
        .request(Method::PUT, endpoint.url("/latest/api/token")?)
        .headers(headers)
        .send()
        .await
        .map_err(|error| ImdsError::from_client(&asked, &error))?;
    if response.status() == StatusCode::FORBIDDEN {
        return Err(ImdsError::SwitchedOff);
    }
    let token = body(&asked, response, limits.token_bytes).await?;
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(ImdsError::Token);
    }
    HeaderValue::from_bytes(&token).map_err(|_| ImdsError::Token)
}

/// The body of a 200, unless it goes over `limit` bytes.
async fn body(asked: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, ImdsError> {
    if response.status() != StatusCode::OK {
        return Err(ImdsError::Status {
            asked: asked.to_owned(),
            status: response.status().as_u16(),
        });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ImdsError::from_client(asked, &error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(ImdsError::TooLong {
                asked: asked.to_owned(),
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn answer_within<T>(
    waits: &Waits,
    asked: &str,
    time: Duration,
    answer: impl Future<Output = Result<T, ImdsError>>,
) -> Result<T, ImdsError> {
    let silent = ImdsError::Silent {
        asked: asked.to_owned(),
        waited: time,
    };
    let _wait = waits.begin(time, silent.clone());
    timeout(time, answer).await.unwrap_or(Err(silent))
}
