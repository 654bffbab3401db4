//! The instance metadata service, version 2: its tokens and paths, the signer's certificates, and the users' keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::certificate::Certificate;
use crate::http::{Request, Response};
use crate::options::{Options, StapleNames};
use crate::pki::Pki;
use crate::record::{Record, RecordTemplate, blob};
use crate::staple::Staple;

/// The path of the instance metadata.
pub const META_DATA: &str = "/latest/meta-data/";
/// The path that hands out tokens.
pub const TOKEN: &str = "/latest/api/token";
/// The instance identity document.
pub const IDENTITY_DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
/// The pushed keys, one entry per user, below [`META_DATA`].
pub const ACTIVE_KEYS: &str = "managed-ssh-keys/active-keys/";
/// The signer's chain, below [`META_DATA`].
pub const SIGNER_CERT: &str = "managed-ssh-keys/signer-cert/";
/// The staples, below [`META_DATA`].
pub const SIGNER_OCSP: &str = "managed-ssh-keys/signer-ocsp/";
/// The instance's own credentials, below [`META_DATA`].
pub const CREDENTIALS: &str = "identity-credentials/ec2/security-credentials/ec2-instance/";

/// The longest life of a token, in seconds.
const LONGEST_TTL: u64 = 21600;
/// How staples are wrapped: as `openssl base64` and RFC 7468 do it.
const STAPLE_LINE: Option<usize> = Some(64);

/// A record that is served until it expires.
#[derive(Clone, Debug)]
struct ActiveKey {
    record: Record,
    until: Instant,
}

/// Everything that IMDS serves. Tests change it through [`Emulator::with_imds`](crate::Emulator::with_imds).
///
/// Paths are absolute (`/latest/…`) or relative to [`META_DATA`] (`instance-id`); a trailing slash makes no difference.
#[derive(Debug)]
pub struct Imds {
    /// The signer; change it and call [`Imds::serve_signer`].
    pub pki: Pki,
    /// The names under which [`Imds::serve_signer`] serves the staples.
    pub staple_names: StapleNames,
    /// Disabled: every request is answered with 403, as on an instance whose metadata options disable IMDS.
    pub enabled: bool,
    /// How long a pushed key is served.
    pub key_lifetime: Duration,
    instance_id: String,
    content: BTreeMap<String, Vec<u8>>,
    active_keys: BTreeMap<String, Vec<ActiveKey>>,
    tokens: HashMap<String, Instant>,
}

impl Imds {
    pub(crate) fn new(options: &Options, pki: Pki) -> Self {
        let mut imds = Self {
            pki,
            staple_names: options.staple_names,
            enabled: true,
            key_lifetime: options.key_lifetime,
            instance_id: options.instance_id.clone(),
            content: BTreeMap::new(),
            active_keys: BTreeMap::new(),
            tokens: HashMap::new(),
        };
        imds.set("instance-id", options.instance_id.as_str());
        imds.set("placement/availability-zone", options.zone.as_str());
        imds.set("placement/region", options.region.as_str());
        imds.set("services/domain", options.domain.as_str());
        imds.set("services/partition", options.partition.as_str());
        imds.set(IDENTITY_DOCUMENT, identity_document(options));
        imds.set(CREDENTIALS, credentials());
        imds.serve_signer();
        imds
    }

    /// Puts this body under that path.
    pub fn set(&mut self, path: &str, body: impl Into<Vec<u8>>) {
        self.content.insert(normal(path), body.into());
    }

    /// What [`Imds::set`] put under that path.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.content.get(&normal(path)).map(Vec::as_slice)
    }

    /// Removes that path and everything below it: the answer is then 404.
    pub fn remove(&mut self, path: &str) {
        let path = normal(path);
        let below = format!("{path}/");
        self.content
            .retain(|other, _| *other != path && !other.starts_with(&below));
        self.active_keys.retain(|user, _| {
            let other = normal(&format!("{ACTIVE_KEYS}{user}"));
            other != path && !other.starts_with(&below)
        });
    }

    /// Serves [`Imds::pki`]'s chain, and for each certificate in it a good staple of its issuer's.
    pub fn serve_signer(&mut self) {
        self.set(SIGNER_CERT, self.pki.chain_pem());
        self.remove(SIGNER_OCSP);
        for certificate in self.pki.chain.clone() {
            // A test's chain may contain certificates of other issuers: these get no staple.
            if self.pki.issuer_of(&certificate).is_some() {
                let staple = self.pki.staple(&certificate).sign();
                self.serve_staple(&certificate, &staple);
            }
        }
    }

    /// Serves this staple under the name of that certificate, in place of the existing one.
    pub fn serve_staple(&mut self, certificate: &Certificate, staple: &Staple) {
        let name = match self.staple_names {
            StapleNames::Sha1 => certificate.sha1(),
            StapleNames::Sha256 => certificate.sha256(),
        };
        self.serve_staple_as(&name, staple);
    }

    /// Serves this staple under any name.
    pub fn serve_staple_as(&mut self, name: &str, staple: &Staple) {
        let text = staple.imds_text(STAPLE_LINE);
        self.set(&format!("{SIGNER_OCSP}{name}"), text);
    }

    /// Removes the staple of that certificate.
    pub fn remove_staple(&mut self, certificate: &Certificate) {
        self.remove(&format!("{SIGNER_OCSP}{}", certificate.sha1()));
        self.remove(&format!("{SIGNER_OCSP}{}", certificate.sha256()));
    }

    /// A record as the service would make it for this instance: expires after [`Imds::key_lifetime`], not yet published.
    pub fn record(&self, key_line: &str) -> RecordTemplate {
        let lifetime = i64::try_from(self.key_lifetime.as_secs()).expect("a lifetime of seconds");
        RecordTemplate::new(crate::now() + lifetime, &self.instance_id, key_line)
    }

    /// Signs that record with the leaf's key and serves it after the user's others, for [`Imds::key_lifetime`].
    pub fn publish(&mut self, user: &str, record: &RecordTemplate) {
        let active = ActiveKey {
            record: record.sign(self.pki.leaf.key()),
            until: Instant::now() + self.key_lifetime,
        };
        self.active_keys.entry(user.to_owned()).or_default().push(active);
    }

    /// Serves exactly these bytes as the user's key blob, without expiry.
    pub fn publish_raw(&mut self, user: &str, blob: impl Into<Vec<u8>>) {
        self.set(&format!("{ACTIVE_KEYS}{user}"), blob);
    }

    /// Removes everything that was published for that user.
    pub fn unpublish(&mut self, user: &str) {
        self.remove(&format!("{ACTIVE_KEYS}{user}"));
    }

    /// Invalidates every issued token: requests with one are answered with 401.
    pub fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        if !self.enabled {
            return error(403);
        }
        match request.method.as_str() {
            "PUT" if request.path == TOKEN => self.answer_token(request),
            "GET" if !self.authorised(request) => error(401),
            "GET" => match self.look_up(&request.path) {
                Some(body) => Response::new(200, "text/plain", body),
                None => error(404),
            },
            _ => error(405),
        }
    }

    fn answer_token(&mut self, request: &Request) -> Response {
        // A request that came through a proxy is refused, so that an open proxy cannot give tokens away.
        if request.header("X-Forwarded-For").is_some() {
            return error(403);
        }
        let ttl = request
            .header("X-aws-ec2-metadata-token-ttl-seconds")
            .and_then(|ttl| ttl.parse().ok())
            .filter(|ttl| (1..=LONGEST_TTL).contains(ttl));
        let Some(ttl) = ttl else {
            return error(400);
        };
        // 42 bytes make 56 characters without padding: the length of a real one.
        let bytes: Vec<u8> = std::iter::repeat_with(rand::random).take(42).collect();
        let token = STANDARD.encode(bytes);
        let until = Instant::now() + Duration::from_secs(ttl);
        self.tokens.insert(token.clone(), until);
        Response::new(200, "text/plain", token).with("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", &ttl.to_string())
    }

    fn authorised(&self, request: &Request) -> bool {
        request
            .header("X-aws-ec2-metadata-token")
            .and_then(|token| self.tokens.get(token))
            .is_some_and(|until| Instant::now() < *until)
    }

    /// The body for a path as received: content, a user's current keys, or a listing.
    fn look_up(&self, path: &str) -> Option<Vec<u8>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(body) = self.content.get(path) {
            return Some(body.clone());
        }
        let user = path
            .strip_prefix(META_DATA)
            .and_then(|rest| rest.strip_prefix(ACTIVE_KEYS));
        if let Some(user) = user {
            let live: Vec<_> = self.live_keys(user).collect();
            return (!live.is_empty()).then(|| blob(live));
        }
        self.listing(path)
    }

    fn live_keys(&self, user: &str) -> impl Iterator<Item = &Record> {
        let now = Instant::now();
        let keys = self.active_keys.get(user).into_iter().flatten();
        keys.filter(move |key| now < key.until).map(|key| &key.record)
    }

    /// The names directly below a path, one a line; those with something below them end with a slash.
    fn listing(&self, path: &str) -> Option<Vec<u8>> {
        let below = format!("{path}/");
        let users = self
            .active_keys
            .keys()
            .filter(|user| self.live_keys(user).next().is_some())
            .map(|user| normal(&format!("{ACTIVE_KEYS}{user}")));
        let names: BTreeSet<String> = self
            .content
            .keys()
            .cloned()
            .chain(users)
            .filter_map(|other| {
                let rest = other.strip_prefix(&below)?;
                Some(match rest.split_once('/') {
                    Some((directory, _)) => format!("{directory}/"),
                    None => rest.to_owned(),
                })
            })
            .collect();
        let lines: Vec<_> = names.into_iter().collect();
        (!lines.is_empty()).then(|| lines.join("\n").into_bytes())
    }
}

/// The whole path without a slash at its end.
fn normal(path: &str) -> String {
    let whole = match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => format!("{META_DATA}{path}"),
    };
    match whole.strip_suffix('/') {
        Some(stripped) => stripped.to_owned(),
        None => whole,
    }
}

fn error(status: u16) -> Response {
    // IMDS answers errors with a small page, which a client must not take for content.
    let page = format!("<html><head><title>{status}</title></head></html>\n");
    Response::new(status, "text/html", page)
}

fn identity_document(options: &Options) -> String {
    let document = json!({
        "accountId": options.account,
        "architecture": "x86_64",
        "availabilityZone": options.zone,
        "instanceId": options.instance_id,
        "instanceType": "t3.micro",
        "pendingTime": "2025-01-01T00:00:00Z",
        "privateIp": "10.0.0.10",
        "region": options.region,
        "version": "2017-09-30",
    });
    format!("{document:#}")
}

fn credentials() -> String {
    let credentials = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAEMULATOREXAMPLE0",
        "SecretAccessKey": "emulated/secret/access/key/of/no/use0000",
        "Token": "emulated-session-token",
    });
    format!("{credentials:#}")
}
