//! The program's environment (variables, directories, descriptors, users) does not affect what it does.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use emulator::RefusingPort;
use tempfile::TempDir;

use crate::harness::{Instance, Login, USER, program, readable_folder};
use crate::keys::{PublicKey, providing, querying};
use crate::surroundings::{have, is_root, skipped, strace};

/// The call, run by that command, as an unprivileged user if the test runs as root; and values that must outlive it.
pub(crate) fn as_another_user<const N: usize>(login: Login, wrapper: [&str; N]) -> (Login, TempDir) {
    // The target directory may be in a directory that only its owner can read.
    let folder = readable_folder();
    let copy = folder.path().join("eic_run_authorized_keys");
    // By another process: a child that another thread starts meanwhile would inherit the descriptor of a copy made here, and until
    // the child has closed it the copy cannot be executed (ETXTBSY).
    let copied = Command::new("install")
        .args(["-m", "755"])
        .arg(program())
        .arg(&copy)
        .status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "install (package coreutils)"
    );
    let login = login.with_program(&copy).wrapped(wrapper);
    if !is_root() {
        return (login, folder);
    }
    // Each call has its own user, because limits on processes apply to all processes of a user.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let user = (61_000 + std::process::id() % 1000 * 4 + NEXT.fetch_add(1, Ordering::Relaxed)).to_string();
    let login = login.wrapped([
        "setpriv",
        "--reuid",
        &user,
        "--regid",
        &user,
        "--clear-groups",
        "--no-new-privs",
    ]);
    (login, folder)
}

fn expected(key: &PublicKey, request: &str) -> String {
    querying(&key.fingerprint()) + &providing(key, request)
}

#[test]
fn no_environment_variable_changes_what_it_does() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let nobody = RefusingPort::new().unwrap().url();
    let login = instance.login(USER).offering(key.fingerprint());
    let plain = login.run();
    plain.is(0, &key.printed(), &expected(&key, &request));
    let asked = instance.emulator.imds_paths();

    let proxies = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let mut variables: Vec<_> = proxies.iter().map(|name| (*name, nobody.as_str())).collect();
    variables.extend([
        ("no_proxy", "example.com"),
        ("HOME", "/nonexistent"),
        ("PATH", "/nonexistent"),
        ("TMPDIR", "/nonexistent"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "xx_XX.bogus"),
        ("TZ", ":/dev/zero"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
        ("CLICOLOR_FORCE", "1"),
        ("TERM", "xterm"),
        ("COLUMNS", "7"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", nobody.as_str()),
        ("IMDS_ENDPOINT", nobody.as_str()),
        ("EIC_TRUST_STORE", "/nonexistent"),
        ("RES_OPTIONS", "attempts:9 timeout:30"),
        ("SOURCE_DATE_EPOCH", "1"),
    ]);
    instance.emulator.clear_requests();
    let hostile = variables
        .iter()
        .fold(login, |login, (name, value)| login.variable(name, value));
    hostile.run().is(0, &key.printed(), &expected(&key, &request));
    // The staples are requested in parallel: sort them, because their order depends on the scheduler.
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(instance.emulator.imds_paths()), sorted(asked));
}

#[test]
fn the_help_is_the_same_whatever_the_terminal() {
    let help = |variables: &[(&str, &str)]| {
        let mut command = Command::new(program());
        command.arg("--help").env_clear().envs(variables.iter().copied());
        command.output().unwrap().stdout
    };
    let plain = help(&[]);
    assert_eq!(
        help(&[("COLUMNS", "20"), ("CLICOLOR_FORCE", "1"), ("TERM", "xterm-256color")]),
        plain
    );
    assert!(!plain.contains(&0x1b));
}

#[test]
fn it_runs_with_32_file_descriptors() {
    if !have("prlimit") {
        return skipped("32 file descriptors: no prlimit (package util-linux)");
    }
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let login = instance
        .login(USER)
        .offering(key.fingerprint())
        .wrapped(["prlimit", "--nofile=32"]);
    login.run().is(0, &key.printed(), &expected(&key, &request));
}

#[test]
fn it_runs_as_an_unprivileged_user() {
    if is_root() && !have("setpriv") {
        return skipped("running as another user: no setpriv (package util-linux)");
    }
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let (login, _folder) = as_another_user(instance.login(USER), []);
    login.run().is(0, &key.printed(), &providing(&key, &request));
}

#[test]
fn it_runs_from_a_folder_that_is_gone() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let script = "mkdir \"$1\" && cd \"$1\" && rmdir \"$1\" && shift && exec \"$@\"";
    let gone = instance.folder.path().join("gone");
    let login = instance
        .login(USER)
        .wrapped(["/bin/sh", "-c", script, "sh", gone.to_str().unwrap()]);
    login.run().is(0, &key.printed(), &providing(&key, &request));
}

#[test]
fn it_leaves_no_file_behind() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let folder = tempfile::tempdir().unwrap();
    let login = instance.login(USER).working_in(folder.path());
    let inside = folder.path().to_str().unwrap();
    let outcome = login.variable("TMPDIR", inside).variable("HOME", inside).run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Whether the trace shows the paths that the program opens, up to the last one.
fn shows_the_roots_opened(trace: &str) -> bool {
    trace
        .lines()
        .any(|line| line.contains("open") && line.contains("/roots.pem\", O_RDONLY"))
}

#[test]
fn it_opens_nothing_for_writing_and_starts_no_other_program() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let traced = "trace=%file,execve,fork,vfork,clone,clone3";
    let options = ["-f", "-e", traced, "-o", trace.to_str().unwrap()];
    let Some(strace) = strace("opening nothing for writing", &options) else {
        return;
    };
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let outcome = instance.login(USER).wrapped(strace).run();
    assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed());
    let trace = fs::read_to_string(trace).unwrap();
    assert!(shows_the_roots_opened(&trace), "{trace}");
    let writing = [
        "O_WRONLY", "O_RDWR", "O_CREAT", "creat(", "mkdir", "unlink", "rename", "symlink", "mknod", "chmod",
    ];
    for line in trace.lines() {
        assert!(!writing.iter().any(|call| line.contains(call)), "{line}");
        assert!(!line.contains("clone") || line.contains("CLONE_THREAD"), "{line}");
        assert!(!line.contains("fork("), "{line}");
    }
    assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
}

#[test]
fn it_reads_nothing_but_its_own_files_the_machine_s_and_the_roots() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let options = ["-f", "-e", "trace=%file", "-o", trace.to_str().unwrap()];
    let Some(strace) = strace("reading nothing else", &options) else {
        return;
    };
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    instance.login(USER).wrapped(strace).run();
    let trace = fs::read_to_string(&trace).unwrap();
    assert!(shows_the_roots_opened(&trace), "{trace}");
    // No resolver, name service, locale or time zone: each can block, or be under somebody else's control.
    for forbidden in [
        "resolv.conf",
        "nsswitch",
        "/etc/hosts",
        "passwd",
        "localtime",
        "zoneinfo",
        "locale",
        "ssh/",
    ] {
        let line = trace.lines().find(|line| line.contains(forbidden));
        assert_eq!(line, None, "{forbidden}");
    }
}
