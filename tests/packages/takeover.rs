//! AWS's package in its six variants: replaced by this package, downgraded to, and replaced by a higher version of its own.

use crate::cell::{AWS, Cell, NOBODY, Now, OURS, OURS_BY_LINK, Pair, SELINUX};
use crate::made::ready;
use crate::releases::Release::{self, Bookworm, Bullseye, Trixie};
use crate::system::System;

/// A variant of AWS's package, as `prepare` makes it.
struct Shape {
    name: &'static str,
    system: System,
    /// AWS's versions, below and above ours.
    versions: [&'static str; 2],
    /// What an administrator does in between.
    edited: &'static str,
    /// The state after our package has replaced it.
    ours: Now,
}

impl Shape {
    fn deb(name: &'static str, release: Release) -> Self {
        let versions = if name == "owned" {
            ["1.1.14", "9.1.14"]
        } else {
            ["1.1.19", "9.1.19"]
        };
        Self {
            name,
            system: System::Deb(release),
            versions,
            edited: "",
            ours: OURS,
        }
    }

    fn rpm(name: &'static str) -> Self {
        let system = if name == "lines" { System::OldRpm } else { System::Rpm };
        Self {
            name,
            system,
            versions: ["1.1-19", "9.1-19"],
            edited: "",
            ours: OURS,
        }
    }

    /// Lets the package manager see AWS's repository with this version: `aws` or `aws-higher`.
    fn repository(&self, which: &str) -> String {
        let name = self.name;
        if self.system.is_deb() {
            format!("echo 'deb [trusted=yes] file:/srv/{which}/deb-{name} ./' >/etc/apt/sources.list.d/{which}.list")
        } else {
            format!(
                "printf '[{which}]\\nname={which}\\nbaseurl=file:///srv/{which}/rpm-{name}\\ngpgcheck=0\\n' \
                 >/etc/yum.repos.d/{which}.repo"
            )
        }
    }

    /// Without our repository, or with it.
    fn ours_is_known(&self, known: bool) -> String {
        let list = if self.system.is_deb() {
            "/etc/apt/sources.list.d/ec2-instance-connect.sources"
        } else {
            "/etc/yum.repos.d/ec2-instance-connect.repo"
        };
        if known {
            format!("mv /root/ours {list}")
        } else {
            format!("mv {list} /root/ours")
        }
    }
}

fn check(name: &str, shape: &Shape) {
    if !ready(name) {
        return;
    }
    let system = shape.system;
    let [lower, higher] = shape.versions;
    let prepare = [shape.repository("aws"), shape.ours_is_known(false)].join("\n");
    let mut cell = Cell::boot(name, system, &prepare, NOBODY);

    cell.step("AWS's is installed", &system.install(""), AWS);
    if !shape.edited.is_empty() {
        cell.step("an admin edits", shape.edited, AWS);
    }
    let of_aws = (cell.left(), configuration(&cell));
    let edited = cell.edited();
    cell.step(
        "upgrade to ours",
        &format!("{}\n{}", shape.ours_is_known(true), system.upgrade()),
        shape.ours,
    );
    assert_eq!(cell.edited(), edited, "what an admin wrote is left");
    if shape.ours == OURS {
        assert_eq!(strangers(&cell), Vec::<String>::new(), "nothing of AWS's is left");
    }
    cell.step("reinstall", &system.reinstall(), shape.ours);
    cell.step("roll back to AWS's", &system.to_aws(lower), AWS);
    assert_eq!(
        (besides(&cell), configuration(&cell)),
        of_aws,
        "nothing of ours is left, and all of AWS's is as it was"
    );
    cell.step("upgrade to ours again", &system.upgrade(), shape.ours);
    let to_higher = format!("{}\n{}", shape.repository("aws-higher"), system.upgrade());
    cell.step("upgrade to AWS's higher", &to_higher, AWS);
    assert_eq!(
        (besides(&cell), configuration(&cell)),
        of_aws,
        "nothing of ours is left, and all of AWS's is as it was"
    );
    assert!(cell.version().contains(higher));
    cell.step("upgrade to ours once more", &to_ours_only(shape), shape.ours);
    let remove = if system.is_deb() {
        system.purge()
    } else {
        system.remove()
    };
    // Lines that an administrator edited are never removed; their program no longer exists.
    let removed = if shape.ours == OURS {
        NOBODY
    } else {
        Now {
            pair: Pair::Aws,
            login: false,
        }
    };
    cell.step("ours is removed", &remove, removed);
    let back = format!("{}\n{}", shape.ours_is_known(false), system.install(""));
    cell.step("AWS's is installed again", &back, AWS);
    cell.step("AWS's is removed", &system.remove(), NOBODY);
}

/// What sshd reads, byte for byte, with modes and owners.
fn configuration(cell: &Cell) -> String {
    let files = "find /etc/ssh /lib/systemd/system/ssh* /etc/systemd/system -name '*.conf' -o -name sshd_config";
    cell.machine.must(&format!(
        "for file in $({files} | sort); do sha256sum $file; stat -c '%a %U:%G' $file; done"
    ))
}

/// Down from AWS's higher version to ours.
fn to_ours_only(shape: &Shape) -> String {
    if shape.system.is_deb() {
        format!("rm /etc/apt/sources.list.d/aws-higher.list\n{}", shape.system.to_ours())
    } else {
        format!("rm /etc/yum.repos.d/aws-higher.repo\n{}", shape.system.to_ours())
    }
}

/// The files that exist in addition to our package's and that it did not write.
fn strangers(cell: &Cell) -> Vec<String> {
    let laid = [
        "/var/lib/ec2-instance-connect/hooked",
        "/var/lib/ec2-instance-connect/made",
        "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf",
        "/etc/ssh/sshd_config (changed)",
        "user",
        SELINUX,
    ];
    let mut left = cell.left();
    left.retain(|path| !laid.contains(&path.as_str()));
    left
}

/// The files that exist in addition to those of AWS's package, except for two kinds. If a file is a configuration file of one of
/// the packages, rpm keeps ours next to AWS's or writes AWS's next to the existing one, under names that sshd does not read; it
/// decides that before any script runs. And our SELinux module may stay installed.
fn besides(cell: &Cell) -> Vec<String> {
    let mut left = cell.left();
    left.retain(|path| !path.ends_with(".conf.rpmnew") && !path.ends_with(".conf.rpmsave") && path != SELINUX);
    left
}

/// The files are replaced, and sshd is not restarted: its command line has AWS's path, which links to our program.
#[test]
fn taken_over_where_policy_forbids_to_touch_services() {
    let name = "taken_over_where_policy_forbids_to_touch_services";
    if !ready(name) {
        return;
    }
    let shape = Shape::deb("unowned", Bookworm);
    let system = shape.system;
    let mut cell = Cell::boot(name, system, &shape.repository("aws"), NOBODY);
    cell.step("AWS's is installed", &system.install(shape.versions[0]), AWS);
    let started = cell
        .machine
        .must("systemctl show -p MainPID,ExecMainStartTimestampMonotonic ssh");
    cell.machine
        .must("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d");
    cell.step("upgrade to ours", &system.upgrade(), OURS);
    assert_eq!(
        cell.machine
            .must("systemctl show -p MainPID,ExecMainStartTimestampMonotonic ssh"),
        started
    );
}

/// AWS's package has a higher version; the documentation explains how to keep ours.
#[test]
fn pinned() {
    if !ready("pinned") {
        return;
    }
    let pin = "printf 'Package: ec2-instance-connect\\nPin: release o=ec2-instance-connect\\nPin-Priority: 1001\\n' \
               >/etc/apt/preferences.d/ec2-instance-connect";
    let priority = "echo priority=1 >>/etc/yum.repos.d/ec2-instance-connect.repo";
    for (shape, pin) in [
        (Shape::deb("unowned", Bookworm), pin),
        (Shape::rpm("drop-in"), priority),
    ] {
        let system = shape.system;
        let prepare = [shape.repository("aws-higher").as_str(), pin].join("\n");
        let mut cell = Cell::boot(&format!("pinned, {system:?}"), system, &prepare, NOBODY);
        cell.step("install", &system.install(""), OURS);
        cell.step("upgrade", &system.upgrade(), OURS);
        assert!(!cell.version().contains(shape.versions[1]));
    }
}

macro_rules! shapes {
    ($($name:ident: $shape:expr;)+) => { $(
        #[test]
        fn $name() {
            check(stringify!($name), &$shape);
        }
    )+ };
}

shapes! {
    deb_with_an_unowned_override_bookworm: Shape::deb("unowned", Bookworm);
    deb_with_an_unowned_override_bullseye: Shape::deb("unowned", Bullseye);
    deb_with_an_unowned_override_trixie: Shape::deb("unowned", Trixie);
    deb_with_an_owned_override_and_service_bookworm: Shape::deb("owned", Bookworm);
    deb_with_an_owned_override_and_service_bullseye: Shape::deb("owned", Bullseye);
    deb_with_an_owned_override_and_service_trixie: Shape::deb("owned", Trixie);
    rpm_with_an_unowned_override: Shape::rpm("unowned");
    rpm_with_an_owned_override: Shape::rpm("unit");
    rpm_with_an_owned_drop_in: Shape::rpm("drop-in");
    rpm_with_an_owned_drop_in_that_is_no_configuration: Shape::rpm("plain-drop-in");
    rpm_with_an_owned_drop_in_that_an_admin_edited: Shape {
        edited: "sed -i 's/^AuthorizedKeysCommandUser.*/&\\nLogLevel VERBOSE/' /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf; systemctl reload sshd",
        ours: OURS_BY_LINK,
        ..Shape::rpm("drop-in")
    };
    rpm_with_an_owned_drop_in_whose_command_an_admin_edited: Shape {
        edited: "sed -i 's/ %f$/ %f --timeout 3/' /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf; systemctl reload sshd",
        ours: OURS_BY_LINK,
        ..Shape::rpm("drop-in")
    };
    rpm_with_two_lines_in_sshd_config: Shape::rpm("lines");
}
