//! What the tests need from the machine, and the line that reports what is missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Whether everything is installed; otherwise prints what is missing, in the form that the runner of the tests counts.
pub(crate) fn ready(what: &str) -> bool {
    let missing = missing();
    if let Some(why) = &missing {
        println!("SKIPPED: {what}, {why}");
    }
    missing.is_none()
}

fn missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING
        .get_or_init(|| {
            if !is_root() {
                return Some("it boots containers (root)".to_owned());
            }
            let tools = [
                ("debootstrap", "debootstrap"),
                ("systemd-nspawn", "systemd-container"),
                ("unshare", "util-linux"),
                ("nsenter", "util-linux"),
                ("ip", "iproute2"),
                ("ssh-keygen", "openssh-client"),
            ];
            let lacking = tools.into_iter().find(|(tool, _)| !is_there(tool));
            lacking.map(|(tool, package)| format!("no {tool} ({package})"))
        })
        .clone()
}

/// Whether a tool of this name is installed.
pub(crate) fn is_there(tool: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(tool).exists())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// `<target>`, in which this test was built.
pub(crate) fn target() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // <target>/<profile>/deps/hook-<hash>
    test.ancestors()
        .nth(3)
        .expect("tests lie in the target folder")
        .to_owned()
}

/// A program of the project, built in the profile of this test.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = env::current_exe().expect("a test knows its own path");
        let profile = test
            .ancestors()
            .nth(2)
            .expect("tests lie in the target folder")
            .to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "-p", "ec2-instance-connect", "--bins", "--target-dir"])
            .arg(target());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        // The variables that cargo sets for a test would make cargo rebuild ring each time.
        for (name, _) in env::vars_os() {
            let of_this_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
            if of_this_package
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
            {
                cargo.env_remove(name);
            }
        }
        let built = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo starts");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        profile
    });
    folder.join(name)
}
