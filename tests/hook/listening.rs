//! Listening sshds that a reload of the unit does not reach, that read another configuration, or that belong to somebody else.

use serde_json::Value;

use crate::machine::Machine;
use crate::releases::Release::{Bookworm, Bullseye, Trixie};
use crate::status::{is, json};
use crate::steps::run;
use crate::surroundings::ready;

const DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";

/// Stops sshd's unit and starts sshd in a unit with another name, as a supervisor would.
const SUPERVISED: &str = "systemctl stop ssh; mkdir -p /run/sshd; systemd-run -q --unit=my-sshd /usr/sbin/sshd -D";

/// An sshd with another compiled-in configuration file, whose path has the same length.
const COMPILED: &str = "mkdir -p /opt/ssh /opt/sbin; cp -a /etc/ssh/. /opt/ssh; \
    sed s#/etc/ssh/sshd_config#/opt/ssh/sshd_config# /usr/sbin/sshd >/opt/sbin/sshd; chmod 755 /opt/sbin/sshd\n";

/// The one listener in `status --json` whose command line contains `part`.
fn listener(machine: &Machine, part: &str) -> Value {
    let told = json(machine);
    let listeners = told["listeners"].as_array().unwrap_or_else(|| panic!("{told}"));
    let its = |listener: &&Value| listener["command_line"].as_str().unwrap().contains(part);
    let mut found = listeners.iter().filter(its);
    let one = found.next().unwrap_or_else(|| panic!("{told}")).clone();
    assert!(found.next().is_none(), "{told}");
    one
}

/// `enable` prints that the change is not in effect yet, and `named`. The remedy that it prints then works.
fn not_reached(machine: &Machine, named: &str) {
    let enabled = run(machine, "enable");
    assert_eq!(enabled.status, 3, "{}", enabled.stdout);
    assert!(
        enabled.stdout.starts_with("EC2 Instance Connect is enabled in"),
        "{}",
        enabled.stdout
    );
    assert!(enabled.stdout.contains(named), "{}", enabled.stdout);
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
    is(machine, "broken", 1, &["sshd-not-up-to-date"]);
    let remedy = enabled.stdout.lines().find_map(|line| line.strip_prefix("Remedy: "));
    machine.must(remedy.expect("the output contains a remedy"));
    assert!(machine.gets_in("ann", "pushed"));
    is(machine, "hooked", 0, &[]);
}

#[test]
fn an_sshd_in_a_unit_of_another_name_is_named_with_what_to_do() {
    for release in [Bookworm, Bullseye, Trixie] {
        if !ready("an sshd in a unit of another name") {
            return;
        }
        let machine = Machine::boot(release, "");
        machine.must(SUPERVISED);
        assert!(machine.gets_in("ann", "own"));
        not_reached(&machine, "/usr/sbin/sshd -D) has not read its configuration");
        // The same for `disable`: its output does not claim that pushed keys are off while they still log in.
        let disabled = run(&machine, "disable");
        assert_eq!(disabled.status, 3, "{}", disabled.stdout);
        assert!(!disabled.stdout.contains("no longer"), "{}", disabled.stdout);
        assert!(machine.logs_in("ann", "pushed"));
        is(&machine, "broken", 1, &["sshd-not-up-to-date"]);
        assert_eq!(run(&machine, "disable").status, 3);
        machine.must("kill -HUP $(systemctl show -p MainPID --value my-sshd)");
        assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
        is(&machine, "not-hooked", 3, &[]);
        let disabled = run(&machine, "disable");
        assert_eq!(disabled.status, 0, "{}", disabled.stdout);
    }
}

#[test]
fn where_systemd_does_not_run_the_sshd_to_reload_is_named() {
    if !ready("a system without systemd") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    // Starts sshd as an init script does, and hides systemd from the program.
    machine.must("systemctl stop ssh; mkdir -p /run/sshd; systemd-run -q --scope sh -c '/usr/sbin/sshd </dev/null'");
    machine.must(
        "mv /usr/sbin/ec2-instance-connect /usr/sbin/eic; cat >/usr/sbin/ec2-instance-connect <<'END'\n\
         #!/bin/sh\nexec unshare --mount sh -c 'mount -t tmpfs none /run/systemd && exec eic \"$@\"' eic \"$@\"\nEND\n\
         chmod 755 /usr/sbin/ec2-instance-connect",
    );
    assert!(machine.gets_in("ann", "own"));
    not_reached(&machine, "kill -HUP ");
}

#[test]
fn a_second_sshd_is_judged_by_its_own_configuration() {
    if !ready("a second sshd") {
        return;
    }
    let machine = Machine::boot(
        Bookworm,
        "sed -e /^Include/d -e '$aPort 2222' -e '$aPidFile none' /etc/ssh/sshd_config >/etc/ssh/second",
    );
    machine.must("systemd-run -q --unit=second /usr/sbin/sshd -D -f /etc/ssh/second");
    let enabled = run(&machine, "enable");
    assert!(
        enabled.stdout.contains("sshd now uses EC2 Instance Connect"),
        "{}",
        enabled.stdout
    );
    is(&machine, "hooked", 0, &[]);
    let second = listener(&machine, "-f /etc/ssh/second");
    assert_eq!(second["configuration"], "/etc/ssh/second");
    assert_eq!(second["configured"], "not-hooked");
    assert_eq!(second["state"], "up-to-date");
    assert_eq!(second["unit"], Value::Null);

    // Only the second sshd still runs, and its configuration does not use the program.
    machine.must("systemctl stop ssh");
    is(&machine, "broken", 1, &["sshd-reads-another-configuration"]);
    let enabled = run(&machine, "enable");
    assert_eq!(enabled.status, 3, "{}", enabled.stdout);
    assert!(enabled.stdout.contains("reads /etc/ssh/second"), "{}", enabled.stdout);
    machine.must("systemctl start ssh");

    // An administrator adds the lines to the second configuration: `disable` changes only the first.
    machine.must(&format!(
        "grep ^Auth {DROP_IN} >>/etc/ssh/second; kill -HUP $(systemctl show -p MainPID --value second)"
    ));
    let disabled = run(&machine, "disable");
    assert_eq!(disabled.status, 3, "{}", disabled.stdout);
    assert!(
        disabled
            .stdout
            .contains("still uses the program, because of /etc/ssh/second"),
        "{}",
        disabled.stdout
    );
    is(&machine, "broken", 1, &["another-sshd-uses-it"]);
}

#[test]
fn an_sshd_whose_configuration_is_not_known_is_named_and_not_judged() {
    if !ready("an sshd with another compiled-in configuration") {
        return;
    }
    let machine = Machine::boot(Bookworm, COMPILED);
    machine.must("systemd-run -q --unit=other /opt/sbin/sshd -D -p 2222");
    let enabled = run(&machine, "enable");
    assert_eq!(enabled.status, 0, "{}", enabled.stdout);
    assert!(
        enabled
            .stdout
            .contains("It is not known which configuration sshd (pid "),
        "{}",
        enabled.stdout
    );
    assert!(
        enabled
            .stdout
            .contains(": /opt/sbin/sshd -D -p 2222) uses: /opt/sbin/sshd is not the program of sshd's unit")
    );
    is(&machine, "hooked", 0, &[]);
    assert_eq!(listener(&machine, "/opt/sbin/sshd")["state"], "not-judged");
    let disabled = run(&machine, "disable");
    assert_eq!(disabled.status, 3, "{}", disabled.stdout);
    assert!(!disabled.stdout.contains("no longer"), "{}", disabled.stdout);
    is(&machine, "unknown", 1, &[]);
    machine.must("systemctl stop ssh");
    let enabled = run(&machine, "enable");
    assert_eq!(enabled.status, 3, "{}", enabled.stdout);
    is(&machine, "unknown", 1, &[]);
}

#[test]
fn a_unit_whose_sshd_reads_another_configuration_is_left_alone() {
    for release in [Bookworm, Bullseye, Trixie] {
        if !ready("a unit with another compiled-in configuration") {
            return;
        }
        let unit = "mkdir /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/opt/sbin/sshd -D\\n' \
                    >/etc/systemd/system/ssh.service.d/x.conf";
        let machine = Machine::boot(release, &format!("{COMPILED}{unit}"));
        let before = machine.must("find /etc/ssh /opt/ssh /etc/systemd -type f -exec sha256sum {} +");
        let enabled = run(&machine, "enable");
        assert_eq!(enabled.status, 3, "{}", enabled.stdout);
        assert!(
            enabled
                .stdout
                .contains("/opt/sbin/sshd reads /opt/ssh/sshd_config, not /etc/ssh/sshd_config"),
            "{}",
            enabled.stdout
        );
        let after = machine.must("find /etc/ssh /opt/ssh /etc/systemd -type f -exec sha256sum {} +");
        assert_eq!(after, before);
        let said = is(&machine, "unknown", 1, &[]).stdout;
        assert!(said.contains("/opt/sbin/sshd reads /opt/ssh/sshd_config"), "{said}");
    }
}

#[test]
fn what_is_not_root_s_or_of_another_root_is_no_sshd_of_ours() {
    if !ready("sshds of others") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    machine.must(
        "mkdir /tmp/c; mount -t tmpfs -o mode=755 c /tmp/c; cd /tmp/c; cp -a /bin /sbin /lib /lib64 . 2>/dev/null; \
         for folder in usr etc var run dev proc; do mkdir $folder; mount --rbind /$folder $folder; done; \
         systemd-run -q --unit=contained chroot /tmp/c /usr/sbin/sshd -D -p 2201 -o PidFile=none",
    );
    machine.must(
        "install -o ann -m 755 /usr/sbin/sshd /home/ann/sshd; runuser -u ann -- ssh-keygen -q -t ed25519 -N '' -f /home/ann/key; \
         systemd-run -q --unit=ann-s -p User=ann /home/ann/sshd -D -f /dev/null -h /home/ann/key -p 2202 -o PidFile=none",
    );
    for port in [2201, 2202] {
        machine.must(&format!(
            "for i in $(seq 100); do bash -c '</dev/tcp/127.0.0.1/{port}' 2>/dev/null && exit; sleep 0.1; done; exit 1"
        ));
    }
    assert_eq!(run(&machine, "enable").status, 0);
    let told = json(&machine);
    assert_eq!(told["listeners"].as_array().map(Vec::len), Some(1), "{told}");
    is(&machine, "hooked", 0, &[]);
}
