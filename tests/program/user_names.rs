//! User names of any bytes: those that can have a key are sent unchanged, all others are never sent.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use emulator::Fault;
use emulator::imds::ACTIVE_KEYS;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Instance, USER};
use crate::keys::PublicKey;

const KEYS: &str = "/latest/meta-data/managed-ssh-keys/active-keys/";

#[test]
fn a_name_that_cannot_have_a_key_costs_no_request() {
    let instance = Instance::start();
    let forty = "a".repeat(40);
    let names: [&[u8]; 28] = [
        b"",
        b".",
        b"..",
        b"../x",
        b"../ec2-user",
        b"a/b",
        b"/ec2-user",
        b"ec2-user/",
        b"./ec2-user",
        b"ec2-user/../root",
        b"DOMAIN\\user",
        b"-x",
        b"--help",
        b"--version",
        b"--imds-endpoint",
        b"--",
        b"-",
        b"ec2 user",
        b"ec2-user\n",
        b"ec2%2duser",
        b"%65c2-user",
        b"ec2-user?x",
        b"ec2-user#x",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
        b"123",
        "ec\u{b2}-user".as_bytes(),
        b"\xff\xfe\x80",
        forty.as_bytes(),
    ];
    for name in names {
        let login = instance.login(OsStr::from_bytes(name)).offering("SHA256:abc");
        let outcome = login.run();
        assert!(
            outcome.said().starts_with("no key can be pushed for user \""),
            "{name:?}: {outcome:?}"
        );
        outcome.is(0, "", outcome.said());
    }
    assert_eq!(instance.requests(), 0, "{:?}", instance.emulator.imds_paths());
}

#[test]
fn such_a_name_is_the_reason_on_a_machine_that_is_no_instance_too() {
    let instance = Instance::start();
    let nothing = instance.folder.path().join("nothing");
    let login = instance.login("../x").option("--sysfs", nothing);
    login.run().no_such_name("../x");
}

#[test]
fn a_name_that_can_have_a_key_goes_onto_the_wire_byte_for_byte() {
    for name in [
        "ec2-user",
        "user@example.com",
        "first.last",
        "a..b",
        "with_underscore",
        "_apt",
        "machine$",
        "1a",
        "00-x",
        "UPPER",
        "a.",
        "a@@b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$",
    ] {
        let instance = Instance::start();
        let key = PublicKey::ed25519(1);
        instance.emulator.push(name, &key.line());
        let outcome = instance.login(name).run();
        assert_eq!(outcome.printed(), key.printed(), "{name}");
        let paths = instance.emulator.imds_paths();
        assert_eq!(paths[1], format!("GET {KEYS}{name}/"));
    }
}

/// Characters with a special meaning in a URL, to an option parser or in a log.
#[test]
fn whatever_the_name_is_only_itself_is_asked_for() {
    let instance = Instance::start();
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    });
    let names = "[a-c1\\-./%\\\\@$_?#: \u{7f}é]{0,8}";
    runner
        .run(&names, |name| {
            instance.emulator.clear_requests();
            let outcome = instance.login(&name).offering("SHA256:abc").run();
            prop_assert_eq!(outcome.status.code(), Some(0), "{:?}", outcome);
            prop_assert!(outcome.stdout.is_empty(), "{:?}", outcome);
            prop_assert!(
                outcome.said().starts_with("no key ") && outcome.said().lines().count() == 1,
                "{:?}",
                outcome
            );
            let paths = instance.emulator.imds_paths();
            let sent = format!("GET {KEYS}{name}/");
            prop_assert!(
                paths.is_empty() || paths == ["PUT /latest/api/token".to_owned(), sent],
                "{:?}",
                paths
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn keys_of_one_user_are_never_another_s() {
    let instance = Instance::start();
    instance.emulator.push("root", &PublicKey::ed25519(1).line());
    for name in ["roo", "roott", "Root", "root.", "root$"] {
        let why = format!("no key was pushed for user {name} ");
        let outcome = instance.login(name).run();
        assert!(outcome.said().starts_with(&why), "{outcome:?}");
        outcome.is(0, "", outcome.said());
    }
}

#[test]
fn a_redirect_to_another_user_s_keys_is_not_followed() {
    let instance = Instance::start();
    instance.emulator.push("other", &PublicKey::ed25519(1).line());
    let here = format!("{KEYS}{USER}/");
    let other = format!("/latest/meta-data/{ACTIVE_KEYS}other/");
    for location in [other.clone(), format!("{}{other}", instance.emulator.imds_url())] {
        instance.emulator.clear_requests();
        instance.emulator.clear_faults();
        instance.emulator.fault(&here, Fault::Redirect(location));
        let outcome = instance.login(USER).run();
        let line = "Provided no ssh key for user ec2-user: IMDS returned HTTP status 302 for \
                    /latest/meta-data/managed-ssh-keys/active-keys/ec2-user/";
        outcome.refused(1, line);
        assert_eq!(instance.requests(), 2);
    }
}
