//! Package scripts that are killed between a change to sshd's files and the reload: the next run of the package manager
//! brings the running sshd up to date.

use crate::cell::{Cell, NOBODY, Now, OURS, Pair};
use crate::made::ready;
use crate::releases::Release::Bookworm;
use crate::system::System::{self, Deb, Rpm};

/// From now on, a reload of sshd instead kills the package manager, its script and the program that requested it.
const KILLS: &str = r#"
mv /usr/bin/systemctl /usr/bin/systemctl.real
cat >/usr/bin/systemctl <<'END'
#!/bin/sh
case " $* " in
    *" reload "* | *" try-restart "* | *" restart "*) ;;
    *) exec /usr/bin/systemctl.real "$@" ;;
esac
pid=$PPID killed=
while :; do
    killed="$pid $killed"
    read -r name </proc/$pid/comm
    case $name in dpkg | rpm) break ;; esac
    pid=$(sed 's/.*) //' /proc/$pid/stat | cut -d ' ' -f 2)
done
kill -9 $killed
END
chmod 755 /usr/bin/systemctl
"#;

/// Makes reloads work again.
const NO_MORE: &str = "mv /usr/bin/systemctl.real /usr/bin/systemctl\n";

struct Packager {
    system: System,
    install: &'static str,
    finish: &'static str,
    remove: &'static str,
}

const PACKAGERS: [Packager; 2] = [
    Packager {
        system: Deb(Bookworm),
        install: "dpkg --install /srv/ours/apt/pool/main/e/ec2-instance-connect/ec2-instance-connect_2.1*_amd64.deb",
        finish: "dpkg --configure -a",
        remove: "dpkg --remove ec2-instance-connect",
    },
    Packager {
        system: Rpm,
        install: "rpm --upgrade /srv/ours/yum/ec2-instance-connect-2.1*.x86_64.rpm",
        finish: "rpm --upgrade --replacepkgs /srv/ours/yum/ec2-instance-connect-2.1*.x86_64.rpm",
        remove: "rpm --erase ec2-instance-connect",
    },
];

/// A step in which the package manager is killed.
fn killed(cell: &mut Cell, what: &str, script: &str, now: Now) {
    let said = cell.step(what, &format!("{KILLS}({script}) 2>&1; echo status $?\n{NO_MORE}"), now);
    assert!(said.contains("status 137"), "{said}");
}

fn reloads(cell: &Cell) -> String {
    let count = format!(
        "journalctl -o cat -u {} | grep -c '^Received SIGHUP'",
        cell.system.unit()
    );
    cell.machine.run(&count).stdout
}

#[test]
fn a_killed_installation_is_brought_to_its_end_by_the_next_run() {
    let name = "a_killed_installation_is_brought_to_its_end_by_the_next_run";
    if !ready(name) {
        return;
    }
    for packager in PACKAGERS {
        let mut cell = Cell::boot(&format!("{name}, {:?}", packager.system), packager.system, "", NOBODY);
        let written = Now {
            pair: Pair::Ours,
            login: false,
        };
        killed(
            &mut cell,
            "install, killed before the reload",
            packager.install,
            written,
        );
        cell.step("finish", packager.finish, OURS);
        cell.step("remove", packager.remove, NOBODY);
    }
}

#[test]
fn a_killed_removal_is_brought_to_its_end_by_the_next_one() {
    let name = "a_killed_removal_is_brought_to_its_end_by_the_next_one";
    if !ready(name) {
        return;
    }
    for packager in PACKAGERS {
        let mut cell = Cell::boot(&format!("{name}, {:?}", packager.system), packager.system, "", NOBODY);
        cell.step("install", packager.install, OURS);
        let removed = Now {
            pair: Pair::None,
            login: true,
        };
        killed(&mut cell, "remove, killed before the reload", packager.remove, removed);
        let before = reloads(&cell);
        cell.step("remove again", packager.remove, NOBODY);
        assert_ne!(reloads(&cell), before, "the running sshd is told");
        cell.machine.must("test ! -e /etc/ec2-instance-connect/disabled");
        cell.step("install again", packager.install, OURS);
    }
}
