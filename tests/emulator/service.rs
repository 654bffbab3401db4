//! The service's operation `SendSSHPublicKey`, in its wire format (AWS JSON 1.1).
//!
//! It passes requests in EC2's query protocol on to [`crate::ec2`], because clients are given one endpoint for both.

use serde::Deserialize;
use serde_json::json;
use ssh_key::public::KeyData;

use crate::ec2::Ec2;
use crate::http::{Request, Response};
use crate::imds::Imds;
use crate::options::{Credentials, Options};
use crate::sigv4::{self, SignatureError};

/// The operation, as `X-Amz-Target` names it.
pub const TARGET: &str = "AWSEC2InstanceConnectService.SendSSHPublicKey";
/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// The service's name in signatures.
pub const SIGNING_NAME: &str = "ec2-instance-connect";

/// An error in the service's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// Not a JSON object with the operation's members.
    Serialization(String),
    /// A parameter is not valid.
    InvalidArgs(String),
    /// There is no such instance.
    InstanceNotFound,
    /// No such operation.
    UnknownOperation,
    /// The request is not signed with the service's credentials.
    Authentication(SignatureError),
}

impl ServiceError {
    /// The exception's name on the wire.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Serialization(_) => "SerializationException",
            Self::InvalidArgs(_) => "InvalidArgsException",
            Self::InstanceNotFound => "EC2InstanceNotFoundException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Authentication(error) => error.exception(),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Serialization(message) | Self::InvalidArgs(message) => message.clone(),
            Self::InstanceNotFound => "Instance not found".to_owned(),
            Self::UnknownOperation => "The operation is not known".to_owned(),
            Self::Authentication(error) => error.to_string(),
        }
    }
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The value of the record's `#Caller=`.
    pub arn: String,
}

/// The operation's input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendSshPublicKey {
    instance_id: String,
    #[serde(rename = "InstanceOSUser")]
    instance_os_user: String,
    #[serde(rename = "SSHPublicKey")]
    ssh_public_key: String,
    availability_zone: Option<String>,
}

/// The service, for one instance.
#[derive(Debug)]
pub struct Service {
    instance_id: String,
    region: String,
    zone: String,
    caller: String,
    credentials: Option<Credentials>,
    ec2: Ec2,
}

impl Service {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            instance_id: options.instance_id.clone(),
            region: options.region.clone(),
            zone: options.zone.clone(),
            caller: options.caller.clone(),
            credentials: options.credentials.clone(),
            ec2: Ec2::new(options),
        }
    }

    /// Answers a request; a key that is accepted appears in that IMDS.
    pub(crate) fn answer(&self, request: &Request, imds: &mut Imds) -> Response {
        if Ec2::is_for(request) {
            return self.ec2.answer(request);
        }
        let request_id = request_id();
        let (status, body) = match self.send_ssh_public_key(request, &request_id, imds) {
            Ok(()) => (200, json!({ "RequestId": request_id, "Success": true })),
            Err(error) => {
                let body = json!({ "__type": error.exception(), "message": error.message() });
                (400, body)
            }
        };
        Response::new(status, CONTENT_TYPE, body.to_string()).with("x-amzn-RequestId", &request_id)
    }

    fn send_ssh_public_key(&self, request: &Request, request_id: &str, imds: &mut Imds) -> Result<(), ServiceError> {
        let json = request
            .header("Content-Type")
            .is_some_and(|value| value.starts_with(CONTENT_TYPE));
        let known =
            request.method == "POST" && request.path == "/" && json && request.header("X-Amz-Target") == Some(TARGET);
        if !known {
            return Err(ServiceError::UnknownOperation);
        }
        let principal = self.authenticate(request)?;
        let input: SendSshPublicKey =
            serde_json::from_slice(&request.body).map_err(|error| ServiceError::Serialization(error.to_string()))?;
        self.check(&input)?;
        // The console sends the key with a newline, which would end the record's signed part one line early.
        let record = imds
            .record(input.ssh_public_key.trim_end_matches(['\r', '\n']))
            .with("Caller", &principal.arn)
            .with("Request", request_id);
        imds.publish(&input.instance_os_user, &record);
        Ok(())
    }

    /// The signer of the request; anybody may call if the emulator was started without credentials.
    fn authenticate(&self, request: &Request) -> Result<Principal, ServiceError> {
        if let Some(credentials) = &self.credentials {
            sigv4::verify(request, credentials, &self.region, SIGNING_NAME, crate::now())
                .map_err(ServiceError::Authentication)?;
        }
        Ok(Principal {
            arn: self.caller.clone(),
        })
    }

    fn check(&self, input: &SendSshPublicKey) -> Result<(), ServiceError> {
        let invalid = |what: &str| Err(ServiceError::InvalidArgs(what.to_owned()));
        if !is_instance_id(&input.instance_id) {
            return invalid("InstanceId is not valid");
        }
        if !is_user_name(&input.instance_os_user) {
            return invalid("InstanceOSUser is not valid");
        }
        if !is_accepted_key(&input.ssh_public_key) {
            return invalid("SSHPublicKey is not a valid RSA or ED25519 public key");
        }
        if input.availability_zone.as_deref().is_some_and(|zone| !is_zone(zone)) {
            return invalid("AvailabilityZone is not valid");
        }
        if input.instance_id != self.instance_id {
            return Err(ServiceError::InstanceNotFound);
        }
        // The exception for a wrong zone is undocumented; this one says that the instance is not found there.
        match &input.availability_zone {
            Some(zone) if *zone != self.zone => Err(ServiceError::InstanceNotFound),
            _ => Ok(()),
        }
    }
}

/// `^i-[a-f0-9]+$`, 10 to 32 characters.
pub(crate) fn is_instance_id(id: &str) -> bool {
    let Some(digits) = id.strip_prefix("i-") else {
        return false;
    };
    (10..=32).contains(&id.len()) && digits.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9'))
}

/// 6 to 32 characters of a zone's name. The API's published pattern, `(\w+-){2,3}\d+\w+`, would shut out Local Zones and
/// Wavelength Zones (`us-west-2-lax-1a`), which the service accepts.
fn is_zone(zone: &str) -> bool {
    (6..=32).contains(&zone.len()) && zone.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The API's grammar: 32 characters at most, never digits alone, `$` only as the last.
fn is_user_name(name: &str) -> bool {
    let common = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'.' | b'_' | b'-');
    let bytes = name.as_bytes();
    let (Some(first), 1..=32) = (bytes.first(), bytes.len()) else {
        return false;
    };
    if first.is_ascii_digit() {
        let after_digits = name.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some((mark, rest)) = after_digits.as_bytes().split_first() else {
            return false;
        };
        return common(*mark) && ends_properly(rest, common);
    }
    (first.is_ascii_alphabetic() || *first == b'_') && ends_properly(&bytes[1..], common)
}

/// `[A-Za-z0-9@._-]*[A-Za-z0-9$_-]?`: the first part can match everything, so that only `$` is special.
fn ends_properly(rest: &[u8], common: impl Fn(u8) -> bool) -> bool {
    let rest = rest.strip_suffix(b"$").unwrap_or(rest);
    rest.iter().all(|b| common(*b))
}

/// RSA of 2048 or 4096 bits, or ED25519; white space of any kind between the fields, and at the end.
fn is_accepted_key(line: &str) -> bool {
    // 80 to 4096 characters, as the API has it.
    if !(80..=4096).contains(&line.len()) {
        return false;
    }
    let line = line.trim_end_matches(['\r', '\n']);
    if line.contains(['\r', '\n']) {
        return false;
    }
    let fields: Vec<_> = line.split_ascii_whitespace().take(2).collect();
    let &[algorithm, data] = fields.as_slice() else {
        return false;
    };
    let Ok(key) = format!("{algorithm} {data}").parse::<ssh_key::PublicKey>() else {
        return false;
    };
    match key.key_data() {
        KeyData::Ed25519(_) => true,
        KeyData::Rsa(key) => {
            let modulus = key.n.as_positive_bytes().unwrap_or_default();
            // A modulus of full length starts with a set bit.
            matches!(modulus.len(), 256 | 512) && modulus[0] & 0x80 != 0
        }
        _ => false,
    }
}

/// A fresh id in the form of a version 4 UUID.
pub(crate) fn request_id() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::upper_hex(&bytes).to_lowercase();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}
