//! First installation of the package, and its removal.

use crate::cell::{Cell, NOBODY, OURS, SELINUX};
use crate::made::{PREVIOUS, ready};
use crate::releases::Release::{Bookworm, Bullseye, Trixie};
use crate::system::System::{self, Deb, OldRpm, Rpm};

fn check(name: &str, system: System) {
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, system, "", NOBODY);
    let sshd = "find /etc/ssh /lib/systemd/system/ssh* -type f -exec sha256sum {} + | sort";
    let before = cell.machine.must(sshd);
    cell.step("install", &system.install(""), OURS);
    let verify = if system.is_deb() {
        "dpkg --verify"
    } else {
        "rpm --verify"
    };
    let verified = cell.machine.must(&format!("{verify} ec2-instance-connect"));
    assert_eq!(verified, "", "what the package manager has installed is as it was");
    cell.step("reinstall", &system.reinstall(), OURS);
    cell.step("remove", &system.remove(), NOBODY);
    assert_eq!(cell.machine.must(sshd), before, "sshd's files are as they were");
    cell.step("install our previous version", &system.install(PREVIOUS), OURS);
    cell.step("upgrade", &system.upgrade(), OURS);
    cell.step("go back to our previous version", &system.downgrade(PREVIOUS), OURS);
    assert!(cell.version().contains("2.0.9"), "{}", cell.version());
    cell.step("upgrade again", &system.upgrade(), OURS);
    if system.is_deb() {
        cell.step("purge", &system.purge(), NOBODY);
        assert_eq!(cell.left(), Vec::<String>::new());
    } else {
        cell.step("remove again", &system.remove(), NOBODY);
        let mut left = cell.left();
        left.retain(|path| path != SELINUX);
        assert_eq!(left, ["user"], "rpms never take users away");
    }
    assert_eq!(cell.machine.must(sshd), before, "sshd's files are as they were");
}

macro_rules! systems {
    ($($name:ident: $system:expr;)+) => { $(
        #[test]
        fn $name() {
            check(stringify!($name), $system);
        }
    )+ };
}

systems! {
    fresh_on_bookworm: Deb(Bookworm);
    fresh_on_bullseye: Deb(Bullseye);
    fresh_on_trixie: Deb(Trixie);
    fresh_on_the_rpm_family: Rpm;
    fresh_on_the_rpm_family_before_include: OldRpm;
}

#[test]
fn where_opt_is_a_link() {
    if !ready("where_opt_is_a_link") {
        return;
    }
    let mut cell = Cell::boot(
        "where_opt_is_a_link",
        Rpm,
        "rmdir /opt; mkdir /var/elsewhere; ln -s var/elsewhere /opt",
        NOBODY,
    );
    cell.step("install", &Rpm.install(""), OURS);
    cell.machine.must("test -x /opt/aws/bin/eic_run_authorized_keys");
    cell.step("remove", &Rpm.remove(), NOBODY);
}

/// Otherwise, anybody who can run processes as the command's user could write into its output, which sshd reads.
#[test]
fn a_process_of_the_same_user_cannot_open_the_running_program_s_stdout() {
    let name = "a_process_of_the_same_user_cannot_open_the_running_program_s_stdout";
    if !ready(name) {
        return;
    }
    for system in [Deb(Bookworm), Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        cell.step("install", &system.install(""), OURS);
        let opened = cell.while_imds_hangs(&format!(
            "setpriv --reuid ec2-instance-connect --regid ec2-instance-connect --clear-groups sh -c '\
             for program in \"sleep 1\" \"{} ann\"; do\n\
                 $program >/dev/null &\n\
                 sleep 0.3\n\
                 cat /proc/$!/comm\n\
                 if (: >/proc/$!/fd/1) 2>/dev/null; then echo opened; else echo refused; fi\n\
             done'",
            system.historical()
        ));
        assert_eq!(opened, "sleep\nopened\neic_run_authori\nrefused\n");
    }
}
