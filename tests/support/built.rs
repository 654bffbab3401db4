//! The program under test: `EIC_PROGRAM`, or built once by the test itself.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// How the program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each target uses one of them")]
pub(crate) enum Profile {
    /// As the tests are.
    OfTheTests,
    /// As it ships.
    Release,
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    // <target>/<profile>/deps/<test>-<hash>
    above(3)
}

fn above(levels: usize) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    test.ancestors()
        .nth(levels)
        .expect("tests lie in the target folder")
        .to_owned()
}

/// The program that sshd runs: `EIC_PROGRAM`, or the one that is built on the first call.
#[allow(dead_code, reason = "the hook's tests drive the other program")]
pub(crate) fn program(profile: Profile) -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("EIC_PROGRAM") {
        Some(path) => path.into(),
        None => build(profile).join("eic_run_authorized_keys"),
    })
}

/// The program that people run, built on the first call.
#[allow(dead_code, reason = "only the hook's tests drive it")]
pub(crate) fn admin_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build(Profile::OfTheTests).join("ec2-instance-connect"))
}

/// Builds both programs; the directory that they are in.
fn build(profile: Profile) -> PathBuf {
    let directory = match profile {
        Profile::OfTheTests => above(2),
        Profile::Release => target().join("release"),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--locked", "--package", "eic-authorized-keys"])
        .args(["--package", "ec2-instance-connect"])
        .args(["--bin", "eic_run_authorized_keys", "--bin", "ec2-instance-connect"])
        .arg("--target-dir")
        .arg(target())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match profile {
        // With the features that the tests' own package adds to shared dependencies, so that these are not built twice.
        Profile::OfTheTests => cargo.args(["--package", "ec2-instance-connect-tests"]),
        Profile::Release => &mut cargo,
    };
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells a test of the test's own package would make it build ring anew, back and forth.
    for (name, _) in env::vars_os() {
        let of_this_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
        let name = name.to_string_lossy();
        if of_this_package.iter().any(|start| name.starts_with(start)) {
            cargo.env_remove(name.as_ref());
        }
    }
    let built = cargo.output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    directory
}
