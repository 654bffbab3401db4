//! The service: what it accepts, what it refuses, and its error messages.

use serde_json::{Value, json};
use ssh_key::Mpint;
use ssh_key::public::RsaPublicKey;

use super::{ED25519, Reply, emulator, get, send};
use crate::imds::ACTIVE_KEYS;
use crate::service::{CONTENT_TYPE, TARGET};
use crate::{Emulator, Fault, FaultRule, Options};

fn request(change: impl FnOnce(&mut Value)) -> String {
    let mut body = json!({
        "InstanceId": "i-0123456789abcdef0",
        "InstanceOSUser": "ec2-user",
        "SSHPublicKey": ED25519,
    });
    change(&mut body);
    body.to_string()
}

fn call(emulator: &Emulator, body: &str) -> Reply {
    call_target(emulator, TARGET, body)
}

fn call_target(emulator: &Emulator, target: &str, body: &str) -> Reply {
    let headers = [
        format!("X-Amz-Target: {target}"),
        format!("Content-Type: {CONTENT_TYPE}"),
    ];
    let headers = headers.each_ref().map(String::as_str);
    send(&emulator.service_url(), "POST", "/", &headers, body)
}

fn exception(reply: &Reply) -> String {
    assert_eq!(reply.status, 400, "{}", reply.text());
    let body: Value = serde_json::from_slice(&reply.body).expect("an error is JSON");
    assert!(body["message"].is_string());
    body["__type"].as_str().expect("an error has a type").to_owned()
}

/// An RSA key of that size in OpenSSH's form. The modulus is no product of primes, which nobody can tell by looking.
fn rsa_line(bits: usize) -> String {
    let mut modulus = vec![0xa5; bits / 8];
    modulus[0] = 0x80;
    let integer = |bytes: &[u8]| Mpint::from_positive_bytes(bytes).expect("a positive integer");
    let key = RsaPublicKey {
        e: integer(&[1, 0, 1]),
        n: integer(&modulus),
    };
    let key = ssh_key::PublicKey::from(key);
    key.to_openssh().expect("a public key encodes")
}

#[test]
fn an_accepted_key_is_published_with_its_request_id_and_caller() {
    let emulator = emulator();
    let body = request(|body| body["AvailabilityZone"] = json!("us-west-2a"));
    let reply = call(&emulator, &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer: Value = serde_json::from_slice(&reply.body).expect("the answer is JSON");
    assert_eq!(answer["Success"], true);
    let id = answer["RequestId"].as_str().expect("a request id");
    let dashes: Vec<_> = id.match_indices('-').map(|(position, _)| position).collect();
    assert_eq!((id.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(&id[14..15], "4");
    assert!(
        reply.head.contains(&format!("x-amzn-RequestId: {id}\r\n")),
        "{}",
        reply.head
    );

    let blob = get(&emulator, &format!("{ACTIVE_KEYS}ec2-user/")).text();
    let headers: Vec<_> = blob.lines().skip(1).take(3).collect();
    assert_eq!(
        headers,
        [
            "#Instance=i-0123456789abcdef0",
            "#Caller=arn:aws:sts::123412341234:assumed-role/Developer/session",
            &format!("#Request={id}"),
        ]
    );
}

#[test]
fn the_newline_of_the_consoles_key_is_trimmed_and_nothing_else() {
    let emulator = emulator();
    let odd = ED25519.replacen(' ', " \t ", 1);
    let body = request(|body| body["SSHPublicKey"] = json!(format!("{odd}\r\n")));
    assert_eq!(call(&emulator, &body).status, 200);
    let blob = get(&emulator, &format!("{ACTIVE_KEYS}ec2-user/")).text();
    assert!(blob.contains(&format!("\n{odd}\n")), "{blob}");
}

#[test]
fn parameters_that_are_not_valid_are_named_so() {
    let emulator = emulator();
    let long = "u".repeat(33);
    for (member, value) in [
        ("InstanceId", "i-0123456"),
        ("InstanceId", "i-0123456789ABCDEF0"),
        ("InstanceId", "x-0123456789abcdef0"),
        ("InstanceOSUser", ""),
        ("InstanceOSUser", "1234"),
        ("InstanceOSUser", "-user"),
        ("InstanceOSUser", "a b"),
        ("InstanceOSUser", "a$b"),
        ("InstanceOSUser", "../root"),
        ("InstanceOSUser", &long),
        ("SSHPublicKey", "ssh-ed25519 AAAA"),
        ("SSHPublicKey", &ED25519.replace("ssh-ed25519", "ssh-rsa")),
        ("SSHPublicKey", &format!("{ED25519}\n{ED25519}")),
        ("SSHPublicKey", &format!("no-pty {ED25519}")),
        ("SSHPublicKey", &"A".repeat(4097)),
        ("AvailabilityZone", "a"),
        ("AvailabilityZone", "us-west-2a/.."),
    ] {
        let reply = call(&emulator, &request(|body| body[member] = json!(value)));
        assert_eq!(exception(&reply), "InvalidArgsException", "{member} {value}");
    }
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}ec2-user/")).status, 404);
}

#[test]
fn user_names_of_every_allowed_form_are_taken() {
    let emulator = emulator();
    let long = "u".repeat(32);
    for user in ["ubuntu", "_x", "first.last@corp", "1user", "12-3", "host$", "a", &long] {
        let reply = call(&emulator, &request(|body| body["InstanceOSUser"] = json!(user)));
        assert_eq!(reply.status, 200, "{user}");
        assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}{user}/")).status, 200, "{user}");
    }
}

#[test]
fn rsa_keys_of_2048_and_4096_bits_are_taken_and_others_are_not() {
    let emulator = emulator();
    for (bits, status) in [(1024, 400), (2048, 200), (2056, 400), (4096, 200)] {
        let line = rsa_line(bits);
        let body = request(|body| body["SSHPublicKey"] = json!(line));
        assert_eq!(call(&emulator, &body).status, status, "{bits}");
    }
}

#[test]
fn another_instance_or_zone_is_not_found() {
    let emulator = emulator();
    for (member, value) in [
        ("InstanceId", "i-0fedcba9876543210"),
        ("AvailabilityZone", "us-west-2b"),
    ] {
        let reply = call(&emulator, &request(|body| body[member] = json!(value)));
        assert_eq!(exception(&reply), "EC2InstanceNotFoundException", "{member}");
    }
}

#[test]
fn zones_of_every_kind_are_taken() {
    for zone in [
        "us-west-2a",
        "us-west-2-lax-1a",
        "us-east-1-wl1-bos-wlz-1",
        "us-gov-west-1b",
    ] {
        let emulator = Emulator::start(Options {
            zone: zone.to_owned(),
            ..Options::default()
        })
        .expect("loopback has free ports");
        let body = request(|body| body["AvailabilityZone"] = json!(zone));
        assert_eq!(call(&emulator, &body).status, 200, "{zone}");
    }
}

#[test]
fn an_unknown_operation_and_a_body_that_is_not_json_have_exceptions_of_their_own() {
    let emulator = emulator();
    let body = request(|_| {});
    let reply = call_target(&emulator, "AWSEC2InstanceConnectService.Other", &body);
    assert_eq!(exception(&reply), "UnknownOperationException");
    let reply = send(&emulator.service_url(), "GET", "/", &[], "");
    assert_eq!(exception(&reply), "UnknownOperationException");
    for body in ["", "{", "[]", "{}"] {
        assert_eq!(exception(&call(&emulator, body)), "SerializationException", "{body}");
    }
}

#[test]
fn its_answers_can_be_spoiled_too() {
    let emulator = emulator();
    emulator.fault_rule(FaultRule::service(Fault::Status(503)).first(1));
    let body = request(|_| {});
    assert_eq!(call(&emulator, &body).status, 503);
    assert_eq!(call(&emulator, &body).status, 200);
    assert_eq!((emulator.connections(), emulator.service_connections()), (0, 2));
}
