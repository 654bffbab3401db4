//! Logins that succeed: every key type, an agent, MD5 fingerprints, `authorized_keys` as well.

use std::path::Path;
use std::time::Duration;

use emulator::{Credentials, Listener};

use crate::child::{Daemon, run, wait_for};
use crate::dev_log::LogLine;
use crate::key::KeyPair;
use crate::namespaces::{SCRATCH, has_ipv6};
use crate::ssh::{DENIED, Ssh, at_home};
use crate::tools::skipped;
use crate::world::{Setup, USER, in_a_world};

fn a_pushed_key_gets_in(make: fn() -> KeyPair) {
    in_a_world(Setup::default(), move |world| {
        let key = make();
        let request = world.push(USER, &key);
        let login = Ssh::to(USER).with(&key).run();
        world.assert_in(&login, USER, &key, &request);
        // Once when the client offers the key, once when it sends the signature.
        let provided = world.said().iter().filter(|line| line.starts_with("Providing")).count();
        assert_eq!(provided, 2);
    });
}

#[test]
fn a_pushed_rsa_2048_key_gets_in() {
    a_pushed_key_gets_in(|| KeyPair::rsa(2048));
}

#[test]
fn a_pushed_rsa_4096_key_gets_in() {
    a_pushed_key_gets_in(|| KeyPair::rsa(4096));
}

#[test]
fn a_pushed_ed25519_key_gets_in() {
    a_pushed_key_gets_in(KeyPair::ed25519);
}

#[test]
fn the_program_asks_imds_at_its_own_address() {
    in_a_world(Setup::default(), |world| {
        let key = KeyPair::ed25519();
        let request = world.push(USER, &key);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
        let requests = world.emulator.requests();
        let mut hosts: Vec<_> = requests
            .iter()
            .filter(|request| request.listener == Listener::Imds)
            .map(|request| request.header("Host").unwrap_or_default().to_owned())
            .collect();
        hosts.dedup();
        assert_eq!(hosts, ["169.254.169.254"]);
    });
}

#[test]
fn a_key_gets_in_where_imds_answers_over_ipv6_alone() {
    if !has_ipv6() {
        return skipped("the kernel has no IPv6");
    }
    let mut setup = Setup::default();
    setup.emulator.imds_addresses.remove(0);
    in_a_world(setup, |world| {
        let key = KeyPair::ed25519();
        let request = world.push(USER, &key);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
        let requests = world.emulator.requests();
        let imds = requests.iter().find(|request| request.listener == Listener::Imds);
        assert_eq!(imds.and_then(|request| request.header("Host")), Some("[fd00:ec2::254]"));
    });
}

#[test]
fn a_key_gets_in_where_sshd_gives_md5_fingerprints() {
    let setup = Setup {
        sshd: "FingerprintHash md5".to_owned(),
        ..Setup::default()
    };
    in_a_world(setup, |world| {
        let (key, other) = (KeyPair::ed25519(), KeyPair::ed25519());
        let request = world.push(USER, &key);
        let login = Ssh::to(USER).with(&key).run();
        assert_eq!(login.success().trim(), USER);
        // The lines of sshd and the program now have different fingerprints. Both are logged; the request ID still links
        // to the push.
        let md5 = key.md5_fingerprint();
        assert!(md5.starts_with("MD5:"), "{md5}");
        world.assert_logged(&format!("ssh2: ED25519 {md5}"));
        world.assert_logged(&format!("for matching fingerprint: {md5}"));
        world.assert_logged(&format!("fingerprint: {}, request-id: {request}, ", key.fingerprint()));
        // An MD5 fingerprint is no filter: the program prints the pushed key for any other key as well; sshd compares.
        let accepted = |line: &LogLine| line.text.starts_with("Accepted publickey");
        let logins = world.lines().iter().filter(|line| accepted(line)).count();
        let denied = Ssh::to(USER).with(&other).run();
        assert!(denied.stderr.contains(DENIED), "{denied:#?}");
        assert_eq!(world.lines().iter().filter(|line| accepted(line)).count(), logins);
    });
}

#[test]
fn a_key_gets_in_that_an_agent_offers_third_of_five() {
    in_a_world(Setup::default(), |world| {
        let keys: Vec<_> = std::iter::repeat_with(KeyPair::ed25519).take(5).collect();
        let request = world.push(USER, &keys[2]);
        let socket = Path::new(SCRATCH).join("agent");
        let socket_text = socket.to_str().expect("the path is text");
        let output = Path::new(SCRATCH).join("agent.output");
        let _agent = Daemon::start(&["/usr/bin/ssh-agent", "-D", "-a", socket_text], &output);
        let patience = Duration::from_secs(10);
        wait_for(patience, || socket.exists().then_some(())).expect("the agent listens");
        let mut add = at_home("ssh-add");
        add.env("SSH_AUTH_SOCK", &socket)
            .arg("-q")
            .args(keys.iter().map(|key| &key.file));
        run(&mut add, patience).success();

        let login = Ssh::to(USER).with_agent(&socket).run();
        world.assert_in(&login, USER, &keys[2], &request);
        let asked = |key: &KeyPair| {
            let line = format!("matching fingerprint: {}", key.fingerprint());
            world.said().iter().filter(|said| said.ends_with(&line)).count()
        };
        // The first two keys are refused; the others are not offered.
        assert_eq!(keys.iter().map(asked).collect::<Vec<_>>(), [1, 1, 2, 0, 0]);
        assert!(
            !world.said().iter().any(|line| line.starts_with("Refused")),
            "{:?}",
            world.said()
        );
    });
}

#[test]
fn a_key_pushed_with_temporary_credentials_gets_in() {
    let mut setup = Setup::default();
    setup.emulator.credentials = Some(Credentials {
        session_token: Some("a-session".to_owned()),
        expires: Some(emulator::now() + 600),
        ..Credentials::random()
    });
    in_a_world(setup, |world| {
        let key = KeyPair::ed25519();
        let request = world.push(USER, &key);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
    });
}
