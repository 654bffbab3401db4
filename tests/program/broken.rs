//! Connections that break before an answer is complete: the request is sent again, over a new connection.

use emulator::imds::{META_DATA, SIGNER_OCSP, TOKEN};
use emulator::{Fault, FaultRule, Share};

use crate::harness::{Instance, USER, provided_none};
use crate::keys::PublicKey;
use crate::surroundings::side_by_side;

/// Every way in which a connection can break.
const BREAKS: [Fault; 5] = [Fault::Reset, Fault::Close, Fault::CutHead, Fault::Cut, Fault::ResetBody];

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

/// The requests of a call, one path each.
fn paths(instance: &Instance) -> Vec<String> {
    let leaf = instance.emulator.pki().leaf.sha1();
    let below = [
        "managed-ssh-keys/active-keys/ec2-user/".to_owned(),
        "instance-id".to_owned(),
        "placement/region".to_owned(),
        "services/domain".to_owned(),
        "managed-ssh-keys/signer-cert/".to_owned(),
        SIGNER_OCSP.to_owned(),
        format!("{SIGNER_OCSP}{leaf}"),
    ];
    let below = below.iter().map(|path| format!("{META_DATA}{path}"));
    [TOKEN.to_owned()].into_iter().chain(below).collect()
}

#[track_caller]
fn prints_the_key(instance: &Instance, what: &str) {
    let outcome = instance.login(USER).run();
    assert_eq!(
        outcome.printed(),
        PublicKey::ed25519(1).printed(),
        "{what}: {outcome:?}"
    );
}

#[test]
fn a_connection_that_breaks_twice_is_cured_by_a_third_on_any_path() {
    side_by_side(BREAKS.to_vec(), 2, |fault| {
        let instance = with_key();
        for path in paths(&instance) {
            instance.emulator.clear_faults();
            let rule = FaultRule::imds(&path, fault.clone()).first(2);
            instance.emulator.fault_rule(rule);
            prints_the_key(&instance, &format!("{} on {path}", fault.name()));
        }
    });
}

#[test]
fn a_connection_that_breaks_a_third_time_is_a_failure_that_says_so() {
    for fault in BREAKS {
        let instance = with_key();
        let path = format!("{META_DATA}instance-id");
        instance.emulator.fault(&path, fault.clone());
        let outcome = instance.login(USER).run();
        let why = format!("the connection to IMDS was closed before the request for {path} was answered: ");
        assert!(outcome.said().starts_with(&provided_none(&why)), "{outcome:?}");
        outcome.is(1, "", outcome.said());
        let asked = instance.emulator.imds_paths();
        let times = asked.iter().filter(|asked| asked.ends_with(&path)).count();
        assert_eq!(times, 3, "{}: {asked:?}", fault.name());
    }
}

#[test]
fn a_server_that_closes_without_a_word_after_each_answer_loses_no_call() {
    let instance = with_key();
    instance.emulator.fault("/", Fault::CloseAfter);
    for call in 0..100 {
        prints_the_key(&instance, &format!("call {call}"));
    }
}

#[test]
fn after_a_break_no_connection_is_used_twice() {
    let instance = with_key();
    let keys = FaultRule::imds(&paths(&instance)[1], Fault::Close).first(1);
    instance.emulator.fault_rule(keys);
    prints_the_key(&instance, "closed once");
    let requests = instance.emulator.requests();
    let mut connections: Vec<_> = requests.iter().skip(2).map(|request| request.connection).collect();
    connections.sort();
    let all = connections.len();
    connections.dedup();
    assert_eq!(connections.len(), all, "{:?}", instance.emulator.imds_paths());
}

/// How many of 150 calls print no key.
fn lost(instance: &Instance) -> usize {
    instance.emulator.close_each_connection();
    let key = PublicKey::ed25519(1);
    (0..150)
        .filter(|call| {
            // A pushed key lasts 60 seconds.
            if call % 50 == 0 {
                instance.emulator.with_imds(|imds| imds.unpublish(USER));
                instance.emulator.push(USER, &key.line());
            }
            instance.login(USER).run().printed() != key.printed()
        })
        .count()
}

/// Shows what the retries are for; `retries.rs` explains their number.
#[test]
fn of_150_calls_2_are_lost_where_3_connections_of_100_break_and_8_where_10_do() {
    let cells = [(3, 2), (10, 8)].into_iter().flat_map(|(percent, bound)| {
        let share = Share { percent, seed: 2026 };
        [None, Some(Fault::Reset), Some(Fault::Cut), Some(Fault::Status(503))].map(|fault| (share, fault, bound))
    });
    side_by_side(cells.collect(), 4, |(share, fault, bound)| {
        let instance = Instance::start();
        let what = fault.as_ref().map_or("reset when accepted", Fault::name).to_owned();
        match fault {
            None => instance.emulator.reset_connections(share),
            Some(fault) => instance.emulator.fault_rule(FaultRule::imds("/", fault).share(share)),
        }
        let lost = lost(&instance);
        let percent = share.percent;
        println!("MEASURED: {percent} % of the connections {what}: {lost} of 150 calls lost");
        assert!(lost <= bound, "{percent} % {what}: {lost} calls lost");
    });
}
