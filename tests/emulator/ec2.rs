//! The part of EC2's API that clients of EC2 Instance Connect use before they push a key: the query protocol, in XML.

use crate::http::{Request, Response};
use crate::options::{Credentials, Options};
use crate::sigv4::{self, SignatureError};

/// The version of the API, which requests must contain.
pub const VERSION: &str = "2016-11-15";
/// The content type of requests.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// EC2's name in signatures.
pub const SIGNING_NAME: &str = "ec2";

/// An error in EC2's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Error {
    status: u16,
    code: &'static str,
    message: String,
}

impl Error {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
        }
    }
}

/// EC2 gives fewer details about a wrong signature than other services.
impl From<SignatureError> for Error {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Missing => Self::new(
                "MissingParameter",
                "The request must contain the parameter AWSAccessKeyId",
            ),
            SignatureError::ExpiredToken | SignatureError::Clock(_) => {
                Self::new("RequestExpired", "Request has expired.")
            }
            SignatureError::Incomplete(_)
            | SignatureError::Unrecognized
            | SignatureError::Scope(_)
            | SignatureError::Mismatch => Self {
                status: 401,
                ..Self::new(
                    "AuthFailure",
                    "AWS was not able to validate the provided access credentials",
                )
            },
        }
    }
}

/// EC2, as far as it knows one instance.
#[derive(Debug)]
pub struct Ec2 {
    options: Options,
}

impl Ec2 {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
        }
    }

    /// Whether a request uses the query protocol.
    pub(crate) fn is_for(request: &Request) -> bool {
        request
            .header("Content-Type")
            .is_some_and(|value| value.starts_with(CONTENT_TYPE))
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let id = crate::service::request_id();
        let (status, xml) = match self.perform(request) {
            Ok((action, content)) => {
                let xml = format!(
                    "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/{VERSION}/\">\n\
                     <requestId>{id}</requestId>\n{content}</{action}Response>"
                );
                (200, xml)
            }
            Err(error) => {
                let (code, message) = (error.code, escaped(&error.message));
                let xml = format!(
                    "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
                     <RequestID>{id}</RequestID></Response>"
                );
                (error.status, xml)
            }
        };
        let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}\n");
        Response::new(status, "text/xml;charset=UTF-8", document).with("x-amzn-RequestId", &id)
    }

    fn perform(&self, request: &Request) -> Result<(&'static str, String), Error> {
        if let Some(credentials) = &self.options.credentials {
            self.authenticate(request, credentials)?;
        }
        let parameters = form(&request.body);
        let parameter = |name: &str| {
            let mut all = parameters.iter();
            all.find(|(other, _)| other == name).map(|(_, value)| value.as_str())
        };
        if parameter("Version") != Some(VERSION) {
            return Err(Error::new(
                "NoSuchVersion",
                "The specified API version is not supported",
            ));
        }
        if let Some((name, _)) = parameters.iter().find(|(name, _)| name.starts_with("Filter.")) {
            return Err(Error::new(
                "InvalidParameterValue",
                format!("{name}: this emulator has no filters"),
            ));
        }
        match parameter("Action") {
            Some("DescribeInstances") => self
                .describe_instances(&parameters)
                .map(|xml| ("DescribeInstances", xml)),
            Some("DescribeInstanceConnectEndpoints") => {
                let none = "<instanceConnectEndpointSet/>\n".to_owned();
                Ok(("DescribeInstanceConnectEndpoints", none))
            }
            Some(other) => Err(Error::new(
                "InvalidAction",
                format!("The action {other} is not valid for this web service."),
            )),
            None => Err(Error::new(
                "MissingAction",
                "The request must contain the parameter Action",
            )),
        }
    }

    fn authenticate(&self, request: &Request, credentials: &Credentials) -> Result<(), Error> {
        sigv4::verify(request, credentials, &self.options.region, SIGNING_NAME, crate::now())?;
        Ok(())
    }

    fn describe_instances(&self, parameters: &[(String, String)]) -> Result<String, Error> {
        for (_, id) in parameters.iter().filter(|(name, _)| name.starts_with("InstanceId.")) {
            if *id == self.options.instance_id {
                continue;
            }
            return Err(match crate::service::is_instance_id(id) {
                true => Error::new(
                    "InvalidInstanceID.NotFound",
                    format!("The instance ID '{id}' does not exist"),
                ),
                false => Error::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")),
            });
        }
        Ok(self.instance())
    }

    /// The one instance, in its reservation. `ipAddress` and `dnsName` are the public ones.
    fn instance(&self) -> String {
        let options = &self.options;
        let addresses = &options.addresses;
        let element = |name: &str, value: Option<&String>| match value {
            Some(value) => format!("      <{name}>{}</{name}>\n", escaped(value)),
            None => String::new(),
        };
        let elements = [
            element("instanceId", Some(&options.instance_id)),
            element("privateDnsName", Some(&addresses.private_name)),
            element("privateIpAddress", Some(&addresses.private_ipv4)),
            element(
                "dnsName",
                Some(addresses.public_name.as_ref().unwrap_or(&String::new())),
            ),
            element("ipAddress", addresses.public_ipv4.as_ref()),
            element("ipv6Address", addresses.ipv6.as_ref()),
        ];
        let (account, zone) = (escaped(&options.account), escaped(&options.zone));
        format!(
            "<reservationSet>\n  <item>\n    <reservationId>r-0123456789abcdef0</reservationId>\n    \
             <ownerId>{account}</ownerId>\n    <instancesSet>\n     <item>\n{}      \
             <instanceState><code>16</code><name>running</name></instanceState>\n      \
             <placement><availabilityZone>{zone}</availabilityZone><tenancy>default</tenancy></placement>\n     \
             </item>\n    </instancesSet>\n  </item>\n</reservationSet>\n",
            elements.concat()
        )
    }
}

/// The pairs of a form.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let body = String::from_utf8_lossy(body);
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// One word of a form; an invalid escape stands for itself.
fn decoded(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = escape.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = after;
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
