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
