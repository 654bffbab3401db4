//! OpenSSH's sshd, with the two lines that make it run the program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{Daemon, run};
use crate::machine::{PROGRAM, RUNS_AS};
use crate::namespaces::SCRATCH;

/// The two lines of the README.
pub(crate) fn hook() -> String {
    format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {RUNS_AS}\n")
}

/// Its host key.
pub(crate) fn host_key() -> PathBuf {
    Path::new(SCRATCH).join("host_key")
}

/// Makes the host key, as a new machine does; returns the public key.
pub(crate) fn make_host_key() -> String {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(host_key());
    run(&mut keygen, Duration::from_secs(20)).success();
    let line = fs::read_to_string(host_key().with_extension("pub")).expect("ssh-keygen wrote it");
    line.trim_end().to_owned()
}

/// Starts sshd with these settings before its others (sshd uses the first value). Waits until its log says that it listens.
pub(crate) fn start(settings: &str) -> Daemon {
    let folder = Path::new("/run/sshd");
    fs::create_dir(folder).expect("/run is ours");
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
    let mut config = format!(
        "{settings}\n{}HostKey {}\nPidFile none\nLogLevel VERBOSE\nUsePAM no\nUseDNS no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 200\n",
        hook(),
        host_key().display()
    );
    // OpenSSH 9.8 and later penalise clients that fail; all clients in the tests have the same address.
    if understands("PerSourcePenalties=no") {
        config.push_str("PerSourcePenalties no\n");
    }
    let file = Path::new(SCRATCH).join("sshd_config");
    fs::write(&file, config).expect("the folder is ours");
    let file = file.to_str().expect("the path is text");
    Daemon::start(
        &["/usr/sbin/sshd", "-D", "-f", file],
        &Path::new(SCRATCH).join("sshd.output"),
    )
}

fn understands(setting: &str) -> bool {
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.args(["-t", "-f", "/dev/null", "-o", setting, "-h"])
        .arg(host_key());
    run(&mut sshd, Duration::from_secs(10)).status == Some(0)
}
