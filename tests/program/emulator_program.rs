//! The emulator as a program: its messages if it cannot start.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use emulator::kept_keys::EMULATOR_KEYS;

use crate::harness::{finish, shared_keys};

fn refused(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emulator"));
    command
        .args(["--imds", "127.0.0.1:0", "--service", "127.0.0.1:0"])
        .args(arguments)
        .env(EMULATOR_KEYS, shared_keys());
    let outcome = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!((outcome.printed(), outcome.status.code()), ("", Some(1)), "{outcome:?}");
    outcome.said().to_owned()
}

#[test]
fn an_address_in_use_is_named_with_the_options_that_choose_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["--imds", &address]);
    let expected = format!(
        "emulator: cannot listen on {address}: Address already in use (os error 98) (--imds and --service choose other \
         addresses)\n"
    );
    assert_eq!(said, expected);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let said = refused(&["--directory", "/dev/null/x"]);
    let expected = "emulator: cannot write into /dev/null/x: Not a directory (os error 20)\n";
    assert_eq!(said, expected);
}
