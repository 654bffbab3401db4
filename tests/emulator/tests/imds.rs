//! IMDS: tokens, paths, listings, keys that appear and expire.

use std::io::{Read as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

use super::{ED25519, connect, emulator, get, get_with, send, token};
use crate::imds::{ACTIVE_KEYS, IDENTITY_DOCUMENT, META_DATA, SIGNER_CERT, SIGNER_OCSP, TOKEN};
use crate::{Emulator, Options, StapleNames};

#[test]
fn a_token_lives_as_long_as_was_asked_for() {
    let emulator = emulator();
    let reply = token(&emulator, "1");
    assert_eq!(reply.status, 200);
    assert_eq!(get_with(&emulator, "instance-id", &reply.text()).status, 200);
    sleep(Duration::from_millis(1100));
    assert_eq!(get_with(&emulator, "instance-id", &reply.text()).status, 401);
}

#[test]
fn a_token_costs_a_ttl_between_1_and_21600() {
    let emulator = emulator();
    for good in ["1", "21600"] {
        assert_eq!(token(&emulator, good).status, 200, "{good}");
    }
    for bad in ["0", "21601", "-1", "x", ""] {
        assert_eq!(token(&emulator, bad).status, 400, "{bad}");
    }
    assert_eq!(send(&emulator.imds_url(), "PUT", TOKEN, &[], "").status, 400);
}

#[test]
fn a_token_is_not_given_through_a_proxy() {
    let emulator = emulator();
    let headers = ["X-aws-ec2-metadata-token-ttl-seconds: 60", "X-Forwarded-For: 10.0.0.1"];
    assert_eq!(send(&emulator.imds_url(), "PUT", TOKEN, &headers, "").status, 403);
}

#[test]
fn no_two_tokens_are_the_same() {
    let emulator = emulator();
    assert_ne!(token(&emulator, "60").text(), token(&emulator, "60").text());
}

#[test]
fn a_get_without_a_token_or_with_a_wrong_one_is_unauthorised() {
    let emulator = emulator();
    let path = format!("{META_DATA}instance-id");
    assert_eq!(send(&emulator.imds_url(), "GET", &path, &[], "").status, 401);
    assert_eq!(get_with(&emulator, "instance-id", "made-up").status, 401);
    let held = token(&emulator, "60").text();
    emulator.with_imds(crate::Imds::expire_tokens);
    assert_eq!(get_with(&emulator, "instance-id", &held).status, 401);
}

#[test]
fn where_imds_is_off_everything_is_forbidden() {
    let emulator = emulator();
    let held = token(&emulator, "60").text();
    emulator.with_imds(|imds| imds.enabled = false);
    assert_eq!(token(&emulator, "60").status, 403);
    assert_eq!(get_with(&emulator, "instance-id", &held).status, 403);
}

#[test]
fn it_tells_where_the_instance_is_with_and_without_a_slash() {
    let emulator = Emulator::start(Options::in_region("cn-north-1", "aws-cn", "amazonaws.com.cn"))
        .expect("loopback has free ports");
    for (path, expected) in [
        ("instance-id", "i-0123456789abcdef0"),
        ("placement/availability-zone", "cn-north-1a"),
        ("placement/region", "cn-north-1"),
        ("services/domain", "amazonaws.com.cn"),
        ("services/partition", "aws-cn"),
    ] {
        assert_eq!(get(&emulator, path).text(), expected);
        let reply = get(&emulator, &format!("{path}/"));
        assert_eq!(reply.text(), expected);
        assert!(reply.head.contains("Content-Type: text/plain\r\n"), "{}", reply.head);
    }
    let document = get(&emulator, IDENTITY_DOCUMENT).text();
    let document: serde_json::Value = serde_json::from_str(&document).expect("it is JSON");
    assert_eq!(document["region"], "cn-north-1");
    assert_eq!(document["availabilityZone"], "cn-north-1a");
    assert_eq!(document["accountId"], "123412341234");
}

#[test]
fn a_path_is_taken_as_it_stands() {
    let emulator = emulator();
    for odd in [
        "instance%2Did",
        "./instance-id",
        "/instance-id",
        "instance-id//",
        "Instance-Id",
    ] {
        let path = format!("{META_DATA}{odd}");
        assert_eq!(get(&emulator, &path).status, 404, "{odd}");
        let last = emulator.requests().pop().expect("it was logged");
        assert_eq!(last.path, path);
    }
}

#[test]
fn what_a_test_sets_is_served_and_what_it_removes_is_not() {
    let emulator = emulator();
    emulator.with_imds(|imds| imds.set("placement/region", "us-mars-1"));
    assert_eq!(get(&emulator, "placement/region").text(), "us-mars-1");
    emulator.with_imds(|imds| imds.remove("placement/region/"));
    assert_eq!(get(&emulator, "placement/region").status, 404);
    assert_eq!(get(&emulator, "placement/availability-zone").status, 200);
}

#[test]
fn staples_are_listed_by_the_fingerprint_of_their_certificate() {
    for names in [StapleNames::Sha1, StapleNames::Sha256] {
        let options = Options {
            staple_names: names,
            ..Options::default()
        };
        let emulator = Emulator::start(options).expect("loopback has free ports");
        let chain = emulator.pki().chain;
        let mut expected: Vec<_> = chain
            .iter()
            .map(|certificate| match names {
                StapleNames::Sha1 => certificate.sha1(),
                StapleNames::Sha256 => certificate.sha256(),
            })
            .collect();
        expected.sort();
        assert_eq!(get(&emulator, SIGNER_OCSP).text(), expected.join("\n"));
        for name in expected {
            assert_eq!(get(&emulator, &format!("{SIGNER_OCSP}{name}")).status, 200);
        }
        assert_eq!(get(&emulator, SIGNER_CERT).text().matches("BEGIN").count(), 4);
    }
}

#[test]
fn a_directory_is_listed() {
    let emulator = emulator();
    emulator.push("ubuntu", ED25519);
    let listing = get(&emulator, "managed-ssh-keys/").text();
    assert_eq!(listing, "active-keys/\nsigner-cert\nsigner-ocsp/");
}

#[test]
fn a_pushed_key_appears_for_its_user_alone_and_expires() {
    let options = Options {
        key_lifetime: Duration::from_millis(800),
        ..Options::default()
    };
    let emulator = Emulator::start(options).expect("loopback has free ports");
    let path = format!("{ACTIVE_KEYS}ubuntu/");
    assert_eq!(get(&emulator, &path).status, 404);
    let request_id = emulator.push("ubuntu", ED25519);
    let blob = get(&emulator, &path).text();
    assert!(blob.starts_with("#Timestamp="), "{blob}");
    assert!(blob.contains(&format!("#Request={request_id}\n{ED25519}\n")), "{blob}");
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}root/")).status, 404);
    sleep(Duration::from_millis(900));
    assert_eq!(get(&emulator, &path).status, 404);
}

#[test]
fn records_stand_in_the_order_of_their_push_with_a_blank_line_between() {
    let emulator = emulator();
    let first = emulator.push("ubuntu", ED25519);
    let second = emulator.push("ubuntu", ED25519);
    let blob = get(&emulator, &format!("{ACTIVE_KEYS}ubuntu")).text();
    let records: Vec<_> = blob.split("\n\n").collect();
    assert_eq!(records.len(), 2, "{blob}");
    assert!(records[0].contains(&first) && records[1].contains(&second), "{blob}");
    let signature = blob.lines().last().expect("the blob has lines");
    assert_eq!(signature.len(), 344);
}

#[test]
fn a_raw_blob_is_served_byte_for_byte() {
    let emulator = emulator();
    emulator.with_imds(|imds| imds.publish_raw("ubuntu", &b"\xff\0\r\n"[..]));
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}ubuntu")).body, b"\xff\0\r\n");
    emulator.with_imds(|imds| imds.unpublish("ubuntu"));
    assert_eq!(get(&emulator, &format!("{ACTIVE_KEYS}ubuntu")).status, 404);
}

#[test]
fn one_connection_carries_many_requests_and_all_are_logged() {
    let emulator = emulator();
    let mut stream = connect(&emulator.imds_url());
    for _ in 0..3 {
        let request = format!("PUT {TOKEN} HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 5\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).expect("the answer comes");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(emulator.connections(), 1);
    assert_eq!(emulator.imds_paths(), vec![format!("PUT {TOKEN}"); 3]);
    let log = emulator.requests();
    assert!(log.iter().all(|r| r.connection == 1 && r.status == 200));
    assert_eq!(log[0].header("x-aws-EC2-metadata-token-ttl-seconds"), Some("5"));
    assert!(log[0].at <= log[2].at);
    emulator.clear_requests();
    assert_eq!((emulator.connections(), emulator.requests().len()), (0, 0));
}

#[test]
fn it_listens_on_ipv6_and_on_several_addresses() {
    let options = Options {
        imds_addresses: ["127.0.0.1:0", "[::1]:0"]
            .map(|a| a.parse().expect("an address"))
            .to_vec(),
        ..Options::default()
    };
    let Ok(emulator) = Emulator::start(options) else {
        println!("SKIPPED: this machine has no IPv6 loopback");
        return;
    };
    let urls = emulator.imds_urls();
    assert!(urls[1].starts_with("http://[::1]:"), "{urls:?}");
    for url in urls {
        assert_eq!(send(&url, "PUT", TOKEN, &[], "").status, 400);
    }
    assert_eq!(emulator.connections(), 2);
}

#[test]
fn what_is_not_http_is_refused() {
    let emulator = emulator();
    let url = emulator.imds_url();
    assert_eq!(super::parse(&super::raw(&url, "nonsense\r\n\r\n")).status, 400);
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000));
    assert_eq!(super::parse(&super::raw(&url, &long)).status, 431);
    assert_eq!(send(&url, "DELETE", TOKEN, &[], "").status, 405);
}

#[test]
fn an_emulator_that_is_stopped_no_longer_listens() {
    let emulator = emulator();
    let url = emulator.imds_url();
    emulator.stop();
    let address = url.strip_prefix("http://").expect("an http URL");
    assert!(std::net::TcpStream::connect(address).is_err());
}
