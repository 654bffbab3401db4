//! AWS's package, before and after ours: `enable --package` replaces its configuration of sshd, and `disable --package` restores
//! it if AWS's package was installed again.

use crate::families::{old, rpm};
use crate::machine::Machine;
use crate::releases::Release::{self, Bookworm, Bullseye, Trixie};
use crate::steps::{Seen, differences, run};
use crate::surroundings::ready;
use Expected::{AtRestart, Left, Taken, Undone};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";
const UNIT: &str = "/etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf";
const MAIN: &str = "/etc/ssh/sshd_config";
const DEB: &str = "/usr/lib/systemd/system/ssh.service.d/ec2-instance-connect.conf";
const RPM: &str = "/usr/lib/systemd/system/sshd.service.d/ec2-instance-connect.conf";

/// A system that AWS's package has configured, and what `enable --package` must do.
struct TakeOver {
    release: Release,
    /// Runs in the root directory before the boot.
    prepare: &'static str,
    /// Runs in the container after the boot: what removing the old package does before ours is configured.
    live: &'static str,
    expected: Expected,
}

enum Expected {
    /// Exactly these files change, and the running sshd uses only our program.
    Taken(&'static [&'static str]),
    /// These files change, the running sshd keeps its options, and the output gives this reason.
    AtRestart(&'static [&'static str], &'static str),
    /// Nothing changes, and the output gives this reason.
    Left(&'static str),
    /// The same, with exit status 1.
    Undone(&'static str),
}

const PLAIN: TakeOver = TakeOver {
    release: Bookworm,
    prepare: aws_deb!(),
    live: "",
    expected: Taken(&[DROP_IN, DEB]),
};

fn command_line(machine: &Machine) -> String {
    machine
        .must("tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value 'ssh*.service' | grep -m 1 -v '^0*$')/cmdline")
}

fn take_over(name: &str, case: &TakeOver) {
    if !ready(name) {
        return;
    }
    let machine = Machine::boot(case.release, case.prepare);
    machine.must(&format!("true; {}", case.live));
    let before = Seen::of(&machine, true);
    println!("before: {:?}", before.pairs());
    assert!(
        before.own && before.pushed,
        "pushed keys log in with AWS's configuration: {before:?}"
    );
    let mut open = machine.connect();

    run(&machine, "enable --package --dry-run");
    assert_eq!(
        Seen::of(&machine, true).files,
        before.files,
        "--dry-run changes nothing"
    );
    let enabled = run(&machine, "enable --package");
    let said = &enabled.stdout;
    let after = Seen::of(&machine, true);
    println!("taken over: {:?}", after.pairs());
    assert!(
        open.goes_on() && after.own && after.pushed,
        "logins still work: {after:?}"
    );
    assert_eq!(enabled.status, i32::from(matches!(case.expected, Undone(_))));
    let status = run(&machine, "status").stdout;
    match case.expected {
        Left(words) | Undone(words) => {
            assert!(said.contains(words), "{said}");
            assert_eq!(after, before, "nothing is changed");
            // Files that were written and restored are newer than the running sshd's configuration.
            let is_undone = matches!(case.expected, Undone(_));
            let word = if is_undone { "broken\n" } else { "hooked-by-aws\n" };
            assert!(status.starts_with(word), "{status}");
            return;
        }
        Taken(changed) => {
            assert_eq!(differences(&before.files, &after.files), changed);
            assert!(!command_line(&machine).contains(if changed.contains(&UNIT) { "/share/" } else { "eic_run" }));
        }
        AtRestart(changed, words) => {
            assert_eq!(differences(&before.files, &after.files), changed);
            assert!(said.contains(words), "{said}");
            assert!(command_line(&machine).contains("/usr/share/ec2-instance-connect/"));
        }
    }
    // Until its restart, the running sshd has AWS's options.
    let at_once = !matches!(case.expected, AtRestart(..));
    assert!(
        status.starts_with(if at_once { "hooked\n" } else { "broken\n" }),
        "{status}"
    );

    let again = run(&machine, "enable --package");
    let words = if at_once { "already" } else { "is enabled in" };
    assert!(again.stdout.contains(words), "{}", again.stdout);
    assert_eq!(run(&machine, "disable --package").status, 0);
    if matches!(case.expected, AtRestart(..)) {
        machine.must("systemctl restart 'ssh*.service'");
    } else {
        assert!(open.goes_on());
    }
    let at_last = Seen::of(&machine, true);
    assert!(at_last.own && !at_last.pushed, "{at_last:?}");
    assert!(run(&machine, "status").stdout.starts_with("not-hooked\n"));
    machine.must("! test -e /etc/ec2-instance-connect; ! test -e /var/lib/ec2-instance-connect");
}

macro_rules! take_overs {
    ($($name:ident: $case:expr;)+) => { $(
        #[test]
        fn $name() {
            take_over(concat!("take-over of ", stringify!($name)), &$case);
        }
    )+ };
}

take_overs! {
    ubuntu_s_override: PLAIN;
    ubuntu_s_override_bullseye: TakeOver { release: Bullseye, ..PLAIN };
    ubuntu_s_override_behind_a_socket: TakeOver {
        release: Trixie, prepare: concat!(aws_deb!(), "systemctl -q disable ssh.service; systemctl -q enable ssh.socket\n"), ..PLAIN
    };
    ubuntu_s_override_where_sshd_knows_no_include: TakeOver {
        prepare: concat!(old!(), aws_deb!()), expected: Taken(&[UNIT, DEB]), ..PLAIN
    };
    ubuntu_s_override_that_went_with_its_package: TakeOver {
        live: "rm -r /lib/systemd/system/ssh.service.d", expected: Taken(&[DROP_IN]), ..PLAIN
    };
    the_override_of_rhel_8: TakeOver {
        prepare: concat!(rpm!(), old!(), aws_rpm!()), expected: Taken(&[MAIN, RPM]), ..PLAIN
    };
    the_override_of_rhel_8_that_went_with_its_package: TakeOver {
        prepare: concat!(rpm!(), old!(), aws_rpm!()), live: "rm -r /lib/systemd/system/sshd.service.d",
        expected: Taken(&[MAIN]), ..PLAIN
    };
    the_override_where_sshd_includes_its_folder: TakeOver {
        prepare: concat!(rpm!(), aws_rpm!()), expected: Taken(&[DROP_IN, RPM]), ..PLAIN
    };
    amazon_linux_2_s_two_lines: TakeOver {
        prepare: concat!(rpm!(), old!(), aws_lines!(), config!("Match User bob", "  Banner none")),
        expected: Taken(&[MAIN]), ..PLAIN
    };
    amazon_linux_2023_s_drop_in: TakeOver {
        prepare: concat!(rpm!(), aws_drop_in!()), expected: Taken(&[DROP_IN]), ..PLAIN
    };
    an_override_that_left_the_crypto_policy_out: TakeOver {
        prepare: concat!(
            rpm!(), old!(), aws_rpm!(),
            "echo CRYPTO_POLICY=-oCiphers=aes256-gcm@openssh.com >>/etc/sysconfig/sshd\n",
            "sed -i 's/ $OPTIONS/& $CRYPTO_POLICY/' /lib/systemd/system/sshd.service\n"
        ),
        expected: Taken(&[MAIN, RPM]), ..PLAIN
    };
    an_override_that_keeps_options_from_sshd: TakeOver {
        prepare: concat!(rpm!(), old!(), aws_rpm!(), "echo 'OPTIONS=\"-o PermitRootLogin=no\"' >/etc/sysconfig/sshd\n"),
        expected: Left("change its setting \"permitrootlogin"), ..PLAIN
    };
    an_override_with_an_option_of_somebody_s: TakeOver {
        prepare: concat!(aws_deb!(), "sed -i 's/ $SSHD_OPTS/ -o Banner=none&/' /lib/systemd/system/ssh.service.d/*.conf\n"),
        expected: Left("lines of AWS's package that somebody changed"), ..PLAIN
    };
    an_override_with_a_line_of_somebody_s: TakeOver {
        prepare: concat!(aws_deb!(), "echo Nice=5 >>/lib/systemd/system/ssh.service.d/ec2-instance-connect.conf\n"),
        expected: Left("lines of AWS's package that somebody changed"), ..PLAIN
    };
    an_override_with_another_argument: TakeOver {
        prepare: concat!(aws_deb!(), "sed -i 's/%%f/%%f --debug/' /lib/systemd/system/ssh.service.d/*.conf\n"),
        expected: Left("lines of AWS's package that somebody changed"), ..PLAIN
    };
    a_drop_in_with_a_line_of_somebody_s: TakeOver {
        prepare: concat!(rpm!(), aws_drop_in!(), "echo MaxAuthTries 9 >>/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf\n"),
        expected: Left("lines of AWS's package that somebody changed"), ..PLAIN
    };
    two_lines_of_which_one_was_changed: TakeOver {
        prepare: concat!(rpm!(), old!(), aws_lines!(), "sed -i 's/%u %f/%u/' /etc/ssh/sshd_config\n"),
        expected: Left("lines of AWS's package that somebody changed"), ..PLAIN
    };
    an_override_that_hides_another_command: TakeOver {
        prepare: concat!(aws_deb!(), config!("AuthorizedKeysCommand /usr/bin/admin_keys", "AuthorizedKeysCommandUser nobody")),
        expected: Left("without them it would use another AuthorizedKeysCommand"), ..PLAIN
    };
    a_restart_that_would_end_connections: TakeOver {
        prepare: concat!(aws_deb!(), "sed -i /^KillMode/d /lib/systemd/system/ssh.service\n"),
        expected: AtRestart(&[DROP_IN, DEB], "would end open connections"), ..PLAIN
    };
    a_policy_against_restarts: TakeOver {
        prepare: concat!(aws_deb!(), "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d\n"),
        expected: AtRestart(&[DROP_IN, DEB], "policy-rc.d returned 101"), ..PLAIN
    };
    an_sshd_that_thinks_otherwise_once_it_is_written: TakeOver {
        prepare: concat!(
            aws_deb!(),
            sshd!("*' -h '*) if [ -e /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf ]; then echo no >&2; exit 255; fi")
        ),
        expected: Undone("did not take effect as expected ("), ..PLAIN
    };
}

/// Installs AWS's program in place of our package's link.
macro_rules! aws_program {
    ($folder:literal) => {
        concat!(
            "rm ",
            $folder,
            "/eic_run_authorized_keys; ",
            "install -m 755 /usr/libexec/ec2-instance-connect/eic_run_authorized_keys ",
            $folder,
            "\n"
        )
    };
}

/// A system that this program has configured, and on which AWS's package is then installed again.
struct HandOver {
    prepare: &'static str,
    /// What AWS's package does before ours is removed.
    aws: &'static str,
    /// What the output of `disable --package` contains.
    says: &'static str,
    /// What `status` then prints first.
    status: &'static str,
    /// Whether the pushed key then logs in without our program.
    pushed: bool,
}

fn hand_over(name: &str, case: &HandOver) {
    if !ready(name) {
        return;
    }
    let machine = Machine::boot(Bookworm, case.prepare);
    let before = Seen::of(&machine, true);
    assert!(
        run(&machine, "enable --package")
            .stdout
            .contains("now uses EC2 Instance Connect")
    );
    machine.must(case.aws);
    assert!(machine.gets_in("ann", "own"));
    let mut open = machine.connect();
    let disabled = run(&machine, "disable --package");
    assert!(disabled.stdout.contains(case.says), "{}", disabled.stdout);
    machine.must("! test -e /etc/ec2-instance-connect && ! test -e /var/lib/ec2-instance-connect && rm /usr/libexec/ec2-instance-connect/eic_run_authorized_keys");
    if case.pushed {
        assert!(machine.gets_in("ann", "pushed"));
    }
    let after = Seen::of(&machine, true);
    println!("handed over: {:?}", after.pairs());
    assert!(after.own && open.goes_on());
    assert_eq!(after.pushed, case.pushed);
    assert_eq!(after.others(), before.others(), "nothing else changes");
    let status = run(&machine, "status").stdout;
    assert!(status.starts_with(case.status), "{status}");

    // `enable --package` then replaces again what `disable --package` restored.
    if case.pushed {
        machine.must(
            "install -m 755 /opt/aws/bin/eic_run_authorized_keys /usr/libexec/ec2-instance-connect/; \
             ln -sf ../../../usr/libexec/ec2-instance-connect/eic_run_authorized_keys /opt/aws/bin/",
        );
        assert!(
            run(&machine, "enable --package")
                .stdout
                .contains("now uses EC2 Instance Connect")
        );
        assert_eq!(run(&machine, "disable --package").status, 0);
        assert!(open.goes_on());
        let changed = differences(&before.files, &Seen::of(&machine, true).files);
        assert_eq!(changed, [""; 0], "nothing is left");
    }
}

macro_rules! hand_overs {
    ($($name:ident: $case:expr;)+) => { $(
        #[test]
        fn $name() {
            hand_over(concat!("hand-over of ", stringify!($name)), &$case);
        }
    )+ };
}

const HANDED: HandOver = HandOver {
    prepare: rpm!(),
    aws: aws_program!("/opt/aws/bin"),
    says: "AWS's package is installed again",
    status: "hooked-by-aws",
    pushed: true,
};

hand_overs! {
    a_drop_in: HANDED;
    a_block_in_sshd_config: HandOver { prepare: concat!(rpm!(), old!(), config!("Match User bob", "  Banner none")), ..HANDED };
    a_hook_beside_which_aws_s_own_is_in_effect: HandOver {
        aws: concat!(aws_program!("/opt/aws/bin"), aws_rpm!(), "systemctl daemon-reload; systemctl restart sshd"),
        says: "no longer uses EC2 Instance Connect", ..HANDED
    };
    a_drop_in_that_aws_s_package_has_overwritten: HandOver {
        aws: concat!(aws_program!("/opt/aws/bin"), aws_drop_in!()), says: "Nothing was changed", ..HANDED
    };
    a_deb_whose_scripts_lay_their_own_hook_afterwards: HandOver {
        prepare: "", aws: aws_program!("/usr/share/ec2-instance-connect"),
        says: "no longer uses EC2 Instance Connect", status: "not-hooked", pushed: false
    };
    a_hook_to_nobody_as_the_package_is_removed: HandOver {
        aws: "true", says: "no longer uses EC2 Instance Connect", status: "not-hooked", pushed: false, ..HANDED
    };
    a_hook_that_somebody_chained: HandOver {
        aws: concat!(
            aws_program!("/opt/aws/bin"),
            "sed -i 's#%f#%f --chain /usr/bin/admin_keys#' /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf"
        ),
        says: "they were not removed", status: "broken", pushed: false, ..HANDED
    };
}

#[test]
fn removing_the_package_leaves_aws_s_lines_and_says_so() {
    if !ready("removal with AWS's lines in sshd_config") {
        return;
    }
    let machine = Machine::boot(Bookworm, concat!(rpm!(), old!(), aws_lines!()));
    let before = machine.must("cat /etc/ssh/sshd_config");
    let said = run(&machine, "disable --package").stdout;
    assert!(said.contains("line of AWS's package (/etc/ssh/sshd_config:"), "{said}");
    assert_eq!(
        machine.must(
            "cat /etc/ssh/sshd_config; test ! -e /etc/ec2-instance-connect; test ! -e /var/lib/ec2-instance-connect"
        ),
        before
    );
    assert!(run(&machine, "disable").stdout.contains("no longer"));
}
