//! Blocking work: FIFOs in place of files, readers that do not read, systems on which no thread can be started.

use std::fs;
use std::io::pipe;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::environment::as_another_user;
use crate::harness::{Instance, Login, Outcome, USER, finish, not_ec2, provided_none};
use crate::keys::{PublicKey, providing};
use crate::surroundings::{full_pipe, have, is_root, skipped};

const ALARM: i32 = 14;

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo (package coreutils)");
}

#[test]
fn a_fifo_as_trust_store_is_an_error_at_once() {
    let instance = with_key();
    let fifo = instance.folder.path().join("fifo.pem");
    make_fifo(&fifo);
    let outcome = instance.login(USER).option("--trust-store", &fifo).run();
    let why = format!("cannot read trust store {}: it is not a regular file", fifo.display());
    outcome.refused(1, &provided_none(&why));
    assert!(outcome.duration < milliseconds(900), "{outcome:?}");
}

#[test]
fn a_fifo_among_the_roots_of_a_folder_is_passed_over() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let store = instance.folder.path().join("certs");
    fs::create_dir(&store).unwrap();
    make_fifo(&store.join("a.pem"));
    fs::copy(&instance.files.roots, store.join("b.pem")).unwrap();
    let outcome = instance.login(USER).option("--trust-store", &store).run();
    outcome.is(0, &key.printed(), &providing(&key, &request));
}

#[test]
fn an_endless_device_as_trust_store_is_an_error_at_once() {
    let instance = with_key();
    let outcome = instance.login(USER).option("--trust-store", "/dev/zero").run();
    outcome.refused(
        1,
        &provided_none("cannot read trust store /dev/zero: it is not a regular file"),
    );
}

#[test]
fn a_trust_store_of_more_than_4_mib_is_not_read() {
    let instance = with_key();
    let large = instance.folder.path().join("large.pem");
    let roots = fs::read(&instance.files.roots).unwrap();
    fs::write(&large, [roots, vec![b'\n'; 4 * 1024 * 1024]].concat()).unwrap();
    let outcome = instance.login(USER).option("--trust-store", &large).run();
    let why = format!(
        "cannot read trust store {}: it is larger than 4194304 bytes",
        large.display()
    );
    outcome.refused(1, &provided_none(&why));
}

#[test]
fn a_fifo_in_place_of_what_the_firmware_says_says_nothing() {
    let instance = with_key();
    let sysfs = instance.folder.path().join("fifos");
    for file in ["devices/virtual/dmi/id/board_asset_tag", "hypervisor/uuid"] {
        let file = sysfs.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        make_fifo(&file);
    }
    let outcome = instance.login(USER).option("--sysfs", &sysfs).run();
    outcome.refused(0, &not_ec2(&sysfs));
    assert!(outcome.duration < milliseconds(900), "{outcome:?}");
}

/// Runs it with that standard output and standard error.
fn run_into(login: &Login, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Outcome {
    finish(login.command().stdout(stdout).stderr(stderr))
}

#[test]
fn a_stdout_that_nobody_reads_ends_at_the_deadline_with_the_cause() {
    let instance = with_key();
    let (_reader, full) = full_pipe();
    let login = instance.login(USER).option("--timeout", "1");
    let outcome = run_into(&login, full, Stdio::piped());
    outcome.refused(
        1,
        "timed out after 1 s while writing keys to standard output, which no process is reading",
    );
    assert!(
        (milliseconds(800)..milliseconds(1100)).contains(&outcome.duration),
        "{outcome:?}"
    );
}

#[test]
fn a_stderr_that_nobody_reads_keeps_no_key_back_and_ends_the_call() {
    let key = PublicKey::ed25519(1);
    let instance = with_key();
    let (_reader, full) = full_pipe();
    let login = instance.login(USER).option("--timeout", "1");
    let outcome = run_into(&login, Stdio::piped(), full);
    assert_eq!(outcome.printed(), key.printed());
    // Nothing can be printed any more.
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.duration < milliseconds(1100), "{outcome:?}");
}

#[test]
fn with_neither_stdout_nor_stderr_read_the_call_ends_too() {
    let instance = with_key();
    let (_reader, full) = full_pipe();
    let login = instance.login(USER).option("--timeout", "1");
    let outcome = run_into(&login, full.try_clone().unwrap(), full);
    assert_ne!(outcome.status.code(), Some(0), "{outcome:?}");
    // Printing the last message may take one second; then the alarm ends the program.
    assert!(outcome.duration < milliseconds(2100), "{outcome:?}");
}

#[test]
fn a_closed_stdout_is_no_error_and_no_signal() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let outcome = run_into(&instance.login(USER), writer, Stdio::piped());
    outcome.is(0, "", &providing(&key, &request));
}

#[test]
fn a_closed_stderr_is_no_error_and_no_signal() {
    let instance = with_key();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let outcome = run_into(&instance.login(USER), Stdio::piped(), writer);
    outcome.is(0, &PublicKey::ed25519(1).printed(), "");
}

#[test]
fn descriptors_that_are_not_even_open_are_no_error() {
    let instance = with_key();
    let login = instance
        .login(USER)
        .wrapped(["/bin/sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]);
    login.run().is(0, "", "");
    let login = instance
        .login(USER)
        .wrapped(["/bin/sh", "-c", "exec \"$0\" \"$@\" <&- 2>&-"]);
    login.run().is(0, &PublicKey::ed25519(1).printed(), "");
}

#[test]
fn a_full_device_as_stdout_is_a_failure_that_says_so() {
    let instance = with_key();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let outcome = run_into(&instance.login(USER), full, Stdio::piped());
    let line = outcome.said().lines().last();
    assert_eq!(
        line,
        Some("cannot write the keys to standard output: No space left on device (os error 28)")
    );
    assert_eq!(outcome.status.code(), Some(1));
}

/// A login in which no thread can be started.
fn without_threads(instance: &Instance) -> Option<(Login, tempfile::TempDir)> {
    if !have("prlimit") || is_root() && !have("setpriv") {
        skipped("where no thread can be started: no prlimit or setpriv (package util-linux)");
        return None;
    }
    let (login, folder) = as_another_user(instance.login(USER), ["prlimit", "--nproc=1:1"]);
    Some((login, folder))
}

#[test]
fn a_key_is_printed_where_no_thread_can_be_started() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let Some((login, _folder)) = without_threads(&instance) else {
        return;
    };
    login.run().is(0, &key.printed(), &providing(&key, &request));
}

#[test]
fn where_no_thread_can_be_started_an_alarm_keeps_the_deadline() {
    let instance = with_key();
    let Some((login, _folder)) = without_threads(&instance) else {
        return;
    };
    let (_reader, full) = full_pipe();
    let outcome = run_into(&login.option("--timeout", "1"), full, Stdio::piped());
    assert_eq!(outcome.status.signal(), Some(ALARM), "{outcome:?}");
    assert!(
        (milliseconds(950)..milliseconds(1500)).contains(&outcome.duration),
        "{outcome:?}"
    );
}

#[test]
fn where_no_thread_can_be_started_an_imds_that_hangs_ends_as_ever() {
    let instance = with_key();
    let Some((login, _folder)) = without_threads(&instance) else {
        return;
    };
    instance.emulator.set_latency(milliseconds(350));
    let outcome = login.option("--timeout", "1").run();
    outcome.refused(1, &provided_none("IMDS took longer than the timeout of 1 s"));
}

#[test]
fn with_few_descriptors_a_call_ends_well_or_says_why_it_cannot() {
    if !have("prlimit") {
        return skipped("few descriptors: no prlimit (package util-linux)");
    }
    let instance = with_key();
    let printed = PublicKey::ed25519(1).printed();
    let mut good = 0;
    for limit in 4..=16 {
        let limit = format!("--nofile={limit}");
        let outcome = instance.login(USER).wrapped(["prlimit", &limit]).run();
        let said = outcome.said();
        assert!(!said.contains("panicked"), "{limit}: {outcome:?}");
        if outcome.status.success() && outcome.printed() == printed {
            good += 1;
            continue;
        }
        // sysfs could not be read, or no socket could be opened.
        let why = ["this is not an EC2 instance", "Provided no ssh key for user ec2-user: "];
        assert!(why.iter().any(|why| said.starts_with(why)), "{limit}: {outcome:?}");
        assert_eq!(outcome.printed(), "", "{limit}: {outcome:?}");
    }
    assert!(good > 0);
}
