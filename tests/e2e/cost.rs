//! The time that a login takes, and the one second that an IMDS that hangs may add.

use std::time::Duration;

use emulator::Fault;

use crate::child::{Outcome, run};
use crate::key::KeyPair;
use crate::machine::PROGRAM;
use crate::namespaces::{IPV4, IPV6, drop_what_is_sent_to};
use crate::ssh::{PATIENCE, Ssh, at_home};
use crate::world::{Setup, USER, World, in_a_world};

/// How many logins of each kind are measured.
const LOGINS: usize = 21;

/// An IMDS that never answers must cost one second per call.
const RULE: Duration = Duration::from_secs(1);
/// The time that starting processes on a busy machine may add.
const SLACK: Duration = Duration::from_millis(600);
/// sshd hides how long it looked for a key: it answers an offer only after some 5 to 9 ms, doubled until that is longer
/// than the look took (OpenSSH auth2.c, `ensure_minimum_time_since`). A second of ours is up to two of the login's.
const ROUNDED_UP: u32 = 2;

fn alone() -> Setup {
    Setup {
        alone: true,
        ..Setup::default()
    }
}

/// The fastest of three runs, because other load can only add time.
fn quickest(world: &World, keys: &[&KeyPair]) -> Duration {
    let times = std::iter::repeat_with(|| in_with(world, keys).duration).take(3);
    times.min().unwrap_or_default()
}

fn in_with(world: &World, keys: &[&KeyPair]) -> Outcome {
    world.emulator.clear_requests();
    let ssh = keys.iter().fold(Ssh::to(USER), |ssh, key| ssh.with(key));
    let login = ssh.run();
    assert_eq!(login.success().trim(), USER);
    login
}

/// The program alone, as sshd starts it, with an IMDS that does not answer; the fastest of three runs.
fn call(world: &World, key: &KeyPair) -> Duration {
    let calls = std::iter::repeat_with(|| {
        let outcome = run(at_home(PROGRAM).args([USER, &key.fingerprint()]), PATIENCE);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
        assert!(outcome.stderr.contains("IMDS did not answer"), "{outcome:?}");
        outcome.duration
    });
    let quickest = calls.take(3).min().unwrap_or_default();
    world.assert_logged("IMDS did not answer");
    quickest
}

#[test]
fn an_ordinary_login_waits_for_no_imds_that_hangs() {
    in_a_world(alone(), |world| {
        let (own, stranger) = (KeyPair::ed25519(), KeyPair::ed25519());
        world.authorize(USER, &own);
        let usual = quickest(world, &[&own]);
        world.emulator.fault("/", Fault::Hang);
        let call = call(world, &own);
        assert!(call > RULE - SLACK && call < RULE + SLACK, "{call:?}");
        // sshd reads authorized_keys first, and does not run the program for a key that it finds there.
        let hanging = quickest(world, &[&own]);
        assert_eq!(world.emulator.imds_paths(), [""; 0]);
        assert!(hanging < usual + SLACK, "{usual:?} {hanging:?}");
        // For each key offered before that one, sshd runs the program once.
        let behind_another = quickest(world, &[&stranger, &own]);
        assert!(!world.emulator.imds_paths().is_empty());
        let cost = behind_another.saturating_sub(usual);
        assert!(
            cost > RULE - SLACK && cost < RULE * ROUNDED_UP + SLACK,
            "{usual:?} {behind_another:?}"
        );
        world.assert_logged("failed, status 1");
        println!(
            "MEASURED: IMDS hangs: a call of the program {} ms; a login by authorized_keys {} ms, as ever ({} ms), and {} ms behind \
             a key that is not in there",
            call.as_millis(),
            hanging.as_millis(),
            usual.as_millis(),
            behind_another.as_millis()
        );
    });
}

#[test]
fn an_ordinary_login_waits_no_longer_for_an_imds_that_is_not_there_at_all() {
    in_a_world(alone(), |world| {
        let (own, stranger) = (KeyPair::ed25519(), KeyPair::ed25519());
        world.authorize(USER, &own);
        let usual = quickest(world, &[&own]);
        drop_what_is_sent_to(&[IPV4[0], IPV6[0]]);
        let call = call(world, &own);
        assert!(call > RULE - SLACK && call < RULE + SLACK, "{call:?}");
        let behind_another = quickest(world, &[&stranger, &own]);
        assert_eq!(world.emulator.imds_paths(), [""; 0]);
        let cost = behind_another.saturating_sub(usual);
        assert!(cost < RULE * ROUNDED_UP + SLACK, "{usual:?} {behind_another:?}");
        println!(
            "MEASURED: no IMDS at all: a call of the program {} ms, a login behind another key {} ms ({} ms otherwise)",
            call.as_millis(),
            behind_another.as_millis(),
            usual.as_millis()
        );
    });
}

#[test]
fn the_median_login_is_measured_beside_a_plain_authorized_keys_file() {
    in_a_world(alone(), |world| {
        let (own, pushed) = (KeyPair::ed25519(), KeyPair::ed25519());
        world.authorize(USER, &own);
        let mut plain = Vec::new();
        let mut ours = Vec::new();
        // Alternate, so that other load affects both.
        for _ in 0..LOGINS {
            plain.push(in_with(world, &[&own]).duration);
            assert_eq!(world.emulator.imds_paths(), [""; 0]);
            let request = world.push(USER, &pushed);
            let login = in_with(world, &[&pushed]);
            world.assert_trail(USER, &pushed.fingerprint(), &request);
            ours.push(login.duration);
            world.emulator.with_imds(|imds| imds.unpublish(USER));
        }
        let [plain, ours] = [&mut plain, &mut ours].map(|times| median(times).as_secs_f64() * 1000.0);
        println!(
            "MEASURED: median login of {LOGINS}: authorized_keys file {plain:.1} ms, EC2 Instance Connect {ours:.1} ms \
             ({:+.1} ms)",
            ours - plain
        );
    });
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
