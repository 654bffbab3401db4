//! `make demo` ends well: what it shows is as expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use emulator::kept_keys::EMULATOR_KEYS;

use crate::harness::{finish, program, shared_keys};

#[test]
fn the_demo_shows_a_key_accepted_and_three_records_refused() {
    // It runs the program that is in its own directory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let demo = directory.path().join("demo");
    fs::hard_link(env!("CARGO_BIN_EXE_demo"), &demo).unwrap();
    symlink(program(), directory.path().join("eic_run_authorized_keys")).unwrap();
    let mut command = Command::new(demo);
    command.env(EMULATOR_KEYS, shared_keys());
    let outcome = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.printed().matches("is refused").count(), 3, "{outcome:?}");
}
