//! `--chain`: another AuthorizedKeysCommand is run as well; if one of the two fails, only its own keys are missing.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use emulator::imds::TOKEN;

use crate::harness::{Instance, Login, Outcome, USER, finish, provided_none};
use crate::hostile::endless_before_a_body;
use crate::keys::{PublicKey, providing};
use crate::surroundings::{full_pipe, have, skipped};

/// What the other command prints: sshd reads it, this program does not.
const OTHER: &str = "ssh-ed25519 AAAAother other@example.com\n";

/// Runs a login with a chained command.
fn chained(login: &Login, command: &[&str]) -> Outcome {
    let mut own = login.command();
    own.arg("--chain").args(command);
    finish(own.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// Whether only root can write to /bin/sh and its directories, as sshd requires of an AuthorizedKeysCommand.
fn sh_is_root_s() -> bool {
    let sh = Path::new("/bin/sh").canonicalize().expect("there is a shell");
    let all = sh.ancestors().all(|path| {
        path.metadata()
            .is_ok_and(|its| its.uid() == 0 && its.mode() & 0o022 == 0)
    });
    if !all {
        skipped("--chain: /bin/sh and its folders are not root's alone");
    }
    all
}

fn sh(login: &Login, script: &str) -> Outcome {
    chained(login, &["/bin/sh", "-c", script])
}

/// An instance with a pushed key; returns what a login prints and logs.
fn pushed() -> (Instance, String, String) {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    (instance, key.printed(), providing(&key, &request))
}

#[test]
fn our_keys_come_first_and_then_the_other_command_s() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ours, said) = pushed();
    let outcome = sh(&instance.login(USER), &format!("printf '{OTHER}'"));
    outcome.is(0, &format!("{ours}{OTHER}"), &said);
}

#[test]
fn a_user_whom_the_service_does_not_know_still_gets_the_other_command_s_keys() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ..) = pushed();
    for user in ["DOMAIN\\user", "-x", "123"] {
        let login = instance.login(user).offering("SHA256:abc");
        let outcome = sh(&login, &format!("printf '{OTHER}'"));
        assert!(
            outcome.said().starts_with("no key can be pushed for user "),
            "{outcome:?}"
        );
        outcome.is(0, OTHER, outcome.said());
    }
    assert_eq!(instance.requests(), 0);
}

#[test]
fn a_command_that_fails_loses_only_its_own_keys() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ours, said) = pushed();
    let login = instance.login(USER);
    let why = "Used no keys from the chained command: ";
    for (script, words) in [
        (format!("printf '{OTHER}'; exit 3"), "/bin/sh exited with status 3"),
        (
            format!("printf '{OTHER}'; kill -SEGV $$"),
            "/bin/sh was killed by signal 11",
        ),
    ] {
        sh(&login, &script).is(0, &ours, &format!("{said}{why}{words}\n"));
    }
    for (command, words) in [
        (
            "/no/such/command",
            "cannot stat /no/such/command: No such file or directory (os error 2)",
        ),
        ("sh", "\"sh\" is not an absolute path"),
        ("/bin", "/bin is not a regular file"),
        ("/etc/passwd", "/etc/passwd is not executable"),
    ] {
        let outcome = chained(&login, &[command]);
        outcome.is(0, &ours, &format!("{said}{why}{words}\n"));
    }
}

#[test]
fn a_command_that_others_could_change_is_not_run() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ours, _) = pushed();
    let command = instance.folder.path().join("command");
    std::fs::copy("/bin/true", &command).unwrap();
    let outcome = chained(&instance.login(USER), &[command.to_str().unwrap()]);
    assert_eq!((outcome.printed(), outcome.status.code()), (ours.as_str(), Some(0)));
    let said = outcome.said();
    assert!(
        said.contains("is writable by its group or by others") || said.contains("not by root"),
        "{said}"
    );
}

#[test]
fn a_command_that_hangs_is_ended_with_all_it_started() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ours, said) = pushed();
    let login = instance.login(USER).option("--timeout", "1");
    // Its child keeps the output open and ignores signals; the time identifies it among other runs.
    let sleep = format!("sleep 987.{}", std::process::id());
    let script = format!("trap '' TERM HUP; printf '{OTHER}'; {sleep} & wait; {sleep}");
    let outcome = sh(&login, &script);
    let why = "Used no keys from the chained command: /bin/sh did not finish in time and was killed\n";
    outcome.is(0, &ours, &format!("{said}{why}"));
    assert!(outcome.duration < Duration::from_millis(1500), "{outcome:?}");
    let left = Command::new("pgrep").args(["-r", "S", "-fx", &sleep]).output();
    assert!(
        left.is_ok_and(|left| left.stdout.is_empty()),
        "a process was left behind"
    );
}

#[test]
fn our_own_failing_loses_only_our_keys() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ..) = pushed();
    instance
        .emulator
        .with_imds(|imds| imds.set("services/domain", "example.com"));
    let outcome = sh(&instance.login(USER), &format!("printf '{OTHER}'"));
    assert!(outcome.said().starts_with(&provided_none("")), "{outcome:?}");
    assert_eq!((outcome.printed(), outcome.status.code()), (OTHER, Some(0)));
    // If both fail, the call fails.
    let outcome = sh(&instance.login(USER), "exit 1");
    assert_eq!((outcome.printed(), outcome.status.code()), ("", Some(1)));
}

#[test]
fn an_answer_without_end_loses_only_our_keys() {
    if !sh_is_root_s() {
        return;
    }
    for fault in endless_before_a_body() {
        let (instance, ..) = pushed();
        instance.emulator.fault(TOKEN, fault);
        let outcome = sh(&instance.login(USER), &format!("printf '{OTHER}'"));
        let url = instance.emulator.imds_url();
        let why =
            format!("Provided no ssh key: IMDS did not answer the request for {url}/latest/api/token within 1000 ms\n");
        // If the runtime noticed it in time, the message names the user.
        let by_the_timer = provided_none(&format!(
            "IMDS did not answer the request for {url}/latest/api/token within 1000 ms\n"
        ));
        assert!(
            [why, by_the_timer].iter().any(|why| why == outcome.said()),
            "{outcome:?}"
        );
        outcome.is(0, OTHER, outcome.said());
        assert!(outcome.duration < Duration::from_millis(2200), "{outcome:?}");
    }
}

/// Holds a lease on a file (fcntl(2), F_SETLEASE, F_WRLCK): any other process that opens it blocks.
const LEASE: &str = "$| = 1; $SIG{IO} = 'IGNORE'; open(F, '+<', $ARGV[0]) or die; fcntl(F, 1024, 1) or die $!; print qq(held\n); sleep 300";

#[test]
fn our_own_work_blocked_for_ever_loses_only_our_keys() {
    if !sh_is_root_s() {
        return;
    }
    if !have("perl") {
        skipped("--chain beside work that blocks: no perl (package perl-base)");
        return;
    }
    let (instance, ..) = pushed();
    let mut holder = Command::new("perl")
        .args(["-e", LEASE])
        .arg(&instance.files.roots)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut held)
        .unwrap();
    let outcome = sh(
        &instance.login(USER).option("--timeout", "1"),
        &format!("printf '{OTHER}'"),
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(held, "held\n");
    assert_eq!(
        (outcome.printed(), outcome.status.code()),
        (OTHER, Some(0)),
        "{outcome:?}"
    );
    let cause = "Provided no ssh key: timed out after 1 s while fetching and verifying keys";
    assert!(outcome.said().contains(cause), "{outcome:?}");
    assert!(
        (Duration::from_millis(700)..Duration::from_millis(1100)).contains(&outcome.duration),
        "{outcome:?}"
    );
}

#[test]
fn a_command_that_has_ended_is_not_ended_again_at_the_deadline() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ..) = pushed();
    let (_reader, full) = full_pipe();
    // It leaves a process running that has none of our files open; the call then blocks on its output until the deadline.
    let script = "sleep 986 >/dev/null & exit 0";
    let mut own = instance.login(USER).option("--timeout", "1").command();
    own.args(["--chain", "/bin/sh", "-c", script]);
    finish(own.stdout(full).stderr(Stdio::null()));
    let left = Command::new("pgrep").args(["-fx", "sleep 986"]).output().unwrap();
    let left = String::from_utf8(left.stdout).unwrap();
    for pid in left.split_whitespace() {
        Command::new("kill").arg(pid).status().unwrap();
    }
    assert_ne!(
        left, "",
        "what was left behind was ended, by a number that may be anybody's"
    );
}

#[test]
fn an_imds_that_hangs_costs_no_more_beside_a_slow_command_than_alone() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ..) = pushed();
    let nobody = "http://192.0.2.1:9";
    let login = instance.login(USER).option("--imds-endpoint", nobody);
    let outcome = sh(&login, &format!("sleep 0.9; printf '{OTHER}'"));
    assert_eq!((outcome.printed(), outcome.status.code()), (OTHER, Some(0)));
    assert!(outcome.duration < Duration::from_millis(1800), "{outcome:?}");
}

#[test]
fn what_goes_over_the_limit_is_cut_after_a_whole_line() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ours, said) = pushed();
    let outcome = sh(&instance.login(USER), "yes 'ssh-ed25519 AAAA' | head -n 100000");
    let theirs = outcome.printed().strip_prefix(&ours).unwrap();
    assert!(
        theirs.len() <= 512 * 1024 && theirs.ends_with("ssh-ed25519 AAAA\n"),
        "{}",
        theirs.len()
    );
    assert!(theirs.lines().all(|line| line == "ssh-ed25519 AAAA"));
    assert_eq!(outcome.said(), said);
    sh(&instance.login(USER), "printf 'no newline'").is(0, &format!("{ours}no newline\n"), &said);
}

#[test]
fn the_command_gets_sshd_s_environment_and_no_descriptor_but_three() {
    if !sh_is_root_s() {
        return;
    }
    let (instance, ..) = pushed();
    let login = instance.login("123").offering("SHA256:abc");
    let login = login
        .variable("PATH", "/usr/bin:/bin")
        .variable("USER", "nobody")
        .variable("LD_PRELOAD_NOT", "x");
    // The program is started with more open files than sshd would leave open.
    let open = login
        .clone()
        .wrapped(["/bin/sh", "-c", "exec 7</etc/passwd 8</etc/group; exec \"$@\"", "sh"]);
    let outcome = chained(&open, &["/bin/ls", "/proc/self/fd"]);
    // ls itself opened the fourth one.
    assert_eq!(outcome.printed(), "0\n1\n2\n3\n");
    let outcome = chained(&login, &["/usr/bin/env"]);
    let mut variables: Vec<&str> = outcome.printed().lines().collect();
    variables.sort_unstable();
    assert_eq!(variables, ["PATH=/usr/bin:/bin", "USER=nobody"]);
}
