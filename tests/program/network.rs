//! IMDS at its two real addresses, in a network of the test's own: when the program tries IPv6 as well as IPv4.

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use emulator::imds::TOKEN;
use emulator::kept_keys::EMULATOR_KEYS;
use emulator::{Emulator, Fault, FaultRule, Options};

use crate::defaults::without_any_option;
use crate::harness::{Instance, Login, Outcome, USER, program, provided_none, shared_keys};
use crate::keys::PublicKey;
use crate::surroundings::{have, is_root, skipped, works};

/// Set for the copy of a test that runs in the network namespace.
const INSIDE: &str = "EIC_TEST_INSIDE_NETWORK";

const IPV4: &str = "169.254.169.254:80";
const IPV6: &str = "[fd00:ec2::254]:80";

const SILENT: &str = "IMDS did not answer the request for http://169.254.169.254/latest/api/token or \
                      http://[fd00:ec2::254]/latest/api/token within 1000 ms";

/// Assigns the two addresses, and executes the test. IPv6 is usable immediately, without duplicate address detection.
const SETUP: &str = "ip link set lo up && ip addr add 169.254.169.254/32 dev lo && \
                     ip -6 addr add fd00:ec2::254/128 dev lo nodad && exec \"$@\"";

/// Runs the test of that name again in a new network namespace or, if already in it, the body of the test.
fn inside(test: &str, run: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return run();
    }
    let mut wrapper = vec!["unshare", "--net"];
    if !is_root() {
        wrapper.push("--map-root-user");
    }
    wrapper.extend(["/bin/sh", "-c", SETUP, "sh"]);
    if !have("ip") || !works(&[wrapper.as_slice(), &["true"]].concat()) {
        return skipped(&format!(
            "{test}: no network of our own (packages util-linux and iproute2, and the right to unshare)"
        ));
    }
    let itself = env::current_exe().unwrap();
    let name = format!("network::{test}");
    let (command, arguments) = wrapper.split_first().unwrap();
    let output = Command::new(command)
        .args(arguments)
        .arg(itself)
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, "1")
        .env("EIC_PROGRAM", program())
        .env(EMULATOR_KEYS, shared_keys())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An instance whose IMDS is at these addresses, with a key pushed.
fn instance_at(addresses: &[&str]) -> Instance {
    let instance = Instance::with(Options {
        imds_addresses: addresses.iter().map(|text| address(text)).collect(),
        ..Options::default()
    });
    instance.emulator.push(USER, &PublicKey::ed25519(1).line());
    instance
}

/// A login without `--imds-endpoint`, as sshd runs it.
fn login(instance: &Instance) -> Login {
    Login::new(USER)
        .option("--trust-store", &instance.files.roots)
        .option("--sysfs", &instance.files.sysfs)
}

/// A listener that never answers; the kernel accepts the connections.
fn silence(at: &str) -> TcpListener {
    TcpListener::bind(address(at)).unwrap()
}

fn hosts(emulator: &Emulator) -> Vec<String> {
    let mut hosts: Vec<_> = emulator
        .requests()
        .iter()
        .map(|request| request.header("host").unwrap().to_owned())
        .collect();
    hosts.dedup();
    hosts
}

#[track_caller]
fn prints_the_key(outcome: &Outcome) {
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
}

#[test]
fn where_ipv4_answers_ipv6_is_not_asked() {
    inside("where_ipv4_answers_ipv6_is_not_asked", || {
        let instance = instance_at(&[IPV4, IPV6]);
        // Slow, but before the program tries IPv6 as well.
        instance.emulator.fault(TOKEN, Fault::Delay(Duration::from_millis(150)));
        prints_the_key(&login(&instance).run());
        assert_eq!(hosts(&instance.emulator), ["169.254.169.254"]);
    });
}

#[test]
fn ipv6_is_begun_300_ms_after_a_silent_ipv4() {
    inside("ipv6_is_begun_300_ms_after_a_silent_ipv4", || {
        let _silent = silence(IPV4);
        let instance = instance_at(&[IPV6]);
        let outcome = login(&instance).run();
        prints_the_key(&outcome);
        assert_eq!(hosts(&instance.emulator), ["[fd00:ec2::254]"]);
        let expected = Duration::from_millis(300)..Duration::from_millis(850);
        assert!(expected.contains(&outcome.duration), "{outcome:?}");
    });
}

#[test]
fn ipv6_is_asked_where_ipv4_refuses() {
    inside("ipv6_is_asked_where_ipv4_refuses", || {
        let instance = instance_at(&[IPV6]);
        let outcome = login(&instance).run();
        prints_the_key(&outcome);
        assert!(outcome.duration < Duration::from_millis(990), "{outcome:?}");
    });
}

#[test]
fn ipv6_is_asked_where_ipv4_breaks() {
    inside("ipv6_is_asked_where_ipv4_breaks", || {
        let broken = instance_at(&[IPV4]);
        broken.emulator.fault("/", Fault::Close);
        let instance = instance_at(&[IPV6]);
        prints_the_key(&login(&instance).run());
    });
}

#[test]
fn ipv6_is_never_asked_after_an_http_status() {
    inside("ipv6_is_never_asked_after_an_http_status", || {
        let behind = instance_at(&[IPV6]);
        let first = instance_at(&[IPV4]);
        for (fault, status) in [
            (Fault::Status(400), 1),
            (Fault::Status(401), 1),
            (Fault::Status(403), 0),
            (Fault::Status(404), 1),
            (Fault::Status(500), 1),
            (Fault::Status(503), 1),
            (Fault::Redirect("http://[fd00:ec2::254]/latest/api/token".to_owned()), 1),
            (Fault::Html, 1),
            (Fault::Body(vec![b'A'; 5000]), 1),
        ] {
            first.emulator.clear_faults();
            first.emulator.fault(TOKEN, fault.clone());
            let outcome = login(&first).run();
            assert!(outcome.stdout.is_empty());
            assert_eq!(outcome.status.code(), Some(status), "{}: {outcome:?}", fault.name());
        }
        assert_eq!(behind.emulator.connections(), 0);
    });
}

#[test]
fn ipv6_is_not_begun_while_a_request_that_was_answered_503_is_tried_again() {
    inside(
        "ipv6_is_not_begun_while_a_request_that_was_answered_503_is_tried_again",
        || {
            let behind = instance_at(&[IPV6]);
            let first = instance_at(&[IPV4]);
            let rule = FaultRule::imds(TOKEN, Fault::Status(503));
            first.emulator.fault_rule(rule.first(1));
            first.emulator.fault(TOKEN, Fault::Delay(Duration::from_millis(600)));
            prints_the_key(&login(&first).run());
            assert_eq!(behind.emulator.connections(), 0);
        },
    );
}

#[test]
fn a_status_that_comes_late_is_final_beside_a_silent_ipv6() {
    inside("a_status_that_comes_late_is_final_beside_a_silent_ipv6", || {
        let _silent = silence(IPV6);
        let instance = instance_at(&[IPV4]);
        instance.emulator.with_imds(|imds| imds.enabled = false);
        instance.emulator.set_latency(Duration::from_millis(500));
        let outcome = login(&instance).run();
        let why = "IMDS is disabled for this instance (the token request returned HTTP status 403)";
        outcome.refused(0, &provided_none(why));
        assert!(outcome.duration < Duration::from_millis(990), "{outcome:?}");
    });
}

#[test]
fn a_late_ipv4_does_beside_an_ipv6_that_refuses() {
    inside("a_late_ipv4_does_beside_an_ipv6_that_refuses", || {
        let instance = instance_at(&[IPV4]);
        instance.emulator.fault(TOKEN, Fault::Delay(Duration::from_millis(600)));
        prints_the_key(&login(&instance).run());
        assert_eq!(hosts(&instance.emulator), ["169.254.169.254"]);
    });
}

#[test]
fn both_addresses_silent_cost_one_second_in_all() {
    inside("both_addresses_silent_cost_one_second_in_all", || {
        let silent = [silence(IPV4), silence(IPV6)];
        let instance = Instance::start();
        let outcome = login(&instance).run();
        outcome.refused(1, &provided_none(SILENT));
        let expected = Duration::from_millis(1000)..Duration::from_millis(1400);
        assert!(expected.contains(&outcome.duration), "{outcome:?}");
        drop(silent);
    });
}

#[test]
fn a_retry_and_a_silent_ipv6_cost_one_second_in_all() {
    inside("a_retry_and_a_silent_ipv6_cost_one_second_in_all", || {
        let _silent = silence(IPV6);
        let instance = instance_at(&[IPV4]);
        let slow = FaultRule::imds(TOKEN, Fault::Delay(Duration::from_millis(800)));
        instance.emulator.fault_rule(slow.first(1));
        prints_the_key(&login(&instance).run());
        instance.emulator.clear_faults();
        instance.emulator.fault(TOKEN, Fault::Hang);
        let outcome = login(&instance).run();
        outcome.refused(1, &provided_none(SILENT));
        assert!(outcome.duration < Duration::from_millis(1400), "{outcome:?}");
    });
}

#[test]
fn both_addresses_refusing_is_told_of_the_usual_one() {
    inside("both_addresses_refusing_is_told_of_the_usual_one", || {
        let instance = Instance::start();
        let outcome = login(&instance).run();
        let why = "the connection to IMDS for http://169.254.169.254/latest/api/token was refused";
        outcome.refused(1, &provided_none(why));
        assert!(outcome.duration < Duration::from_millis(990), "{outcome:?}");
    });
}

#[test]
fn sshd_s_two_arguments_are_all_it_needs() {
    inside("sshd_s_two_arguments_are_all_it_needs", || {
        without_any_option(&instance_at(&[IPV4]));
    });
}
