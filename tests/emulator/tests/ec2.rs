//! EC2's query protocol: the instance with its addresses, and errors in EC2's own format.

use super::{Reply, send};
use crate::ec2::{CONTENT_TYPE, SIGNING_NAME, VERSION};
use crate::http::Request;
use crate::sigv4::sign;
use crate::{Addresses, Credentials, Emulator, Options};

const DESCRIBE: &str = "Action=DescribeInstances&Version=2016-11-15";

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAEXAMPLE".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
        expires: None,
    }
}

fn emulator(addresses: Addresses) -> Emulator {
    let options = Options {
        credentials: Some(credentials()),
        addresses,
        ..Options::default()
    };
    Emulator::start(options).expect("loopback has free ports")
}

fn call(emulator: &Emulator, body: &str, credentials: Option<&Credentials>, at: i64) -> Reply {
    let content_type = format!("{CONTENT_TYPE}; charset=utf-8");
    let mut request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: vec![
            ("Host".to_owned(), "x".to_owned()),
            ("Content-Type".to_owned(), content_type),
        ],
        body: body.as_bytes().to_vec(),
    };
    if let Some(credentials) = credentials {
        sign(&mut request, credentials, "us-west-2", SIGNING_NAME, at);
    }
    let headers = request.headers.iter().filter(|(name, _)| name != "Host");
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    let headers: Vec<_> = headers.iter().map(String::as_str).collect();
    send(&emulator.service_url(), "POST", "/", &headers, body)
}

fn ask(emulator: &Emulator, body: &str) -> Reply {
    call(emulator, body, Some(&credentials()), crate::now())
}

#[test]
fn the_instance_is_described_with_zone_names_and_addresses() {
    let emulator = emulator(Addresses::default());
    for body in [
        DESCRIBE.to_owned(),
        format!("{DESCRIBE}&InstanceId.1=i-0123456789abcdef0"),
    ] {
        let reply = ask(&emulator, &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        for element in [
            "<instanceId>i-0123456789abcdef0</instanceId>",
            "<availabilityZone>us-west-2a</availabilityZone>",
            "<ipAddress>203.0.113.10</ipAddress>",
            "<privateIpAddress>10.0.0.10</privateIpAddress>",
            "<ipv6Address>2001:db8::10</ipv6Address>",
            "<dnsName>ec2-203-0-113-10.us-west-2.compute.amazonaws.com</dnsName>",
            "<privateDnsName>ip-10-0-0-10.us-west-2.compute.internal</privateDnsName>",
        ] {
            assert!(reply.text().contains(element), "{element} in {}", reply.text());
        }
    }
}

#[test]
fn an_instance_without_public_addresses_has_no_elements_for_them() {
    let private = Addresses {
        public_ipv4: None,
        ipv6: None,
        public_name: None,
        ..Addresses::default()
    };
    let text = ask(&emulator(private), DESCRIBE).text();
    assert!(!text.contains("<ipAddress>") && !text.contains("ipv6Address"), "{text}");
    // EC2 leaves the name's element in, empty.
    assert!(text.contains("<dnsName></dnsName>"), "{text}");
}

#[test]
fn there_are_no_instance_connect_endpoints() {
    let body = format!("Action=DescribeInstanceConnectEndpoints&Version={VERSION}");
    let reply = ask(&emulator(Addresses::default()), &body);
    assert_eq!(reply.status, 200);
    assert!(
        reply.text().contains("<instanceConnectEndpointSet/>"),
        "{}",
        reply.text()
    );
}

#[test]
fn refusals_are_in_ec2s_own_terms() {
    let emulator = emulator(Addresses::default());
    let now = crate::now();
    let wrong = Credentials {
        secret_access_key: "another".to_owned(),
        ..credentials()
    };
    let good = credentials();
    let with = |rest: &str| format!("{DESCRIBE}{rest}");
    for (body, credentials, at, status, code) in [
        (with(""), None, now, 400, "MissingParameter"),
        (with(""), Some(&wrong), now, 401, "AuthFailure"),
        (with(""), Some(&good), now - 3600, 400, "RequestExpired"),
        (
            with("&InstanceId.1=i-0fedcba9876543210"),
            Some(&good),
            now,
            400,
            "InvalidInstanceID.NotFound",
        ),
        (
            with("&InstanceId.1=%3Ci-0%3E"),
            Some(&good),
            now,
            400,
            "InvalidInstanceID.Malformed",
        ),
        (with("&Filter.1.Name=x"), Some(&good), now, 400, "InvalidParameterValue"),
        (
            format!("Action=Other&Version={VERSION}"),
            Some(&good),
            now,
            400,
            "InvalidAction",
        ),
        (format!("Version={VERSION}"), Some(&good), now, 400, "MissingAction"),
        (
            "Action=DescribeInstances&Version=2006-01-01".to_owned(),
            Some(&good),
            now,
            400,
            "NoSuchVersion",
        ),
    ] {
        let reply = call(&emulator, &body, credentials, at);
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(
            reply.text().contains(&format!("<Code>{code}</Code>")),
            "{body}: {}",
            reply.text()
        );
    }
    let malformed = ask(&emulator, &with("&InstanceId.1=%3Ci-0%3E")).text();
    assert!(malformed.contains("Invalid id: \"&lt;i-0&gt;\""), "{malformed}");
}
