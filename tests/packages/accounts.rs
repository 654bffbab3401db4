//! The system user and its group: a purge removes what the package created, and nothing else.

use crate::cell::{Cell, NOBODY, OURS};
use crate::made::{PREVIOUS, ready};
use crate::releases::Release::Bookworm;
use crate::system::System::{self, Deb, Rpm};

const SYSTEM: System = Deb(Bookworm);

/// The entries of that name, passwd's first.
fn accounts(cell: &Cell) -> String {
    cell.machine
        .run("getent passwd ec2-instance-connect; getent group ec2-instance-connect")
        .stdout
}

#[test]
fn what_the_package_made_goes_whatever_userdel_does_with_groups() {
    let name = "what_the_package_made_goes_whatever_userdel_does_with_groups";
    if !ready(name) {
        return;
    }
    let keeps_groups = "sed -i 's/^USERGROUPS_ENAB.*/USERGROUPS_ENAB no/' /etc/login.defs";
    let mut cell = Cell::boot(name, SYSTEM, keeps_groups, NOBODY);
    cell.step("install", &SYSTEM.install(""), OURS);
    assert_eq!(accounts(&cell).lines().count(), 2);
    cell.step("purge", &SYSTEM.purge(), NOBODY);
    assert_eq!(accounts(&cell), "");
}

#[test]
fn a_group_that_was_there_stays_without_the_user() {
    let name = "a_group_that_was_there_stays_without_the_user";
    if !ready(name) {
        return;
    }
    let mut cell = Cell::boot(name, SYSTEM, "groupadd --system ec2-instance-connect", NOBODY);
    let before = accounts(&cell);
    cell.step("install", &SYSTEM.install(""), OURS);
    assert_eq!(accounts(&cell).lines().count(), 2);
    cell.step("purge", &SYSTEM.purge(), NOBODY);
    assert_eq!(accounts(&cell), before);
}

/// Accounts that somebody else created: a person's with a home directory, and a system user like the package's.
#[test]
fn an_account_that_was_there_stays_as_it_is() {
    let name = "an_account_that_was_there_stays_as_it_is";
    if !ready(name) {
        return;
    }
    for (whose, prepare) in [
        (
            "a person's",
            "useradd --create-home --shell /bin/bash ec2-instance-connect",
        ),
        (
            "a system user",
            "useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin \
             --comment 'EC2 Instance Connect' ec2-instance-connect",
        ),
    ] {
        let cell = Cell::boot(&format!("{name}, {whose}"), SYSTEM, prepare, NOBODY);
        let look =
            "getent shadow ec2-instance-connect; find /home/ec2-instance-connect -printf '%p %U:%G\n' 2>/dev/null; :";
        let before = (accounts(&cell), cell.machine.must(look));
        for script in [SYSTEM.install(PREVIOUS), SYSTEM.upgrade(), SYSTEM.purge()] {
            cell.machine.must(&script);
            assert_eq!((accounts(&cell), cell.machine.must(look)), before, "{whose}: {script}");
        }
    }
}

/// Somebody deleted the package's user, and created a person's account of that name.
#[test]
fn an_account_that_took_the_place_of_the_package_s_stays() {
    let name = "an_account_that_took_the_place_of_the_package_s_stays";
    if !ready(name) {
        return;
    }
    let cell = Cell::boot(name, SYSTEM, "", NOBODY);
    cell.machine.must(&SYSTEM.install(""));
    cell.machine
        .must("userdel ec2-instance-connect; useradd --create-home --shell /bin/bash ec2-instance-connect");
    let before = accounts(&cell);
    cell.machine.must(&SYSTEM.purge());
    assert!(before.contains(":/home/ec2-instance-connect:"), "{before}");
    assert!(
        accounts(&cell).starts_with(before.lines().next().unwrap_or_default()),
        "{before}"
    );
}

/// The files of early builds of 2.1.0: the list in /etc, and no record of the accounts.
const FORMER: &str = "mkdir -p /etc/ec2-instance-connect\n\
                      mv /var/lib/ec2-instance-connect/hooked /etc/ec2-instance-connect/\n\
                      rm -r /var/lib/ec2-instance-connect";

#[test]
fn what_version_2_1_0_left_in_etc_is_moved_and_goes_in_the_end() {
    let name = "what_version_2_1_0_left_in_etc_is_moved_and_goes_in_the_end";
    if !ready(name) {
        return;
    }
    for system in [SYSTEM, Rpm] {
        let mut cell = Cell::boot(&format!("{name}, {system:?}"), system, "", NOBODY);
        cell.step("install our previous version", &system.install(PREVIOUS), OURS);
        cell.step("as 2.1.0 has it", FORMER, OURS);
        cell.step("upgrade", &system.upgrade(), OURS);
        cell.machine
            .must("test -s /var/lib/ec2-instance-connect/hooked; test ! -e /etc/ec2-instance-connect");
        if system.is_deb() {
            cell.step("purge", &system.purge(), NOBODY);
            assert_eq!(cell.left(), Vec::<String>::new());
        } else {
            cell.step("remove", &system.remove(), NOBODY);
            cell.machine
                .must("test ! -e /etc/ec2-instance-connect; test ! -e /var/lib/ec2-instance-connect");
        }
    }
}
