//! Installation where sshd is not running or must not be touched: in images, and by cloud-init.

use crate::cell::{Cell, NOBODY, Now, OURS, Pair};
use crate::made::ready;
use crate::releases::Release::{Bookworm, Bullseye, Trixie};
use crate::system::System::{self, Cloud, Deb, OldRpm, Rpm};

/// The root of an image being made: no host keys, no /run/sshd, nothing mounted but /dev.
const IMAGE: &str = "rm -f /etc/ssh/ssh_host_*; rm -rf /run/sshd";

/// What image builders check, and the first boot of an instance.
const MADE: &str = "test ! -e /run/sshd; test -z \"$(ls /etc/ssh | grep ssh_host_)\"; ssh-keygen -q -A";

/// Boots an image in which that has been run; then removes the package.
fn check(name: &str, system: System, install: &str) {
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot_installed(name, system, &[IMAGE, install, MADE].join("\n"));
    cell.step("remove", &system.remove(), NOBODY);
}

#[test]
fn in_a_chroot_of_bookworm() {
    check("in_a_chroot_of_bookworm", Deb(Bookworm), &Deb(Bookworm).install(""));
}

#[test]
fn in_a_chroot_of_bullseye() {
    check("in_a_chroot_of_bullseye", Deb(Bullseye), &Deb(Bullseye).install(""));
}

#[test]
fn in_a_chroot_of_trixie() {
    check("in_a_chroot_of_trixie", Deb(Trixie), &Deb(Trixie).install(""));
}

#[test]
fn in_a_chroot_of_the_rpm_family() {
    check("in_a_chroot_of_the_rpm_family", Rpm, &Rpm.install(""));
}

/// The root under another path, for tools that work from outside.
fn from_outside(command: &str) -> String {
    format!("mkdir /image; unshare --mount sh -euc 'mount --bind / /image; {command}'; rmdir /image")
}

#[test]
fn by_dnf_with_installroot() {
    let install = from_outside("dnf -y --installroot=/image install ec2-instance-connect");
    check("by_dnf_with_installroot", Rpm, &install);
}

#[test]
fn by_dnf_with_installroot_before_include() {
    let install = from_outside("dnf -y --installroot=/image install ec2-instance-connect");
    check("by_dnf_with_installroot_before_include", OldRpm, &install);
}

#[test]
fn by_rpm_with_root() {
    let package = "/srv/ours/yum/ec2-instance-connect-2.1*.x86_64.rpm";
    let install = from_outside(&format!("rpm --root /image --dbpath /var/lib/rpm --install {package}"));
    check("by_rpm_with_root", Rpm, &install);
}

#[test]
fn by_dpkg_with_root() {
    let package = "/srv/ours/apt/pool/main/e/ec2-instance-connect/ec2-instance-connect_2.1*_amd64.deb";
    let install = from_outside(&format!("dpkg --root=/image --install {package}"));
    check("by_dpkg_with_root", Deb(Bookworm), &install);
}

#[test]
fn where_sshd_s_folder_is_read_only() {
    let name = "where_sshd_s_folder_is_read_only";
    if !ready(name) {
        return;
    }
    for system in [Deb(Bookworm), Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        cell.machine
            .must("mount --bind /etc/ssh /etc/ssh; mount -o remount,bind,ro /etc/ssh");
        let said = cell.step("install", &system.install(""), NOBODY);
        assert!(said.contains("read-only"), "{said}");
        cell.machine.must("umount /etc/ssh");
        cell.step("an admin enables", "ec2-instance-connect enable", OURS);
    }
}

#[test]
fn where_policy_forbids_to_touch_services() {
    let name = "where_policy_forbids_to_touch_services";
    if !ready(name) {
        return;
    }
    let system = Deb(Bookworm);
    let forbid = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d";
    let mut cell = Cell::boot(name, system, forbid, NOBODY);
    let stamp =
        "systemctl show -p StateChangeTimestampMonotonic,ExecReload,MainPID ssh; journalctl -u ssh | grep -c SIGHUP";
    let before = cell.machine.run(stamp).stdout;
    let waits = Now {
        pair: Pair::Ours,
        login: false,
    };
    let said = cell.step("install", &system.install(""), waits);
    assert!(said.contains("policy-rc.d"), "it says so: {said}");
    assert_eq!(cell.machine.run(stamp).stdout, before, "sshd is left alone");
    cell.step("an admin reloads", "systemctl reload ssh", OURS);
    let still = Now {
        pair: Pair::None,
        login: false,
    };
    cell.step("remove", &system.remove(), still);
}

/// A unit that does the same as cloud-init's units, at the same point of the boot.
fn unit(system: System, order: &str) -> String {
    format!(
        "cat >/etc/systemd/system/first-boot.service <<'END'\n[Unit]\n{order}={}\n[Service]\nType=oneshot\n\
         ExecStart=/bin/sh -ec '{}'\n[Install]\nWantedBy=multi-user.target\nEND\nsystemctl -q enable first-boot.service",
        system.unit(),
        system.install("")
    )
}

/// Installed during the boot, while sshd runs already or before it has started.
fn check_boot(name: &str, system: System, prepare: &str, runs: bool) {
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot_installed(name, system, prepare);
    let reloads = format!("journalctl -o cat -u {} | grep -c '^Received SIGHUP'", system.unit());
    assert_eq!(
        cell.machine.run(&reloads).stdout.trim(),
        if runs { "1" } else { "0" },
        "sshd is reloaded where it runs"
    );
    cell.step("remove", &system.remove(), NOBODY);
}

#[test]
fn at_boot_before_ssh_starts() {
    for system in [Deb(Bullseye), Deb(Trixie), Rpm] {
        check_boot(
            &format!("at_boot_before_ssh_starts, {system:?}"),
            system,
            &unit(system, "Before"),
            false,
        );
    }
}

#[test]
fn at_boot_while_ssh_runs() {
    for system in [Deb(Bullseye), Deb(Trixie), Rpm] {
        check_boot(
            &format!("at_boot_while_ssh_runs, {system:?}"),
            system,
            &unit(system, "After"),
            true,
        );
    }
}

/// cloud-init's own data on the disk; the rest is as on an instance.
fn cloud_init(user_data: &str) -> String {
    format!(
        "mkdir -p /var/lib/cloud/seed/nocloud\n\
         echo 'instance-id: i-0123456789abcdef0' >/var/lib/cloud/seed/nocloud/meta-data\n\
         printf 'datasource_list: [NoCloud]\\nnetwork: {{config: disabled}}\\n' >/etc/cloud/cloud.cfg.d/99-test.cfg\n\
         cat >/var/lib/cloud/seed/nocloud/user-data <<'END'\n#cloud-config\nusers: []\napt: {{preserve_sources_list: true}}\n\
         {user_data}\nEND"
    )
}

#[test]
fn by_cloud_init_before_ssh_starts() {
    let user_data = format!("bootcmd:\n- |\n  {}", Cloud.install(""));
    check_boot("by_cloud_init_before_ssh_starts", Cloud, &cloud_init(&user_data), false);
}

#[test]
fn by_cloud_init_while_ssh_runs() {
    let user_data = "package_update: true\npackages: [ec2-instance-connect]";
    check_boot("by_cloud_init_while_ssh_runs", Cloud, &cloud_init(user_data), true);
}
