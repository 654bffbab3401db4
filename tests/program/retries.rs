//! What is retried: temporary errors, twice for each request and six times for each call, after a pause.

use std::time::Duration;

use emulator::imds::{META_DATA, TOKEN};
use emulator::{Fault, FaultRule};

use crate::harness::{Instance, USER, provided_none};
use crate::keys::PublicKey;
use crate::surroundings::strace;

const KEYS: &str = "/latest/meta-data/managed-ssh-keys/active-keys/ec2-user/";

/// Two for the token and the keys, five for the instance, its region and the signer, four for staples.
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
fn a_third_503_is_a_failure() {
    for (count, fails) in [(2, false), (3, true)] {
        let instance = with_key();
        let rule = FaultRule::imds(KEYS, Fault::Status(503)).first(count);
        instance.emulator.fault_rule(rule);
        if fails {
            let why = format!("IMDS returned HTTP status 503 for {KEYS}");
            instance.login(USER).run().refused(1, &provided_none(&why));
            assert_eq!(instance.requests(), 4);
        } else {
            prints_the_key(&instance);
            assert_eq!(instance.requests(), ORDINARY + 2);
        }
    }
}

/// An instance on which that many requests of a call are answered with 503, one or two for each path.
fn spoiled(count: usize) -> Instance {
    let instance = with_key();
    let below = ["placement/region", "services/domain", "managed-ssh-keys/signer-cert/"];
    let paths = below.map(|path| format!("{META_DATA}{path}"));
    let paths = [TOKEN, KEYS].into_iter().chain(paths.iter().map(String::as_str));
    for (nth, path) in paths.enumerate() {
        let times = count.saturating_sub(nth * 2).min(2);
        if times > 0 {
            let rule = FaultRule::imds(path, Fault::Status(503)).first(times);
            instance.emulator.fault_rule(rule);
        }
    }
    instance
}

#[test]
fn six_retries_has_a_call_and_no_seventh() {
    let instance = spoiled(6);
    prints_the_key(&instance);
    assert_eq!(instance.requests(), ORDINARY + 6);

    let instance = spoiled(7);
    let outcome = instance.login(USER).run();
    assert!(
        outcome.said().contains("IMDS returned HTTP status 503 for "),
        "{outcome:?}"
    );
    outcome.is(1, "", outcome.said());
    assert!(instance.requests() <= 7 + 6, "{:?}", instance.emulator.imds_paths());
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

/// strace makes the program's first calls of connect(2) fail: nothing else can refuse exactly that many times.
#[test]
fn a_refused_connection_is_tried_again() {
    let Some(strace) = strace("a refused connection", &["-o", "/dev/null", "-e", "trace=connect"]) else {
        return;
    };
    let refusing = |times: &str| format!("inject=connect:error=ECONNREFUSED:when={times}");
    let instance = with_key();
    let twice = instance.login(USER).wrapped(&strace).wrapped(["-e", &refusing("1..2")]);
    let outcome = twice.run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
    assert_eq!(instance.requests(), ORDINARY);

    let url = instance.emulator.imds_url();
    instance.emulator.clear_requests();
    let thrice = instance.login(USER).wrapped(&strace).wrapped(["-e", &refusing("1..3")]);
    let why = format!("the connection to IMDS for {url}/latest/api/token was refused");
    thrice.run().refused(1, &provided_none(&why));
    assert_eq!(instance.requests(), 0);
}
