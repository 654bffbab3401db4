//! Signatures: AWS's own examples, and the service's answers to requests with a wrong signature.

use serde_json::{Value, json};

use super::{ED25519, Reply, get, send};
use crate::http::Request;
use crate::imds::ACTIVE_KEYS;
use crate::service::{CONTENT_TYPE, SIGNING_NAME, TARGET};
use crate::sigv4::{SignatureError, sign, verify};
use crate::{Credentials, Emulator, Options};

const REGION: &str = "us-west-2";

/// 2015-08-30 12:36:00 UTC, when AWS's examples were signed.
const EXAMPLE_TIME: i64 = 1_440_938_160;

fn example_credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
        expires: None,
    }
}

fn example(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

/// The example of "Authenticating Requests (AWS Signature Version 4)" in AWS's general reference, word for word.
#[test]
fn the_documented_example_verifies() {
    let mut request = example(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        &[
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Host", "iam.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ],
        "",
    );
    let check = |request: &Request| verify(request, &example_credentials(), "us-east-1", "iam", EXAMPLE_TIME + 60);
    assert_eq!(check(&request), Ok(()));
    request.path.push('9');
    assert_eq!(check(&request), Err(SignatureError::Mismatch));
}

/// `post-x-www-form-urlencoded` of AWS's signature test suite.
#[test]
fn the_test_suites_post_gets_the_same_signature() {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Host", "example.amazonaws.com"),
    ];
    let mut request = example("POST", "/", &headers, "Param1=value1");
    sign(
        &mut request,
        &example_credentials(),
        "us-east-1",
        "service",
        EXAMPLE_TIME,
    );
    assert_eq!(
        request.header("Authorization"),
        Some(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        )
    );
}

fn guarded(credentials: &Credentials) -> Emulator {
    let options = Options {
        credentials: Some(credentials.clone()),
        ..Options::default()
    };
    Emulator::start(options).expect("loopback has free ports")
}

fn push() -> Request {
    let body = json!({"InstanceId": "i-0123456789abcdef0", "InstanceOSUser": "ec2-user", "SSHPublicKey": ED25519});
    let headers = [("Host", "x"), ("Content-Type", CONTENT_TYPE), ("X-Amz-Target", TARGET)];
    example("POST", "/", &headers, &body.to_string())
}

fn call(emulator: &Emulator, request: &Request) -> Reply {
    let headers = request.headers.iter().filter(|(name, _)| name != "Host");
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    let headers: Vec<_> = headers.iter().map(String::as_str).collect();
    let body = std::str::from_utf8(&request.body).expect("JSON is text");
    send(&emulator.service_url(), "POST", "/", &headers, body)
}

/// The exception's name and its message.
fn refusal(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, 400, "{}", reply.text());
    let body: Value = serde_json::from_slice(&reply.body).expect("an error is JSON");
    let text = |name: &str| body[name].as_str().expect("an error is told in text").to_owned();
    (text("__type"), text("message"))
}

#[test]
fn a_signed_request_is_taken_with_and_without_a_session_token() {
    let plain = Credentials::random();
    let temporary = Credentials {
        session_token: Some("token".to_owned()),
        expires: Some(crate::now() + 60),
        ..Credentials::random()
    };
    for credentials in [plain, temporary] {
        let emulator = guarded(&credentials);
        let mut request = push();
        sign(&mut request, &credentials, REGION, SIGNING_NAME, crate::now());
        let reply = call(&emulator, &request);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}ec2-user/")).status, 200);
    }
}

#[test]
fn a_request_that_is_not_signed_as_it_must_be_gets_the_services_own_exception() {
    let credentials = Credentials::random();
    let emulator = guarded(&credentials);
    let now = crate::now();
    let signed = |change: &dyn Fn(&mut Credentials), region: &str, service: &str, at: i64| {
        let mut request = push();
        let mut with = credentials.clone();
        change(&mut with);
        sign(&mut request, &with, region, service, at);
        request
    };
    let mut tampered = signed(&|_| {}, REGION, SIGNING_NAME, now);
    tampered.body = String::from_utf8(tampered.body)
        .unwrap()
        .replace("ec2-user", "root")
        .into_bytes();
    let mut half = push();
    half.headers
        .push(("Authorization".to_owned(), "AWS4-HMAC-SHA256 Credential=x".to_owned()));
    for (request, exception, says) in [
        (
            push(),
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        (half, "IncompleteSignatureException", "requires 'Signature' parameter."),
        (
            signed(&|c| c.access_key_id.push('X'), REGION, SIGNING_NAME, now),
            "UnrecognizedClientException",
            "security token included in the request is invalid",
        ),
        (
            signed(&|c| c.session_token = Some("x".to_owned()), REGION, SIGNING_NAME, now),
            "UnrecognizedClientException",
            "security token included in the request is invalid",
        ),
        (
            signed(&|c| c.secret_access_key.push('X'), REGION, SIGNING_NAME, now),
            "InvalidSignatureException",
            "signature we calculated does not match",
        ),
        (
            tampered,
            "InvalidSignatureException",
            "signature we calculated does not match",
        ),
        (
            signed(&|_| {}, "us-east-1", SIGNING_NAME, now),
            "InvalidSignatureException",
            "valid region, not 'us-east-1'",
        ),
        (
            signed(&|_| {}, REGION, "ec2", now),
            "InvalidSignatureException",
            "correct service: 'ec2-instance-connect'",
        ),
        (
            signed(&|_| {}, REGION, SIGNING_NAME, now - 16 * 60),
            "InvalidSignatureException",
            "Signature expired: ",
        ),
        (
            signed(&|_| {}, REGION, SIGNING_NAME, now + 16 * 60),
            "InvalidSignatureException",
            "Signature not yet current: ",
        ),
    ] {
        let (name, message) = refusal(&call(&emulator, &request));
        assert_eq!(name, exception, "{message}");
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}ec2-user/")).status, 404);
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}root/")).status, 404);
}

#[test]
fn a_clock_that_is_four_minutes_off_is_let_through() {
    let credentials = Credentials::random();
    let emulator = guarded(&credentials);
    for off in [-240, 240] {
        let mut request = push();
        sign(&mut request, &credentials, REGION, SIGNING_NAME, crate::now() + off);
        assert_eq!(call(&emulator, &request).status, 200, "{off}");
    }
}

#[test]
fn an_expired_session_is_told_so() {
    let credentials = Credentials {
        session_token: Some("token".to_owned()),
        expires: Some(crate::now() - 1),
        ..Credentials::random()
    };
    let mut request = push();
    sign(&mut request, &credentials, REGION, SIGNING_NAME, crate::now());
    let (name, message) = refusal(&call(&guarded(&credentials), &request));
    assert_eq!(name, "ExpiredTokenException", "{message}");
}

#[test]
fn the_host_must_be_signed_along() {
    let credentials = Credentials::random();
    let mut request = push();
    request.headers.retain(|(name, _)| name != "Host");
    sign(&mut request, &credentials, REGION, SIGNING_NAME, crate::now());
    let (name, message) = refusal(&call(&guarded(&credentials), &request));
    assert_eq!(name, "InvalidSignatureException");
    assert!(message.contains("'Host' must be a 'SignedHeader'"), "{message}");
}
