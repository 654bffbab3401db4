//! How long a call may take: one second if IMDS is silent, 1.5 seconds for each answer, and the timeout in total.

use std::time::Duration;

use emulator::imds::{META_DATA, TOKEN};
use emulator::{Fault, SilentListener};

use crate::harness::{Instance, Outcome, USER, provided_none};
use crate::keys::PublicKey;
use crate::surroundings::side_by_side;
use crate::xen::{CloudInit, on_xen};

const KEYS: &str = "/latest/meta-data/managed-ssh-keys/active-keys/ec2-user/";

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

#[track_caller]
fn took(outcome: &Outcome, least: u64, most: u64) {
    let expected = milliseconds(least)..milliseconds(most);
    assert!(expected.contains(&outcome.duration), "{outcome:?}");
}

#[test]
fn an_imds_that_never_answers_costs_one_second() {
    let instance = Instance::start();
    let silent = SilentListener::new().unwrap();
    let outcome = instance.login(USER).option("--imds-endpoint", silent.url()).run();
    let why = format!(
        "IMDS did not answer the request for {}/latest/api/token within 1000 ms",
        silent.url()
    );
    outcome.refused(1, &provided_none(&why));
    took(&outcome, 1000, 1400);
}

#[test]
fn a_token_that_fails_once_and_then_hangs_costs_one_second_all_the_same() {
    let instance = Instance::start();
    let slow = emulator::FaultRule::imds(TOKEN, Fault::Status(503)).first(1);
    instance.emulator.fault_rule(slow);
    instance.emulator.fault(TOKEN, Fault::Hang);
    let outcome = instance.login(USER).run();
    assert_eq!(instance.requests(), 2);
    let why = format!(
        "IMDS did not answer the request for {}/latest/api/token within 1000 ms",
        instance.emulator.imds_url()
    );
    outcome.refused(1, &provided_none(&why));
    took(&outcome, 1000, 1400);
}

#[test]
fn each_later_answer_has_a_second_and_a_half() {
    let below = [
        "managed-ssh-keys/active-keys/ec2-user/",
        "instance-id",
        "placement/region",
        "services/domain",
        "managed-ssh-keys/signer-cert/",
        "managed-ssh-keys/signer-ocsp/",
        "managed-ssh-keys/signer-ocsp/<leaf>",
    ];
    side_by_side(below.to_vec(), 7, |below| {
        let instance = with_key();
        let leaf = instance.emulator.pki().leaf.sha1();
        let path = format!("{META_DATA}{}", below.replace("<leaf>", &leaf));
        instance.emulator.fault(&path, Fault::Hang);
        let outcome = instance.login(USER).run();
        let why = format!("IMDS did not answer the request for {path} within 1500 ms");
        outcome.refused(1, &provided_none(&why));
        took(&outcome, 1500, 2200);
    });
}

#[test]
fn retries_have_no_more_time_than_one_answer_has() {
    let instance = with_key();
    instance.emulator.fault(KEYS, Fault::LateClose(milliseconds(800)));
    let outcome = instance.login(USER).run();
    let why = format!("IMDS did not answer the request for {KEYS} within 1500 ms");
    outcome.refused(1, &provided_none(&why));
    took(&outcome, 1500, 2200);
}

#[test]
fn an_answer_within_its_time_is_good_however_slow() {
    let instance = with_key();
    instance.emulator.fault(TOKEN, Fault::Delay(milliseconds(700)));
    instance.emulator.fault(KEYS, Fault::Delay(milliseconds(1200)));
    let outcome = instance.login(USER).run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
    took(&outcome, 1900, 2700);
}

#[test]
fn on_xen_an_instance_id_that_hangs_ends_within_its_time_and_is_the_cause() {
    let instance = with_key();
    let path = format!("{META_DATA}instance-id");
    instance.emulator.fault(&path, Fault::Hang);
    let Some(login) = on_xen(&instance, &CloudInit::Absent) else {
        return;
    };
    let outcome = login.run();
    let why = format!("IMDS did not answer the request for {path} within 1500 ms");
    outcome.refused(1, &provided_none(&why));
    took(&outcome, 1500, 2200);
}

#[test]
fn everything_together_ends_within_five_seconds() {
    let instance = with_key();
    instance.emulator.fault(TOKEN, Fault::Delay(milliseconds(900)));
    instance.emulator.fault("/", Fault::Delay(milliseconds(1400)));
    let outcome = instance.login(USER).run();
    outcome.refused(1, &provided_none("IMDS took longer than the timeout of 5 s"));
    took(&outcome, 4500, 5050);
}

#[test]
fn a_shorter_limit_is_kept() {
    let instance = with_key();
    instance.emulator.set_latency(milliseconds(350));
    let outcome = instance.login(USER).option("--timeout", "1").run();
    outcome.refused(1, &provided_none("IMDS took longer than the timeout of 1 s"));
    took(&outcome, 600, 1050);
    let outcome = instance.login(USER).option("--timeout", "3").run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed(), "{outcome:?}");
}

#[test]
fn a_silent_imds_at_the_shortest_limit_ends_at_that() {
    let instance = Instance::start();
    let silent = SilentListener::new().unwrap();
    let login = instance.login(USER).option("--imds-endpoint", silent.url());
    let outcome = login.option("--timeout", "1").run();
    assert!(outcome.said().starts_with(&provided_none("")), "{outcome:?}");
    outcome.is(1, "", outcome.said());
    took(&outcome, 600, 1050);
}
