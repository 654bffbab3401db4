//! The exit statuses that the help documents, and where messages are printed.

use std::process::Stdio;

use emulator::{Fault, RefusingPort};

use crate::harness::{Instance, Login, Outcome, USER, finish, program, provided_none};
use crate::keys::PublicKey;

/// Runs the program with only these arguments.
fn run(arguments: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(program());
    command.args(arguments).env_clear().stdin(Stdio::null());
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn wrong_usage_is_status_2_and_prints_nothing() {
    for (arguments, why) in [
        (&[][..], "<USER>"),
        (&["a", "SHA256:b", "c"], "unexpected argument 'c'"),
        (&["a", "b", "c", "d"], "unexpected argument 'c'"),
        (&["--bogus", "a"], "unexpected argument '--bogus'"),
        (&["-q", "a"], "unexpected argument '-q'"),
        (&["--timeout", "a"], "seconds from 1 to 60"),
        (&["--timeout", "0", "a"], "seconds from 1 to 60"),
        (&["--timeout", "61", "a"], "seconds from 1 to 60"),
        (
            &["--imds-endpoint", "https://169.254.169.254", "a"],
            "IMDS does not support HTTPS",
        ),
        (
            &["--imds-endpoint", "http://169.254.169.254/latest", "a"],
            "expected http://HOST or http://HOST:PORT",
        ),
        (
            &["--imds-endpoint", "http://user@169.254.169.254", "a"],
            "expected http://HOST or http://HOST:PORT",
        ),
        (
            &["--imds-endpoint", "127.0.0.1:1338", "a"],
            "expected http://HOST or http://HOST:PORT, such as http://127.0.0.1:1338",
        ),
    ] {
        let outcome = run(arguments);
        assert!(outcome.said().contains(why), "{arguments:?}: {outcome:?}");
        outcome.is(2, "", outcome.said());
    }
}

#[test]
fn the_help_documents_the_statuses_and_every_option() {
    let outcome = run(&["--help"]);
    let help = outcome.printed();
    for documented in [
        "--imds-endpoint <URL>",
        "--trust-store <PATH>",
        "--sysfs <DIR>",
        "--timeout <SECONDS>",
        "[default: 5]",
        "[default: /sys]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "Exit status:\n  0  ",
        "\n  1  ",
        "\n  2  ",
    ] {
        assert!(help.contains(documented), "{documented}: {help}");
    }
    outcome.is(0, help, "");
}

#[test]
fn the_version_is_one_line() {
    let version = format!("eic_run_authorized_keys {}\n", env!("CARGO_PKG_VERSION"));
    run(&["--version"]).is(0, &version, "");
}

#[test]
fn imds_switched_off_is_status_0_and_one_line() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    instance.emulator.with_imds(|imds| imds.enabled = false);
    let why = "IMDS is disabled for this instance (the token request returned HTTP status 403)";
    instance.login(USER).run().refused(0, &provided_none(why));
    assert_eq!(instance.requests(), 1);
}

#[test]
fn an_unreachable_imds_is_status_1() {
    let instance = Instance::start();
    let nobody = RefusingPort::new().unwrap();
    let outcome = instance.login(USER).option("--imds-endpoint", nobody.url()).run();
    let why = format!(
        "the connection to IMDS for {}/latest/api/token was refused",
        nobody.url()
    );
    outcome.refused(1, &provided_none(&why));
}

#[test]
fn a_failing_imds_is_status_1() {
    let instance = Instance::start();
    instance.emulator.fault("/", Fault::Status(500));
    let token = format!("{}/latest/api/token", instance.emulator.imds_url());
    let outcome = instance.login(USER).run();
    outcome.refused(1, &provided_none(&format!("IMDS returned HTTP status 500 for {token}")));
}

#[test]
fn something_that_is_no_key_blob_is_one_line_and_status_0() {
    let instance = Instance::start();
    instance
        .emulator
        .with_imds(|imds| imds.publish_raw(USER, "nothing of the kind\n"));
    let why = "IMDS returned keys in an unknown format, starting with \"nothing of the kind\\x0a\"";
    instance.login(USER).run().refused(0, &provided_none(why));
}

#[test]
fn a_user_without_a_fingerprint_is_no_usage_error() {
    let instance = Instance::start();
    instance.login(USER).run().nobody_pushed();
    assert_eq!(instance.requests(), 2);
}

#[test]
fn a_user_name_that_looks_like_an_option_is_no_usage_error_whatever_the_fingerprint() {
    for name in [
        "--help",
        "--version",
        "-h",
        "-V",
        "--timeout",
        "--timeout=0",
        "--bogus",
        "--",
    ] {
        for fingerprint in ["SHA256:abc", "MD5:00:11:22"] {
            Login::new(name).offering(fingerprint).run().no_such_name(name);
        }
    }
}
