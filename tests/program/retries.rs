//! What is asked again: what may pass, once a request and three times a call, after a pause.

use std::time::Duration;

use emulator::imds::{META_DATA, TOKEN};
use emulator::{Fault, FaultRule};

use crate::harness::{Instance, USER, provided_none};
use crate::keys::PublicKey;
use crate::surroundings::{have, skipped, works};

const KEYS: &str = "/latest/meta-data/managed-ssh-keys/active-keys/ec2-user/";

/// Two for the token and the keys, five for where and by whom, four staples.
const ORDINARY: usize = 11;

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

#[track_caller]
fn prints_the_key(instance: &Instance) {
    let outcome = instance.login(USER).run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
}

#[test]
fn one_503_is_cured_by_one_more_request_on_any_path() {
    let instance = with_key();
    let leaf = instance.emulator.pki().leaf.sha1();
    let mut paths = vec![TOKEN.to_owned(), KEYS.to_owned()];
    paths.extend(["instance-id", "placement/region", "services/domain"].map(|path| format!("{META_DATA}{path}")));
    paths.push(format!("{META_DATA}managed-ssh-keys/signer-cert/"));
    paths.push(format!("{META_DATA}managed-ssh-keys/signer-ocsp/"));
    paths.push(format!("{META_DATA}managed-ssh-keys/signer-ocsp/{leaf}"));
    for path in paths {
        for status in [500, 503] {
            instance.emulator.clear_requests();
            instance.emulator.clear_faults();
            let rule = FaultRule::imds(&path, Fault::Status(status)).first(1);
            instance.emulator.fault_rule(rule);
            prints_the_key(&instance);
            assert_eq!(instance.requests(), ORDINARY + 1, "{path}");
        }
    }
}

#[test]
fn what_is_asked_again_is_asked_50_ms_later() {
    for path in [TOKEN, KEYS] {
        let instance = with_key();
        let rule = FaultRule::imds(path, Fault::Status(503)).first(1);
        instance.emulator.fault_rule(rule);
        prints_the_key(&instance);
        let asked = instance.emulator.requests();
        let mut times = asked.iter().filter(|request| request.path == path).map(|r| r.at);
        let pause = times.next().map(|first| times.next().unwrap() - first).unwrap();
        assert!(pause >= Duration::from_millis(50), "{pause:?}");
        assert!(pause < Duration::from_millis(400), "{pause:?}");
    }
}

#[test]
fn a_second_503_is_a_failure() {
    let instance = with_key();
    let rule = FaultRule::imds(KEYS, Fault::Status(503)).first(2);
    instance.emulator.fault_rule(rule);
    let why = format!("IMDS answered 503 to {KEYS}");
    instance.login(USER).run().refused(1, &provided_none(&why));
    assert_eq!(instance.requests(), 3);
}

#[test]
fn three_requests_of_a_call_are_asked_again_and_no_fourth() {
    let spoiled = [
        "instance-id",
        "placement/region",
        "services/domain",
        "managed-ssh-keys/signer-cert/",
    ];
    for count in [3, 4] {
        let instance = with_key();
        for path in spoiled.iter().take(count) {
            let rule = FaultRule::imds(&format!("{META_DATA}{path}"), Fault::Status(503)).first(1);
            instance.emulator.fault_rule(rule);
        }
        if count == 3 {
            prints_the_key(&instance);
            assert_eq!(instance.requests(), ORDINARY + 3);
        } else {
            let outcome = instance.login(USER).run();
            assert!(outcome.said().contains("IMDS answered 503 to "), "{outcome:?}");
            outcome.is(1, "", outcome.said());
            assert!(instance.requests() <= 7 + 3, "{:?}", instance.emulator.imds_paths());
        }
    }
}

#[test]
fn a_retry_of_the_token_counts_among_the_three() {
    let instance = with_key();
    for path in [TOKEN, KEYS] {
        instance
            .emulator
            .fault_rule(FaultRule::imds(path, Fault::Status(503)).first(1));
    }
    for path in ["instance-id", "services/domain"] {
        let rule = FaultRule::imds(&format!("{META_DATA}{path}"), Fault::Status(503)).first(1);
        instance.emulator.fault_rule(rule);
    }
    let outcome = instance.login(USER).run();
    assert!(outcome.said().contains("IMDS answered 503 to "), "{outcome:?}");
    outcome.is(1, "", outcome.said());
}

#[test]
fn a_401_is_cured_by_a_new_token() {
    let instance = with_key();
    let rule = FaultRule::imds(KEYS, Fault::Status(401)).first(1);
    instance.emulator.fault_rule(rule);
    prints_the_key(&instance);
    assert_eq!(instance.requests(), ORDINARY + 2);
    let paths = instance.emulator.imds_paths();
    let start = ["PUT", "GET", "PUT", "GET"].map(|method| match method {
        "PUT" => format!("PUT {TOKEN}"),
        _ => format!("GET {KEYS}"),
    });
    assert_eq!(paths[..4], start);
    let requests = instance.emulator.requests();
    let tokens: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header("x-aws-ec2-metadata-token"))
        .collect();
    assert_ne!(tokens[0], tokens[1]);
    assert!(tokens[1..].iter().all(|token| *token == tokens[1]));
}

#[test]
fn requests_side_by_side_share_one_new_token() {
    let instance = with_key();
    for path in ["placement/region", "services/domain", "managed-ssh-keys/signer-cert/"] {
        let rule = FaultRule::imds(&format!("{META_DATA}{path}"), Fault::Status(401)).first(1);
        instance.emulator.fault_rule(rule);
    }
    prints_the_key(&instance);
    assert_eq!(instance.requests(), ORDINARY + 3 + 1);
}

#[test]
fn what_does_not_pass_is_not_asked_again() {
    let faults = [
        Fault::Status(400),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(429),
        Fault::Hang,
        Fault::Html,
        Fault::EndlessBody,
    ];
    for fault in faults {
        let instance = with_key();
        instance.emulator.fault(KEYS, fault.clone());
        instance.login(USER).run();
        assert_eq!(instance.requests(), 2, "{}", fault.name());
    }
}

/// The kernel's answer is laid over the program's first connect(2): nothing else refuses just once, to the moment.
#[test]
fn one_refused_connection_is_tried_again() {
    let strace = ["strace", "-o", "/dev/null", "-e", "trace=connect"];
    if !have("strace") || !works(&[&strace[..], &["true"]].concat()) {
        return skipped("one refused connection: no strace that may trace (package strace)");
    }
    let refusing = |times: &str| format!("inject=connect:error=ECONNREFUSED:when={times}");
    let instance = with_key();
    let once = instance.login(USER).wrapped(strace).wrapped(["-e", &refusing("1")]);
    let outcome = once.run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
    assert_eq!(instance.requests(), ORDINARY);

    let url = instance.emulator.imds_url();
    instance.emulator.clear_requests();
    let twice = instance.login(USER).wrapped(strace).wrapped(["-e", &refusing("1..2")]);
    let why = format!("IMDS refused the connection for {url}/latest/api/token");
    twice.run().refused(1, &provided_none(&why));
    assert_eq!(instance.requests(), 0);
}
