//! Another process of the same user cannot affect a running call.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::environment::as_another_user;
use crate::harness::{Instance, USER};
use crate::keys::PublicKey;
use crate::surroundings::{have, is_root, skipped};

/// Starts a command whose standard output is a pipe made by its own user, as sshd does, and prints its PID.
const INTO_A_PIPE: &str = "{ \"$@\" & echo $! >&2; wait; } | cat";

/// Starts it like this; returns its PID.
fn started(command: &mut Command) -> (Child, u32) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pid = line.trim().parse().unwrap();
    (child, pid)
}

/// Whether a process of the same user can open this one's standard output, from which sshd reads keys.
fn can_write_into(pid: u32) -> bool {
    let stdout = format!("/proc/{pid}/fd/1");
    if !is_root() {
        return fs::File::options().write(true).open(stdout).is_ok();
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    let user = ids.split_whitespace().next().unwrap();
    assert_ne!(user, "0");
    let opened = Command::new("setpriv")
        .args(["--reuid", user, "--regid", user, "--clear-groups"])
        .args(["/bin/sh", "-c", &format!(": > {stdout}")])
        .stderr(Stdio::null())
        .status();
    opened.unwrap().success()
}

#[test]
fn whoever_runs_as_the_same_user_cannot_write_into_its_stdout() {
    if is_root() && !have("setpriv") {
        return skipped("another process of the same user: no setpriv (package util-linux)");
    }
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    instance.emulator.set_latency(Duration::from_millis(700));
    let into_a_pipe = ["/bin/sh", "-c", INTO_A_PIPE, "sh"];
    let (login, _folder) = as_another_user(instance.login(USER), []);
    let login = login.wrapped(into_a_pipe);

    // A process of the same user can write to an ordinary process, so the attempt below is a real one.
    let mut words: Vec<_> = login.command().get_args().map(OsStr::to_owned).collect();
    let shell = words.iter().position(|word| word == "sh").map_or(0, |at| at + 1);
    words.splice(shell.., ["sleep".into(), "2".into()]);
    let (mut ordinary, pid) = started(Command::new(login.command().get_program()).args(words));
    sleep(Duration::from_millis(200));
    assert!(can_write_into(pid));
    ordinary.wait().unwrap();

    let (mut call, pid) = started(&mut login.command());
    // It is running when it has requested a token.
    while instance.requests() == 0 {
        sleep(Duration::from_millis(5));
        assert!(call.try_wait().unwrap().is_none());
    }
    let written = can_write_into(pid);
    let output = call.wait_with_output().unwrap();
    assert_eq!(output.stdout, PublicKey::ed25519(1).printed().as_bytes());
    assert!(!written);
}
