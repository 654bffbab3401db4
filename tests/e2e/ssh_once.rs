//! `packaging/examples/ssh-once`: it makes a key, pushes it, uses it once, and always deletes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::aws::{PATIENCE, client, with_clients};
use crate::child::{Outcome, Running, run, wait_for};
use crate::namespaces::{SCRATCH, has_ipv6};
use crate::ssh::DENIED;
use crate::tools::{repository, skipped};
use crate::world::{INSTANCE, Setup, USER, World};

fn script() -> PathBuf {
    repository().join("packaging/examples/ssh-once")
}

/// The temporary directory of the script's keys, with a name that must be quoted.
fn temporary() -> PathBuf {
    let folder = Path::new(SCRATCH).join("temporary *");
    fs::create_dir_all(&folder).expect("the folder is ours");
    folder
}

fn command(world: &World, venv: &Path, arguments: &[&str]) -> Command {
    // A shell cannot trap a signal that is ignored when it starts, as SIGINT is for background processes.
    let mut command = client(world, venv, "env", true);
    command
        .env("TMPDIR", temporary())
        .args(["--default-signal", "sh"])
        .arg(script())
        .args(arguments);
    command
}

fn once(world: &World, venv: &Path, arguments: &[&str]) -> Outcome {
    run(&mut command(world, venv, arguments), PATIENCE)
}

/// Whether any file of the script is left.
fn keys() -> usize {
    fs::read_dir(temporary()).expect("the folder is ours").count()
}

/// The request ID that the script prints.
fn request(outcome: &Outcome) -> &str {
    let line = outcome
        .stderr
        .lines()
        .find(|line| line.starts_with("ssh-once: pushed a key"));
    let line = line.unwrap_or_else(|| panic!("{outcome:#?}"));
    line.rsplit(' ').next().unwrap_or_default()
}

/// Follows the log from sshd's line, because the key has been deleted.
fn assert_trail(world: &World, user: &str, outcome: &Outcome) {
    world.assert_logged(&format!("Accepted publickey for {user} from"));
    let fingerprint = world.lines().into_iter().find_map(|line| {
        let accepted = line.text.starts_with("Accepted publickey");
        accepted.then(|| line.text.rsplit(' ').next().unwrap_or_default().to_owned())
    });
    world.assert_trail(user, &fingerprint.expect("it was just there"), request(outcome));
}

#[test]
fn ssh_once_logs_in_with_a_key_that_is_gone_afterwards() {
    with_clients(Setup::default(), |world, venv| {
        let outcome = once(
            world,
            venv,
            &[
                "-r",
                "us-west-2",
                INSTANCE,
                "id -un; printf '<%s>' 'two  words'; exit 7",
            ],
        );
        assert_eq!(outcome.status, Some(7), "{outcome:#?}");
        assert_eq!(outcome.stdout, format!("{USER}\n<two  words>"));
        assert_eq!(keys(), 0);
        assert_trail(world, USER, &outcome);
    });
}

#[test]
fn ssh_once_hands_its_input_to_the_command() {
    with_clients(Setup::default(), |world, venv| {
        let mut command = command(world, venv, &["-u", "ubuntu", INSTANCE, "wc", "-c"]);
        let outcome = Running::start(&mut command, "twelve bytes").end_within(PATIENCE);
        assert_eq!(outcome.success().trim(), "12", "{outcome:#?}");
        assert_trail(world, "ubuntu", &outcome);
    });
}

fn reaches_the_instance_at(choice: &'static str, address: &'static str) {
    with_clients(Setup::default(), move |world, venv| {
        let outcome = once(world, venv, &["-a", choice, INSTANCE, "echo \"$SSH_CONNECTION\""]);
        let at = outcome.success().split(' ').nth(2).unwrap_or_default().to_owned();
        assert_eq!(at, address, "{outcome:#?}");
        assert_eq!(keys(), 0);
    });
}

#[test]
fn ssh_once_reaches_a_public_address() {
    reaches_the_instance_at("public", "203.0.113.10");
}

#[test]
fn ssh_once_reaches_a_private_address() {
    reaches_the_instance_at("private", "10.0.0.10");
}

#[test]
fn ssh_once_reaches_a_public_name() {
    reaches_the_instance_at("dns", "203.0.113.10");
}

#[test]
fn ssh_once_reaches_an_ipv6_address() {
    if !has_ipv6() {
        return skipped("the kernel has no IPv6");
    }
    reaches_the_instance_at("ipv6", "2001:db8::10");
}

#[test]
fn ssh_once_takes_the_address_that_there_is() {
    let mut setup = Setup::default();
    setup.emulator.addresses.public_ipv4 = None;
    setup.emulator.addresses.public_name = None;
    setup.emulator.addresses.ipv6 = None;
    with_clients(setup, |world, venv| {
        let outcome = once(world, venv, &[INSTANCE, "echo \"$SSH_CONNECTION\""]);
        assert_eq!(outcome.success().split(' ').nth(2), Some("10.0.0.10"), "{outcome:#?}");
        for kind in ["public", "ipv6", "dns"] {
            let outcome = once(world, venv, &["-a", kind, INSTANCE, "true"]);
            assert_eq!(outcome.status, Some(1), "{outcome:#?}");
            assert!(
                outcome.stderr.contains(&format!("{INSTANCE} has no {kind} address")),
                "{outcome:#?}"
            );
        }
        assert_eq!(keys(), 0);
    });
}

#[test]
fn ssh_once_leaves_no_key_where_the_login_fails() {
    with_clients(Setup::default(), |world, venv| {
        // The service accepts a key for a user that does not exist on the instance.
        let outcome = once(world, venv, &["-u", "nobody-here", INSTANCE, "true"]);
        assert_eq!(outcome.status, Some(255), "{outcome:#?}");
        assert!(outcome.stderr.contains(DENIED), "{outcome:#?}");
        assert_eq!(keys(), 0);
        let outcome = once(world, venv, &["-p", "2222", INSTANCE, "true"]);
        assert_eq!(outcome.status, Some(255), "{outcome:#?}");
        assert!(outcome.stderr.contains("Connection refused"), "{outcome:#?}");
        assert_eq!(keys(), 0);
    });
}

#[test]
fn ssh_once_leaves_no_key_where_the_service_refuses() {
    with_clients(Setup::default(), |world, venv| {
        let outcome = once(world, venv, &["i-0fedcba9876543210", "true"]);
        assert_eq!(outcome.status, Some(1), "{outcome:#?}");
        assert!(
            outcome.stderr.contains("i-0fedcba9876543210 could not be looked up"),
            "{outcome:#?}"
        );
        let outcome = once(world, venv, &["-u", "a b", INSTANCE, "true"]);
        assert_eq!(outcome.status, Some(1), "{outcome:#?}");
        assert!(outcome.stderr.contains("InvalidArgsException"), "{outcome:#?}");
        assert!(outcome.stderr.contains("the key could not be pushed"), "{outcome:#?}");
        assert_eq!(keys(), 0);
    });
}

#[test]
fn ssh_once_leaves_neither_key_nor_session_where_it_is_interrupted() {
    with_clients(Setup::default(), |world, venv| {
        for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
            let sessions = || {
                world
                    .lines()
                    .iter()
                    .filter(|line| line.text.starts_with("Starting session"))
                    .count()
            };
            let before = sessions();
            let session = Running::start(&mut command(world, venv, &[INSTANCE, "exec sleep 50"]), "");
            wait_for(PATIENCE, || (sessions() > before).then_some(())).expect("the session begins");
            assert_eq!(keys(), 1, "while it runs there is a key, or this test tells nothing");
            session.signal(signal);
            let signalled = Instant::now();
            let outcome = session.end_within(PATIENCE);
            assert!(signalled.elapsed() < Duration::from_secs(10), "{outcome:#?}");
            assert_eq!(outcome.status, Some(status), "{outcome:#?}");
            assert_eq!(keys(), 0, "{signal}");
        }
    });
}

#[test]
fn ssh_once_explains_itself_to_those_who_call_it_wrongly() {
    with_clients(Setup::default(), |world, venv| {
        for words in [&[][..], &["-x", INSTANCE], &["-u"]] {
            let outcome = once(world, venv, words);
            assert_eq!(outcome.status, Some(2), "{outcome:#?}");
            assert!(outcome.stderr.contains("usage: ssh-once"), "{outcome:#?}");
        }
        assert_eq!(world.emulator.requests().len(), 0);
    });
}

/// shellcheck finds unquoted words and misspelt names.
#[test]
fn the_shell_scripts_are_clean() {
    let shellcheck = "/usr/bin/shellcheck";
    if !Path::new(shellcheck).exists() {
        return skipped("no /usr/bin/shellcheck (package shellcheck)");
    }
    let install = repository().join("tests/e2e/install");
    let mut command = Command::new(shellcheck);
    run(
        command
            .args(["--shell", "sh", "--enable", "all", "--exclude", "SC2250,SC2310,SC2312"])
            .arg(script())
            .arg(install),
        PATIENCE,
    )
    .success();
}
