//! The CPU time for refusing the most expensive answers is bounded, whoever serves them.

use std::time::Duration;

use eic_verify::{RevocationProblem, SignerRejection};
use emulator::worst::{Worst, all};
use nix::sys::resource::{UsageWho, getrusage};

use crate::judge::{Case, DOMAIN, LEAF, NOW, REGION, pem, revocation, served};

/// The most CPU time that a verdict may take in these tests: ten times that of the release build in `make bench`, because
/// the tests are not optimised.
const MOST: Duration = Duration::from_secs(1);

fn case(worst: &Worst) -> Case {
    Case {
        chain: pem(&worst.chain),
        staples: worst.staples.iter().map(served).collect(),
        store: vec![pem(&worst.pki.anchors)],
        ..Case::of(&worst.pki)
    }
}

/// The CPU time of this thread so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel tells");
    let time = usage.user_time();
    Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).expect("it is not negative"))
}

fn named(name: &str) -> SignerRejection {
    let worst = all(REGION, DOMAIN, NOW);
    let worst = worst
        .iter()
        .find(|worst| worst.name == name)
        .expect("there is one of that name");
    case(worst).refusal()
}

#[test]
fn the_dearest_answers_are_within_what_is_read_and_are_refused_in_little_time() {
    for worst in all(REGION, DOMAIN, NOW) {
        let case = case(&worst);
        assert!(case.chain.len() <= 64 * 1024, "{}: {}", worst.name, case.chain.len());
        for staple in &case.staples {
            assert!(staple.len() <= 16 * 1024, "{}: {}", worst.name, staple.len());
        }
        let before = cpu();
        let refusal = case.refusal();
        let cost = cpu() - before;
        println!("MEASURED: {}: {cost:?}, {refusal}", worst.name);
        assert!(cost < MOST, "{}: {cost:?}, {refusal}", worst.name);
    }
}

#[test]
fn made_up_cas_that_lead_to_no_root_are_not_searched() {
    let refusal = named("made-up CAs that issue each other");
    assert!(matches!(refusal, SignerRejection::NoAnchor { .. }), "{refusal:?}");
}

#[test]
fn made_up_cas_that_could_be_combined_in_many_ways_are_not_searched() {
    for name in [
        "made-up CAs that issue each other, two below the root",
        "made-up CAs that issue each other, far below the root",
        "made-up CAs in two layers below the root",
    ] {
        let refusal = named(name);
        assert_eq!(refusal, SignerRejection::TooManyPaths);
        assert_eq!(refusal.to_string(), "signer certificates form too many possible paths");
    }
}

#[test]
fn staples_of_too_many_made_up_responders_are_not_all_judged() {
    let refusal = named("staples of made-up responders");
    assert_eq!(refusal, revocation(LEAF, RevocationProblem::TooManyChecks(40)));
    assert_eq!(
        refusal.to_string(),
        format!(
            "OCSP response for \"{LEAF}\" was not found within 40 checks: too many responses claim to be signed by its issuer"
        )
    );
}
