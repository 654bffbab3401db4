//! AWS Signature Version 4 in headers, which the AWS CLI and every SDK use: signs requests, and checks their signatures.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::http::{Request, header};
use crate::options::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's clock may be from the service's, in minutes.
const SKEW_MINUTES: i64 = 5;

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// There is no Authorization header.
    Missing,
    /// The Authorization header lacks something, or the request a date; what.
    Incomplete(String),
    /// The access key ID is unknown, or its session token is wrong.
    Unrecognized,
    /// The session token has expired.
    ExpiredToken,
    /// The request's clock is too far from the service's.
    Clock(String),
    /// It is signed for another day, region or service, or does not cover a header that must be signed.
    Scope(String),
    /// It is signed with another secret, or was changed on the way.
    Mismatch,
}

impl SignatureError {
    /// The exception's name in the JSON protocol.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Unrecognized => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Clock(_) | Self::Scope(_) | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Missing Authentication Token",
            Self::Incomplete(what) | Self::Clock(what) | Self::Scope(what) => what,
            Self::Unrecognized => "The security token included in the request is invalid.",
            Self::ExpiredToken => "The security token included in the request is expired",
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details."
            }
        })
    }
}

/// Signs a request as an SDK does: over its host, content type and `X-Amz-*` headers, at that time.
pub fn sign(request: &mut Request, credentials: &Credentials, region: &str, service: &str, now: i64) {
    let date = timestamp(now);
    request.headers.push(("X-Amz-Date".to_owned(), date.clone()));
    if let Some(token) = &credentials.session_token {
        request.headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
    }
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.retain(|name| name == "host" || name == "content-type" || name.starts_with("x-amz-"));
    names.sort();
    let signed_headers = names.join(";");
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let signature = signature(request, &signed_headers, &date, &scope, &credentials.secret_access_key);
    let id = &credentials.access_key_id;
    let value = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}");
    request.headers.push(("Authorization".to_owned(), value));
}

/// Whether that request is signed with these credentials, for that region and service, about now.
pub fn verify(
    request: &Request,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: i64,
) -> Result<(), SignatureError> {
    let authorization = request.header("Authorization").ok_or(SignatureError::Missing)?;
    let parts = Authorization::parse(authorization, request.header("X-Amz-Date"))?;
    let mut credential = parts.credential.splitn(2, '/');
    let (id, scope) = (
        credential.next().unwrap_or_default(),
        credential.next().unwrap_or_default(),
    );
    if id != credentials.access_key_id {
        return Err(SignatureError::Unrecognized);
    }
    if request.header("X-Amz-Security-Token") != credentials.session_token.as_deref() {
        return Err(SignatureError::Unrecognized);
    }
    if credentials.expires.is_some_and(|expires| expires <= now) {
        return Err(SignatureError::ExpiredToken);
    }
    check_scope(scope, parts.date, region, service)?;
    check_clock(parts.date, now)?;
    if !parts.signed_headers.split(';').any(|name| name == "host") {
        let what = "'Host' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(SignatureError::Scope(what.to_owned()));
    }
    let secret = &credentials.secret_access_key;
    match signature(request, parts.signed_headers, parts.date, scope, secret) == parts.signature {
        true => Ok(()),
        false => Err(SignatureError::Mismatch),
    }
}

/// The contents of the Authorization header, and the date of the request.
struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    date: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str, date: Option<&'a str>) -> Result<Self, SignatureError> {
        let parameters = value.strip_prefix(ALGORITHM).unwrap_or_default();
        let parameter = |name: &str| {
            let mut all = parameters.split(',').filter_map(|part| part.trim().split_once('='));
            all.find(|(other, _)| *other == name).map(|(_, value)| value)
        };
        let (credential, signed_headers) = (parameter("Credential"), parameter("SignedHeaders"));
        let signature = parameter("Signature");
        if let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
            (credential, signed_headers, signature, date)
        {
            return Ok(Self {
                credential,
                signed_headers,
                signature,
                date,
            });
        }
        let mut lacking = String::new();
        for (there, what) in [
            (credential.is_some(), "'Credential' parameter."),
            (signature.is_some(), "'Signature' parameter."),
            (signed_headers.is_some(), "'SignedHeaders' parameter."),
            (date.is_some(), "existence of either a 'X-Amz-Date' or a 'Date' header."),
        ] {
            if !there {
                lacking.push_str(&format!("Authorization header requires {what} "));
            }
        }
        Err(SignatureError::Incomplete(format!("{lacking}Authorization={value}")))
    }
}

fn check_scope(scope: &str, date: &str, region: &str, service: &str) -> Result<(), SignatureError> {
    let wrong = |what: String| Err(SignatureError::Scope(what));
    let &[day, its_region, its_service, "aws4_request"] = scope.split('/').collect::<Vec<_>>().as_slice() else {
        return wrong(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term".into(),
        );
    };
    if !date.starts_with(day) || day.len() != 8 {
        let of_date = date.get(..8).unwrap_or(date);
        return wrong(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != \
             '{of_date}', from '{date}'."
        ));
    }
    if its_region != region {
        return wrong(format!(
            "Credential should be scoped to a valid region, not '{its_region}'. "
        ));
    }
    if its_service != service {
        return wrong(format!("Credential should be scoped to correct service: '{service}'. "));
    }
    Ok(())
}

fn check_clock(date: &str, now: i64) -> Result<(), SignatureError> {
    let slack = SKEW_MINUTES * 60;
    let Some(time) = seconds(date) else {
        let what =
            format!("Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601");
        return Err(SignatureError::Incomplete(what));
    };
    let clock = timestamp(now);
    if time < now - slack {
        let limit = timestamp(now - slack);
        let what = format!("Signature expired: {date} is now earlier than {limit} ({clock} - {SKEW_MINUTES} min.)");
        return Err(SignatureError::Clock(what));
    }
    if time > now + slack {
        let limit = timestamp(now + slack);
        let what =
            format!("Signature not yet current: {date} is still later than {limit} ({clock} + {SKEW_MINUTES} min.)");
        return Err(SignatureError::Clock(what));
    }
    Ok(())
}

/// The signature that a request must have.
fn signature(request: &Request, signed_headers: &str, date: &str, scope: &str, secret: &str) -> String {
    let hashed = hex(&Sha256::digest(canonical_request(request, signed_headers)));
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{hashed}");
    let key = scope
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    hex(&hmac(&key, &to_sign))
}

fn canonical_request(request: &Request, signed_headers: &str) -> String {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut query: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let headers: String = signed_headers
        .split(';')
        .map(|name| {
            let value = header(&request.headers, name).unwrap_or_default();
            let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
            format!("{name}:{}\n", words.join(" "))
        })
        .collect();
    let payload = hex(&Sha256::digest(&request.body));
    let (method, query) = (&request.method, query.join("&"));
    format!("{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}")
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    crate::upper_hex(bytes).to_lowercase()
}

/// `20150830T123600Z` for seconds since the epoch (days to dates: Hinnant, "chrono-compatible low-level date algorithms").
fn timestamp(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The reverse conversion.
fn seconds(timestamp: &str) -> Option<i64> {
    let number = |from: usize, to: usize| timestamp.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let from_march = year - i64::from(month <= 2);
    let (era, of_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    // A valid date converts back to the same text: no thirteenth month, no missing T or Z.
    (self::timestamp(seconds) == timestamp).then_some(seconds)
}
