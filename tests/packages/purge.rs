//! What a removal keeps as long as something needs it.

use crate::cell::{Cell, NOBODY, Now, OURS, Pair};
use crate::made::{PREVIOUS, ready};
use crate::releases::Release::Bookworm;
use crate::system::System::{self, Deb, OldRpm, Rpm};

const SYSTEM: System = Deb(Bookworm);

#[test]
fn what_was_unpacked_and_never_configured_is_unhooked_too() {
    let name = "what_was_unpacked_and_never_configured_is_unhooked_too";
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, SYSTEM, "", NOBODY);
    cell.step("install our previous version", &SYSTEM.install(PREVIOUS), OURS);
    let unpack = "dpkg --unpack /srv/ours/apt/pool/main/e/ec2-instance-connect/ec2-instance-connect_2.1*_amd64.deb";
    cell.step("unpack this one, and no more", unpack, OURS);
    cell.step("remove", "dpkg --remove ec2-instance-connect", NOBODY);
    cell.machine.must("sshd -t; systemctl restart ssh");
    cell.step("purge", "dpkg --purge ec2-instance-connect", NOBODY);
    assert_eq!(cell.left(), Vec::<String>::new());
}

#[test]
fn the_hook_stays_where_sshd_would_not_start_without_it() {
    let name = "the_hook_stays_where_sshd_would_not_start_without_it";
    if !ready(name) {
        return;
    }
    let finds_no_program = Now {
        pair: Pair::Ours,
        login: false,
    };
    for system in [SYSTEM, Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        cell.step("install", &system.install(""), OURS);
        let lean = "echo 'AuthorizedKeysCommand /usr/bin/admin_keys' >>/etc/ssh/sshd_config";
        cell.step("another command leans on our user line", lean, OURS);
        cell.step("remove", &system.remove(), finds_no_program);
        cell.machine
            .must(&format!("sshd -t; systemctl restart {}", system.unit()));
        assert!(cell.machine.logs_in("ann", "own"));
    }
}

#[test]
fn the_user_stays_while_files_are_its_own() {
    let name = "the_user_stays_while_files_are_its_own";
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, SYSTEM, "", NOBODY);
    cell.step("install", &SYSTEM.install(""), OURS);
    cell.machine
        .must("touch /var/tmp/own; chown ec2-instance-connect /var/tmp/own");
    cell.step("purge", &SYSTEM.purge(), NOBODY);
    assert!(cell.has_user());
}

#[test]
fn the_user_stays_while_a_process_runs_as_it() {
    let name = "the_user_stays_while_a_process_runs_as_it";
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, SYSTEM, "", NOBODY);
    cell.step("install", &SYSTEM.install(""), OURS);
    cell.machine.must("systemd-run -q --uid=ec2-instance-connect sleep 600");
    cell.step("purge", &SYSTEM.purge(), NOBODY);
    assert!(cell.has_user());
}

/// sshd can only be configured on its command line, and a restart would end connections.
const COMMAND_LINE: &str =
    "sed -i /^Include/d /etc/ssh/sshd_config; sed -i /^KillMode/d /lib/systemd/system/ssh.service";

#[test]
fn program_and_user_stay_while_the_running_sshd_names_them() {
    let name = "program_and_user_stay_while_the_running_sshd_names_them";
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, SYSTEM, COMMAND_LINE, NOBODY);
    let waits = Now {
        pair: Pair::Ours,
        login: false,
    };
    let said = cell.step("install", &SYSTEM.install(""), waits);
    assert!(said.contains("next restart"), "{said}");
    let drop_in = cell.machine.run("systemd-analyze verify --man=no ssh.service");
    assert_eq!(
        (drop_in.status, drop_in.stderr.as_str()),
        (0, ""),
        "systemd has nothing to say of the drop-in"
    );
    cell.restart_ssh(OURS);
    let asks_still = Now {
        pair: Pair::None,
        login: true,
    };
    cell.step("remove", &SYSTEM.remove(), asks_still);
    cell.step("purge", &SYSTEM.purge(), asks_still);
    assert!(cell.has_user());
    cell.restart_ssh(NOBODY);
}

#[test]
fn program_stays_while_the_running_sshd_of_the_rpm_family_names_it() {
    let name = "program_stays_while_the_running_sshd_of_the_rpm_family_names_it";
    if !ready(name) {
        return;
    }
    let prepare = "mkdir -p /etc/systemd/system/sshd.service.d; printf '[Service]\\nKillMode=mixed\\nExecStart=\\n\
        ExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %%%%u %%%%f\" \
        -o AuthorizedKeysCommandUser=ec2-instance-connect\\n' >/etc/systemd/system/sshd.service.d/image.conf";
    let by_an_image = Now {
        pair: Pair::Aws,
        login: false,
    };
    let by_link = Now {
        pair: Pair::OursByLink,
        login: true,
    };
    let mut cell = Cell::boot(name, Rpm, prepare, by_an_image);
    cell.step("install", &Rpm.install(""), by_link);
    cell.step("remove", &Rpm.remove(), by_link);
    assert!(cell.has_user());
}

/// Any user can start a set-user-ID program under the name of an sshd with this program on its command line.
#[test]
fn a_program_that_calls_itself_sshd_keeps_nothing() {
    let name = "a_program_that_calls_itself_sshd_keeps_nothing";
    if !ready(name) {
        return;
    }
    for system in [SYSTEM, Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        cell.step("install", &system.install(""), OURS);
        cell.machine.must(
            "mkfifo -m 666 /tmp/wait; (sleep 600 >/tmp/wait &) 2>/dev/null\n\
             setpriv --reuid ann --regid ann --clear-groups bash -c 'exec -a \"sshd: /usr/sbin/sshd -D -o \
             AuthorizedKeysCommand=/usr/libexec/ec2-instance-connect/eic_run_authorized_keys -o \
             AuthorizedKeysCommandUser=ec2-instance-connect [listener]\" su root -c true </tmp/wait >/dev/null 2>&1 &'",
        );
        let seen = "for i in 1 2 3 4 5 6 7 8 9 10; do grep -l libexec/ec2-instance-connect /proc/$(pgrep -u root -x su)/cmdline && exit; \
                    sleep 0.2; done; exit 1";
        cell.machine.must(seen);
        cell.step("remove", &system.remove(), NOBODY);
        cell.machine.must(seen);
        if system.is_deb() {
            cell.step("purge", &system.purge(), NOBODY);
            assert!(!cell.has_user());
        }
        cell.machine.must("test ! -e /usr/libexec/ec2-instance-connect");
    }
}

#[test]
fn a_removal_without_the_package_s_own_script_unhooks_too() {
    let name = "a_removal_without_the_package_s_own_script_unhooks_too";
    if !ready(name) {
        return;
    }
    for system in [Rpm, OldRpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        let configuration = "cat /etc/ssh/sshd_config; find /etc/ssh ! -name '*.rpmsave' | sort";
        let before = cell.machine.must(configuration);
        cell.step("install", &system.install(""), OURS);
        cell.step("remove", "rpm --erase --nopreun ec2-instance-connect", NOBODY);
        assert_eq!(cell.machine.must(configuration), before);
        // It is unknown whether somebody changed the file: it is kept under a name that sshd does not read.
        let kept = cell.machine.must("find /etc/ssh -name '*.rpmsave'");
        let drop_in = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf.rpmsave";
        assert_eq!(kept.trim(), if system == Rpm { drop_in } else { "" });
        cell.machine
            .must(&format!("sshd -t; systemctl restart {}", system.unit()));
        assert!(cell.machine.logs_in("ann", "own"));
        assert!(
            !cell.left().iter().any(|path| path.contains("/var/lib")),
            "{:?}",
            cell.left()
        );
    }
}
