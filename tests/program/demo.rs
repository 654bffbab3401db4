//! `make demo` ends well: what it shows is as expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::harness::{finish, program};

#[test]
fn the_demo_shows_a_key_accepted_and_three_records_refused() {
    // It runs the program in its own directory.
    let directory = tempfile::tempdir().unwrap();
    let demo = directory.path().join("demo");
    fs::copy(env!("CARGO_BIN_EXE_demo"), &demo).unwrap();
    symlink(program(), directory.path().join("eic_run_authorized_keys")).unwrap();
    let outcome = finish(Command::new(demo).stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.printed().matches("is refused").count(), 3, "{outcome:?}");
}
