//! What an administrator configured stays unchanged through upgrades, reinstallations and removals.

use crate::cell::{Cell, NOBODY, Now, OURS, Pair};
use crate::made::{PREVIOUS, ready};
use crate::releases::Release::Bookworm;
use crate::system::System::{self, Deb, Rpm};

const SNIPPET: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";

/// Both package managers, each with our previous version installed.
fn with_each(name: &str, prepare: &str, first: Now, installed: Now, test: impl Fn(&mut Cell, System)) {
    if !ready(name) {
        return;
    }
    for system in [Deb(Bookworm), Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, prepare, first);
        cell.step("install our previous version", &system.install(PREVIOUS), installed);
        test(&mut cell, system);
    }
}

/// The configuration stays unchanged through upgrade, reinstallation, removal and installation.
fn lasts(cell: &mut Cell, system: System, now: Now, removed: Now) {
    cell.step("upgrade", &system.upgrade(), now);
    cell.step("reinstall", &system.reinstall(), now);
    cell.step("remove", &system.remove(), removed);
    cell.step("install again", &system.install(""), now);
}

#[test]
fn disabled_by_an_admin() {
    with_each("disabled_by_an_admin", "", NOBODY, OURS, |cell, system| {
        cell.step("disable", "ec2-instance-connect disable", NOBODY);
        lasts(cell, system, NOBODY, NOBODY);
        if system.is_deb() {
            cell.step("purge", &system.purge(), NOBODY);
            cell.step("install after a purge", &system.install(""), OURS);
        }
    });
}

#[test]
fn deleted_by_an_admin() {
    with_each("deleted_by_an_admin", "", NOBODY, OURS, |cell, system| {
        let delete = format!("rm {SNIPPET}; systemctl reload {}", system.unit());
        cell.step("delete the file", &delete, NOBODY);
        lasts(cell, system, NOBODY, NOBODY);
    });
}

#[test]
fn edited_by_an_admin() {
    with_each("edited_by_an_admin", "", NOBODY, OURS, |cell, system| {
        let edit = format!(
            "sed -i 's/ %f$/ %f --timeout 3/' {SNIPPET}; systemctl reload {}",
            system.unit()
        );
        cell.step("edit the file", &edit, OURS);
        let edited = cell.edited();
        // Changed lines are never removed; sshd does not find their program, and continues without it.
        lasts(
            cell,
            system,
            OURS,
            Now {
                pair: Pair::Ours,
                login: false,
            },
        );
        assert_eq!(cell.edited(), edited);
    });
}

#[test]
fn not_to_be_enabled() {
    let prepare = "mkdir /etc/ec2-instance-connect; touch /etc/ec2-instance-connect/no-enable";
    with_each("not_to_be_enabled", prepare, NOBODY, NOBODY, |cell, system| {
        lasts(cell, system, NOBODY, NOBODY);
        if system.is_deb() {
            cell.step("purge", &system.purge(), NOBODY);
        }
        cell.machine.must("test -e /etc/ec2-instance-connect/no-enable");
    });
}

#[test]
fn beside_another_key_command() {
    const OTHERS: Now = Now {
        pair: Pair::Other,
        login: false,
    };
    let prepare = "printf 'AuthorizedKeysCommand /usr/bin/admin_keys\\nAuthorizedKeysCommandUser nobody\\n' >>/etc/ssh/sshd_config";
    with_each("beside_another_key_command", prepare, OTHERS, OTHERS, |cell, system| {
        let said = cell.step("upgrade", &system.upgrade(), OTHERS);
        assert!(!said.contains("--chain"), "an upgrade does not ask again: {said}");
        assert!(cell.machine.logs_in("ann", "admin"));
        cell.step("remove", &system.remove(), OTHERS);
        let said = cell.step("install again", &system.install(""), OTHERS);
        assert!(said.contains("--chain"), "it says how to have both: {said}");
        assert!(cell.machine.logs_in("ann", "admin"));
    });
}
