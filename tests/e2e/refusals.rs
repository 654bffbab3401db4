//! Logins that must be refused, each with what the logs then contain.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use emulator::instance::{Machine, write_sysfs};
use emulator::staple::Status;
use emulator::{Listener, RecordTemplate, now};

use crate::child::{run, wait_for};
use crate::dev_log::LogLine;
use crate::key::KeyPair;
use crate::ssh::{Ssh, at_home};
use crate::tools::ROOTS;
use crate::world::{INSTANCE, Setup, USER, World, in_a_world};

/// The start of the line about a refused record.
fn refused(key: &KeyPair) -> String {
    format!(
        "Refused ssh key with fingerprint: {} for user {USER}: ",
        key.fingerprint()
    )
}

/// Asserts that sshd accepted the program's output: it ran, and exited with status 0.
fn assert_sshd_is_content(world: &World) {
    let complaint = |line: &LogLine| line.is_sshd() && line.text.contains("AuthorizedKeysCommand");
    let lines = world.lines();
    assert!(!lines.iter().any(complaint), "{lines:#?}");
}

#[test]
fn another_key_is_not_let_in() {
    in_a_world(Setup::default(), |world| {
        let (pushed, offered) = (KeyPair::ed25519(), KeyPair::ed25519());
        world.push(USER, &pushed);
        world.assert_denied(&Ssh::to(USER).with(&offered).run());
        world.assert_logged(&format!("Failed publickey for {USER} from "));
        // The program looked for the key; an offered key other than the pushed one is not a refusal.
        let fingerprint = offered.fingerprint();
        let looked_for = format!("Querying EC2 Instance Connect keys for matching fingerprint: {fingerprint}");
        world.assert_logged(&looked_for);
        assert_eq!(world.said(), [looked_for]);
        assert_sshd_is_content(world);
    });
}

#[test]
fn a_key_pushed_for_another_user_is_not_let_in() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.push("ubuntu", &key);
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        // Nobody pushed a key for this user: IMDS says so, and nothing is logged.
        let requests = world.emulator.requests();
        let keys = requests.iter().filter(|request| request.path.contains("active-keys"));
        let answers: Vec<_> = keys.map(|request| (request.path.as_str(), request.status)).collect();
        assert_eq!(
            answers,
            [("/latest/meta-data/managed-ssh-keys/active-keys/ec2-user/", 404)]
        );
        assert_eq!(world.said(), [""; 0]);
        assert_sshd_is_content(world);
    });
}

#[test]
fn a_key_is_let_in_until_its_seconds_are_over_and_not_after() {
    let mut setup = Setup::default();
    // Instead of 60 seconds: long enough for a login on a busy machine.
    let lifetime = Duration::from_secs(8);
    setup.emulator.key_lifetime = lifetime;
    in_a_world(setup, move |world| {
        let key = KeyPair::ed25519();
        let pushed = Instant::now();
        let request = world.push(USER, &key);
        let path = "managed-ssh-keys/active-keys/ec2-user/";
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
        while pushed.elapsed() < lifetime + Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(50));
        }
        world.emulator.clear_requests();
        let provided = world.said().len();
        let login = Ssh::to(USER).with(&key).run();
        assert_eq!(login.status, Some(255), "{login:#?}");
        // The service has removed the key.
        let requests = world.emulator.requests();
        let asked = requests.iter().find(|request| request.path.ends_with(path));
        assert_eq!(asked.map(|request| request.status), Some(404));
        assert_eq!(world.said().len(), provided, "{:?}", world.said());
    });
}

#[test]
fn a_record_that_is_still_served_after_its_seconds_is_refused() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.publish(USER, &RecordTemplate::new(now() - 12, INSTANCE, &key.line));
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        world.assert_logged(&format!("{}record expired 1", refused(&key)));
        assert_sshd_is_content(world);
    });
}

#[test]
fn a_record_for_another_instance_is_refused() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.publish(USER, &RecordTemplate::new(now() + 60, "i-0fedcba9876543210", &key.line));
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        world.assert_logged(&format!(
            "{}record is for instance i-0fedcba9876543210, but this is ",
            refused(&key)
        ));
        assert_sshd_is_content(world);
    });
}

#[test]
fn a_key_of_a_revoked_signer_is_not_let_in() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        let request = world.push(USER, &key);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
        let pki = world.emulator.pki();
        let staple = pki.staple(&pki.leaf).with_status(Status::Revoked(now() - 7200)).sign();
        world.emulator.with_imds(|imds| imds.serve_staple(&pki.leaf, &staple));
        let login = Ssh::to(USER).with(&key).run();
        assert_eq!(login.status, Some(255), "{login:#?}");
        let signer = "managed-ssh-signer.us-west-2.amazonaws.com";
        world.assert_logged(&format!(
            "Provided no ssh key for user {USER}: OCSP response for \"{signer}\" reports that the certificate was revoked 2 h ago"
        ));
        // The signer does not verify, so the status is 1.
        world.assert_logged("failed, status 1");
    });
}

#[test]
fn a_root_that_is_not_in_the_store_lets_nobody_in() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.push(USER, &key);
        let store = fs::read_to_string(ROOTS).expect("the OS has a store");
        let ours = world.emulator.pki().root.pem();
        assert!(store.ends_with(&ours));
        fs::write(ROOTS, store.replace(&ours, "")).expect("it is a copy");
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        world.assert_logged(&format!("Provided no ssh key for user {USER}: "));
        world.assert_logged("failed, status 1");
    });
}

#[test]
fn a_machine_that_is_no_instance_lets_nobody_in_and_asks_nobody() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.push(USER, &key);
        write_sysfs("/sys".as_ref(), &Machine::Other).expect("it is ours");
        world.emulator.clear_requests();
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        assert_eq!(world.emulator.imds_paths(), [""; 0]);
        assert_sshd_is_content(world);
    });
}

#[test]
fn a_failed_login_can_be_told_in_three_logs_side_by_side() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.publish(USER, &RecordTemplate::new(now() + 60, "i-0fedcba9876543210", &key.line));
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        world.assert_logged("Refused ssh key");
        world.assert_logged("Failed publickey");
        let report = world.report();
        let columns = |row: &str| row.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows: Vec<_> = report.lines().map(columns).collect();
        assert_eq!(rows[0].last().map(String::as_str), Some("requests to the emulator"));
        for (column, start) in [(1, "Failed publickey for"), (2, "Refused ssh key with"), (3, "imds")] {
            let found = rows
                .iter()
                .any(|row| row.get(column).is_some_and(|cell| cell.starts_with(start)));
            assert!(found, "no {start:?} in column {column} of\n{report}");
        }
    });
}

#[test]
fn users_that_are_not_there_are_never_asked_for() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.push("nobody-here", &key);
        world.emulator.clear_requests();
        world.assert_denied(&Ssh::to("nobody-here").with(&key).run());
        let seen = wait_for(Duration::from_secs(5), || {
            let lines = world.lines();
            lines
                .iter()
                .any(|line| line.text.contains("Invalid user nobody-here"))
                .then_some(())
        });
        assert!(seen.is_some(), "{:#?}", world.lines());
        let imds = world.emulator.requests();
        assert!(
            !imds.iter().any(|request| request.listener == Listener::Imds),
            "{imds:#?}"
        );
    });
}

#[test]
fn sshd_does_not_run_the_program_where_others_may_write_to_its_folder() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        world.push(USER, &key);
        run(at_home("chmod").args(["o+w", "/opt/aws"]), Duration::from_secs(5)).success();
        world.emulator.clear_requests();
        world.assert_denied(&Ssh::to(USER).with(&key).run());
        world.assert_logged("bad ownership or modes for directory /opt/aws");
        assert_eq!(world.emulator.imds_paths(), [""; 0]);
    });
}
