//! The account that sshd runs the program as: `enable` refuses one that somebody can use, whichever name service knows it.

use crate::built::admin_program;
use crate::extras::image_with;
use crate::machine::Machine;
use crate::releases::Release::Bookworm;
use crate::steps::{Seen, run};
use crate::surroundings::ready;

#[test]
fn an_account_of_a_directory_is_refused_and_no_package_fails_by_it() {
    if !ready("an account of a directory") {
        return;
    }
    let machine = Machine::boot(
        image_with(Bookworm, "libnss-extrausers"),
        "userdel ec2-instance-connect; sed -i 's/^passwd:.*/passwd: files extrausers/' /etc/nsswitch.conf; \
         echo 'ec2-instance-connect:x:1400001:100::/home/x:/bin/zsh' >/var/lib/extrausers/passwd; \
         ! grep ec2-instance-connect /etc/passwd && getent passwd ec2-instance-connect",
    );
    let before = Seen::of(&machine, true);
    for (what, status) in [("enable", 3), ("enable --dry-run", 3), ("enable --package", 0)] {
        let enabled = run(&machine, what);
        assert!(
            enabled.stdout.contains("has a login shell, /bin/zsh"),
            "{}",
            enabled.stdout
        );
        assert_eq!(enabled.status, status, "{what}");
    }
    assert_eq!(Seen::of(&machine, true), before);
}

#[test]
fn a_directory_that_does_not_answer_is_waited_for_five_seconds() {
    if !ready("a directory that hangs") {
        return;
    }
    let machine = Machine::boot(
        Bookworm,
        "rm /usr/bin/getent; printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/bin/getent; chmod 755 /usr/bin/getent",
    );
    let before = Seen::of(&machine, true);
    let enabled = machine.run("timeout 25 ec2-instance-connect enable");
    assert!(
        enabled
            .stdout
            .contains("could not be looked up: getent: it did not answer within 5 seconds"),
        "{enabled:?}"
    );
    assert_eq!(enabled.status, 3);
    assert_eq!(Seen::of(&machine, true), before);
}

#[test]
fn of_another_root_its_own_accounts_count() {
    if !ready("--root and its accounts") {
        return;
    }
    let machine = Machine::root(Bookworm, "usermod --shell /bin/dash ec2-instance-connect");
    let root = machine.path();
    let own = admin_program();
    let enable = || machine.beside(own, &["enable", "--root", root.to_str().unwrap()]);
    let refused = enable();
    assert!(refused.stdout.contains("has a login shell, /bin/dash"), "{refused:?}");
    assert_eq!(refused.status, 3);
    // systemd-sysusers may create the account at the image's first boot.
    machine.must("userdel ec2-instance-connect");
    let enabled = enable();
    assert!(
        enabled
            .stdout
            .contains("Problem: there is no user ec2-instance-connect"),
        "{enabled:?}"
    );
    assert_eq!(enabled.status, 0);
    machine.must("test -e /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf");
}
