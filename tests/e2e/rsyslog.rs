//! The audit trail in rsyslog's files. rsyslog is the syslog daemon of Debian, Ubuntu and Red Hat servers.

use std::fs;
use std::path::Path;

use crate::child::{Daemon, wait_for};
use crate::dev_log::LogLine;
use crate::key::KeyPair;
use crate::namespaces::SCRATCH;
use crate::ssh::Ssh;
use crate::world::{Setup, USER, in_a_world};

/// The file for auth and authpriv.
pub(crate) const AUTH: &str = "/var/log/auth.log";
/// The file for everything else.
const REST: &str = "/var/log/syslog";

/// Debian's rules for these files, without the kernel's log, which is that of the machine.
const SETTINGS: &str = "module(load=\"imuxsock\")
$FileOwner root
$FileGroup root
$FileCreateMode 0640
$WorkDirectory /run/e2e
auth,authpriv.* /var/log/auth.log
*.*;auth,authpriv.none /var/log/syslog
";

/// Starts it; when this returns, `/dev/log` exists.
pub(crate) fn start() -> Daemon {
    let settings = Path::new(SCRATCH).join("rsyslog.conf");
    fs::write(&settings, SETTINGS).expect("the folder is ours");
    let settings = settings.to_str().expect("the path is text");
    let output = Path::new(SCRATCH).join("rsyslog.output");
    let words = ["/usr/sbin/rsyslogd", "-n", "-f", settings, "-i", "/run/e2e/rsyslog.pid"];
    let daemon = Daemon::start(&words, &output);
    let listens = wait_for(std::time::Duration::from_secs(20), || {
        Path::new("/dev/log").exists().then_some(())
    });
    assert!(listens.is_some(), "{}", fs::read_to_string(output).unwrap_or_default());
    daemon
}

/// The lines of such a file.
pub(crate) fn lines(file: &str) -> Vec<LogLine> {
    let text = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(LogLine::parse)
        .collect()
}

#[test]
fn rsyslog_files_both_ends_of_the_audit_trail_under_auth() {
    let setup = Setup {
        rsyslog: true,
        tools: &[("/usr/sbin/rsyslogd", "rsyslog")],
        ..Setup::default()
    };
    in_a_world(setup, |world| {
        let key = KeyPair::ed25519();
        let request = world.push(USER, &key);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, &request);
        let fingerprint = key.fingerprint();
        world.assert_logged(&format!(
            "Querying EC2 Instance Connect keys for matching fingerprint: {fingerprint}"
        ));
        // Because of authpriv, the lines are not in the file that more people may read.
        assert_eq!(lines(REST).iter().filter(|line| line.is_ours()).count(), 0);
    });
}
