//! What reaches `/dev/log`, byte for byte. No kind of `/dev/log` changes or delays what is printed.

use std::fs;
use std::io::Read as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Instance, Login, Outcome, USER, finish, provided_none};
use crate::keys::{PublicKey, providing, querying, refused};
use crate::surroundings::{full_pipe, is_root, skipped, works};

/// The command that runs a program with a private `/dev`.
const PRIVATELY: [&str; 3] = ["unshare", "--mount", "--propagation=private"];

/// Mounts an empty directory over `/dev`, puts the log into it, and executes the program with the same PID.
const WITH_LOG: &str = "mount -t tmpfs -o size=64k none /dev && ln -s \"$0\" /dev/log && exec \"$@\"";

/// Runs the call with this path as `/dev/log`, if that is possible here.
fn with_log(login: Login, log: &Path) -> Option<Login> {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let mut wrapper = PRIVATELY.to_vec();
    if !is_root() {
        wrapper.push("--map-root-user");
    }
    let can = *WORKS.get_or_init(|| {
        let mounting = ["/bin/sh", "-c", WITH_LOG, "/nonexistent", "true"];
        works(&[wrapper.as_slice(), &mounting].concat())
    });
    if !can {
        skipped("/dev/log: no mount namespace of our own (package util-linux, and the right to unshare)");
        return None;
    }
    let script = [
        "/bin/sh",
        "-c",
        WITH_LOG,
        log.to_str().expect("temporary folders are ASCII"),
    ];
    Some(login.wrapped(wrapper).wrapped(script))
}

/// An instance with a pushed key; returns the key, and the audit lines of a good login.
fn good() -> (Instance, PublicKey, String) {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let lines = querying(&key.fingerprint()) + &providing(&key, &request);
    (instance, key, lines)
}

fn received(log: &UnixDatagram) -> Vec<String> {
    log.set_nonblocking(true).unwrap();
    let mut datagrams = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while let Ok(length) = log.recv(&mut buffer) {
        datagrams.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    datagrams
}

/// The lines as syslog(3) would send them: authpriv.info is 10 * 8 + 6.
fn as_sent(outcome: &Outcome, lines: &str) -> Vec<String> {
    let prefix = format!("<86>ec2-instance-connect[{}]: ", outcome.pid);
    lines.lines().map(|line| format!("{prefix}{line}")).collect()
}

#[test]
fn the_audit_lines_reach_a_datagram_socket_byte_for_byte() {
    let (instance, key, lines) = good();
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER).offering(key.fingerprint()), &path) else {
        return;
    };
    let outcome = login.run();
    outcome.is(0, &key.printed(), &lines);
    assert_eq!(received(&log), as_sent(&outcome, &lines));
}

#[test]
fn the_audit_lines_reach_a_stream_socket_each_ended_by_a_zero() {
    let (instance, key, lines) = good();
    let path = instance.folder.path().join("log");
    let log = UnixListener::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER).offering(key.fingerprint()), &path) else {
        return;
    };
    let outcome = login.run();
    outcome.is(0, &key.printed(), &lines);
    let mut text = String::new();
    // If nothing arrived, this must fail and not wait.
    log.set_nonblocking(true).unwrap();
    log.accept().unwrap().0.read_to_string(&mut text).unwrap();
    let sent: Vec<_> = text.split_terminator('\0').collect();
    assert_eq!(sent, as_sent(&outcome, &lines));
}

#[test]
fn a_refusal_reaches_the_log_as_one_line() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let mut record = imds.record(&key.line());
        record.tamper_signature = true;
        imds.publish(USER, &record);
    });
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER), &path) else {
        return;
    };
    let outcome = login.run();
    let line = refused(&key, "record's signature is invalid\n");
    assert_eq!(received(&log), as_sent(&outcome, &line));
}

#[test]
fn a_failure_reaches_the_log_as_one_line() {
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| imds.enabled = false);
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER), &path) else {
        return;
    };
    let outcome = login.run();
    let line = provided_none("IMDS is disabled for this instance (the token request returned HTTP status 403)");
    assert_eq!(received(&log), as_sent(&outcome, &line));
}

#[test]
fn control_characters_reach_the_log_only_escaped() {
    let instance = Instance::start();
    let hostile = "\u{1b}[2J\u{9b}31m\u{7}\r\nforged\n";
    instance.emulator.with_imds(|imds| imds.publish_raw(USER, hostile));
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER), &path) else {
        return;
    };
    let outcome = login.run();
    let escaped = "\\x1b[2J\\xc2\\x9b31m\\x07\\x0d\\x0aforged\\x0a";
    let line = provided_none(&format!(
        "IMDS returned keys in an unknown format, starting with \"{escaped}\""
    ));
    assert_eq!(received(&log), as_sent(&outcome, &line));
}

#[test]
fn the_watchdog_s_last_words_reach_the_log() {
    let (instance, ..) = good();
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER).option("--timeout", "1"), &path) else {
        return;
    };
    let (_reader, full) = full_pipe();
    let outcome = finish(login.command().stdout(full).stderr(Stdio::piped()));
    let cause = "timed out after 1 s while writing keys to standard output, which no process is reading";
    assert_eq!(received(&log).last(), as_sent(&outcome, cause).last());
    assert_eq!(outcome.status.code(), Some(1));
}

#[test]
fn nothing_to_do_is_no_line_at_all() {
    let instance = Instance::start();
    let nothing = instance.folder.path().join("nothing");
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let plain = instance.login(USER).offering("SHA256:abc");
    for login in [
        plain.clone(),
        instance.login("../x").offering("SHA256:abc"),
        plain.option("--sysfs", nothing),
    ] {
        let Some(login) = with_log(login, &path) else { return };
        assert_eq!(login.run().status.code(), Some(0));
    }
    assert_eq!(received(&log), [""; 0]);
}

/// Asserts that a login with this `/dev/log` is good and quick.
fn changes_nothing(instance: &Instance, key: &PublicKey, lines: &str, log: &Path) {
    changes_nothing_within(Duration::from_secs(1), instance, key, lines, log);
}

fn changes_nothing_within(most: Duration, instance: &Instance, key: &PublicKey, lines: &str, log: &Path) {
    let Some(login) = with_log(instance.login(USER).offering(key.fingerprint()), log) else {
        return;
    };
    let outcome = login.run();
    outcome.is(0, &key.printed(), lines);
    assert!(outcome.duration < most, "{outcome:?}");
}

#[test]
fn a_log_that_is_absent_or_no_socket_changes_nothing() {
    let (instance, key, lines) = good();
    let folder = instance.folder.path();
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    changes_nothing(&instance, &key, &lines, &folder.join("absent"));
    changes_nothing(&instance, &key, &lines, &file);
    assert_eq!(fs::read(&file).unwrap(), b"");
    // A loop of symbolic links.
    changes_nothing(&instance, &key, &lines, Path::new("/dev/log"));
}

#[test]
fn a_log_whose_daemon_is_gone_changes_nothing() {
    let (instance, key, lines) = good();
    let datagram = instance.folder.path().join("datagram");
    drop(UnixDatagram::bind(&datagram).unwrap());
    changes_nothing(&instance, &key, &lines, &datagram);
    let stream = instance.folder.path().join("stream");
    drop(UnixListener::bind(&stream).unwrap());
    changes_nothing(&instance, &key, &lines, &stream);
}

#[test]
fn a_datagram_log_that_is_full_and_unread_changes_nothing() {
    let (instance, key, lines) = good();
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"somebody else's line", &path).is_ok() {}
    // 100 ms for the "Querying" line, and one second for the line about the printed key.
    changes_nothing_within(Duration::from_millis(1900), &instance, &key, &lines, &path);
    assert!(received(&log).iter().all(|line| line == "somebody else's line"));
}

/// Try a few times, because a machine under load may react later than the program waits.
#[test]
fn a_datagram_log_that_is_full_for_a_moment_gets_its_line_all_the_same() {
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| imds.enabled = false);
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    let Some(login) = with_log(instance.login(USER), &path) else {
        return;
    };
    let arrived = (0..5).any(|_| {
        instance.emulator.clear_requests();
        while filler.send_to(b"somebody else's line", &path).is_ok() {}
        let outcome = thread::scope(|scope| {
            let call = scope.spawn(|| login.run());
            while instance.requests() == 0 && !call.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            // By now the program has its answer, and the log is full.
            thread::sleep(Duration::from_millis(30));
            received(&log);
            call.join().unwrap()
        });
        received(&log).len() == 1 && outcome.status.code() == Some(0)
    });
    assert!(arrived);
}

/// Any local user can write to `/dev/log`, as fast as the machine goes, and so keep its queue full.
#[test]
fn a_flood_of_lines_keeps_no_line_of_a_printed_key_out_of_the_log() {
    const CALLS: usize = 30;
    let (instance, key, _) = good();
    let path = instance.folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let Some(login) = with_log(instance.login(USER).offering(key.fingerprint()), &path) else {
        return;
    };
    let done = AtomicBool::new(false);
    let logged = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let flooder = UnixDatagram::unbound().unwrap();
                flooder.set_nonblocking(true).unwrap();
                while !done.load(Ordering::Relaxed) {
                    flooder.send_to(b"somebody else's line", &path).ok();
                }
            });
        }
        let daemon = scope.spawn(|| {
            log.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut buffer = [0; 4096];
            let mut providing = 0;
            while !done.load(Ordering::Relaxed) {
                let Ok(length) = log.recv(&mut buffer) else { continue };
                let is_ours = String::from_utf8_lossy(&buffer[..length]).contains(": Providing ssh key ");
                providing += usize::from(is_ours);
                // The log daemon reads only five hundred lines a second.
                thread::sleep(Duration::from_millis(2));
            }
            providing
        });
        for _ in 0..CALLS {
            assert_eq!(login.run().printed(), key.printed());
        }
        // The lines in the queue remain to be read.
        thread::sleep(Duration::from_millis(200));
        done.store(true, Ordering::Relaxed);
        daemon.join().unwrap()
    });
    println!("MEASURED: {logged} of {CALLS} lines reached a log that is flooded");
    assert_eq!(logged, CALLS);
}

#[test]
fn a_stream_log_that_is_never_read_changes_nothing() {
    let (instance, key, lines) = good();
    let path = instance.folder.path().join("log");
    let _never_accepts = UnixListener::bind(&path).unwrap();
    changes_nothing(&instance, &key, &lines, &path);
}

#[test]
fn a_stream_log_whose_backlog_is_full_changes_nothing() {
    let (instance, key, lines) = good();
    let path = instance.folder.path().join("log");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let _context = runtime.enter();
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let _never_accepts = socket.listen(0).unwrap();
    // A backlog of 0 still accepts one connection (listen(2) on Linux).
    let _waiting = UnixStream::connect(&path).unwrap();
    changes_nothing(&instance, &key, &lines, &path);
}
