//! The requests that this program sends to IMDS, and what each answer is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::error::ImdsError;
use super::http::{HttpClients, body};
use super::pending_answers::PendingAnswers;
use super::retries::Retries;
use super::token::{first_to_answer, request_token, token_url};
use eic_verify::text::quoted;
use eic_verify::{InstanceId, Limits, UserName};

/// How long the token may take, over both addresses and the retries. If IMDS never answers, every login takes this much
/// longer, so it is short; a real IMDS answers within a few milliseconds.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long each later answer may take, its body and the retries included.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many requests run at the same time. IMDS limits connections and packets, and logins come in bursts.
const CONCURRENT_REQUESTS: usize = 5;

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// IMDS at the address that answered, with a token for it.
pub struct Imds {
    http: HttpClients,
    endpoint: Endpoint,
    token: Mutex<Rc<HeaderValue>>,
    retries: Retries,
    concurrency: Semaphore,
    pending: PendingAnswers,
    limits: Limits,
}

impl Imds {
    /// Gets a token from the first of `endpoints` that answers: the second is asked too when the first has been
    /// silent for 300 ms or is unreachable, but never after the first has answered with an HTTP status.
    ///
    /// `pending` is what a watchdog looks at; a caller that has none passes [`PendingAnswers::default`].
    ///
    /// # Errors
    /// [`ImdsError`]; [`ImdsError::Disabled`] is a 403.
    pub async fn connect(endpoints: &[Endpoint], limits: &Limits, pending: &PendingAnswers) -> Result<Self, ImdsError> {
        let http = HttpClients::new(CONCURRENT_REQUESTS)?;
        let retries = Retries::new();
        let token_from = async |endpoint: &Endpoint, answered: &Cell<bool>| {
            let attempt = async |last: Option<&ImdsError>| {
                let token = request_token(http.client_after(last)?, endpoint, limits).await;
                answered.set(answered.get() || token.as_ref().err().is_none_or(ImdsError::is_answer));
                token
            };
            let token = retries.run(attempt).await?;
            Ok((token, endpoint.clone()))
        };
        let urls: Vec<String> = endpoints.iter().map(token_url).collect();
        let target = urls.join(" or ");
        let token = answer_within(pending, &target, TOKEN_TIMEOUT, first_to_answer(endpoints, token_from));
        let (token, endpoint) = token.await?;
        Ok(Self {
            http,
            endpoint,
            token: Mutex::new(Rc::new(token)),
            retries,
            concurrency: Semaphore::new(CONCURRENT_REQUESTS),
            pending: pending.clone(),
            limits: limits.clone(),
        })
    }

    /// The key blob for `user`; `None` if nobody pushed a key.
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

    /// The names of the stapled OCSP responses. Each is a single path segment that a URL carries unencoded. Any other line
    /// is skipped, because the staples that are needed may be listed next to it.
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

    /// The staple with this name, as IMDS serves it; `None` if it has disappeared since it was listed.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn staple(&self, name: &StapleName) -> Result<Option<Vec<u8>>, ImdsError> {
        let path = format!("managed-ssh-keys/signer-ocsp/{}", name.0);
        self.meta_data(&path, self.limits.staple_bytes).await
    }

    /// The instance ID.
    ///
    /// # Errors
    /// [`ImdsError`]; [`ImdsError::InvalidInstanceId`].
    pub async fn instance_id(&self) -> Result<InstanceId, ImdsError> {
        let answer = self.required("instance-id", self.limits.line_bytes).await?;
        InstanceId::parse(&answer).ok_or_else(|| ImdsError::InvalidInstanceId(quoted(&answer)))
    }

    /// The domain of the AWS services in this partition, such as `amazonaws.com`.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn domain(&self) -> Result<Vec<u8>, ImdsError> {
        self.required("services/domain", self.limits.line_bytes).await
    }

    /// The region; `None` if this IMDS is too old to have it.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn region(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.meta_data("placement/region", self.limits.line_bytes).await
    }

    /// The availability zone; `None` if IMDS does not have it.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn zone(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.meta_data("placement/availability-zone", self.limits.line_bytes)
            .await
    }

    /// The instance identity document, JSON; `None` if IMDS does not have it.
    ///
    /// # Errors
    /// [`ImdsError`].
    pub async fn identity_document(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.get("/latest/dynamic/instance-identity/document", self.limits.document_bytes)
            .await
    }

    /// The answer for instance metadata that every IMDS has.
    async fn required(&self, path: &str, limit: usize) -> Result<Vec<u8>, ImdsError> {
        self.meta_data(path, limit).await?.ok_or_else(|| ImdsError::Status {
            target: meta_data_path(path),
            status: StatusCode::NOT_FOUND.as_u16(),
        })
    }

    /// The answer for instance metadata; `None` for 404.
    async fn meta_data(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ImdsError> {
        self.get(&meta_data_path(path), limit).await
    }

    /// The answer to a GET request, at most `limit` bytes; `None` for 404. After a 401, the retry has a new token.
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
        let _permit = self.concurrency.acquire().await;
        answer_within(&self.pending, path, ANSWER_TIMEOUT, self.retries.run(attempt)).await
    }

    /// Gets a new token, unless another request of this run has done so since IMDS refused `used`.
    async fn renew_token(&self, used: Option<Rc<HeaderValue>>) -> Result<(), ImdsError> {
        let mut token = self.token.lock().await;
        if used.is_none_or(|used| Rc::ptr_eq(&used, &token)) {
            *token = Rc::new(request_token(self.http.client_after(None)?, &self.endpoint, &self.limits).await?);
        }
        Ok(())
    }
}

fn meta_data_path(path: &str) -> String {
    format!("/latest/meta-data/{path}")
}

/// The name of a staple: a single path segment that a URL carries unencoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StapleName(String);

impl StapleName {
    fn parse(line: &[u8], longest: usize) -> Option<Self> {
        let name = std::str::from_utf8(line).ok()?;
        let is_plain_segment = !name.is_empty()
            && name.len() <= longest
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._=+".contains(&b));
        is_plain_segment.then(|| Self(name.to_owned()))
    }
}

/// Waits for an answer, at most `time`.
async fn answer_within<T>(
    pending: &PendingAnswers,
    target: &str,
    time: Duration,
    answer: impl Future<Output = Result<T, ImdsError>>,
) -> Result<T, ImdsError> {
    let timed_out = ImdsError::TimedOut {
        target: target.to_owned(),
        limit: time,
    };
    let _pending = pending.add(time, timed_out.clone());
    timeout(time, answer).await.unwrap_or(Err(timed_out))
}
