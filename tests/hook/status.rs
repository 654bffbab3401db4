//! `status`: it reports whether pushed keys can log in, and names each problem that prevents it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::machine::{Machine, Ran};
use crate::releases::Release::{self, Bookworm, Bullseye, Trixie};
use crate::steps::run;
use crate::surroundings::ready;

const DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";
const PROGRAM: &str = "/usr/libexec/ec2-instance-connect/eic_run_authorized_keys";

/// The output of `status --json`. Asserts that the manual page documents each field, and each value that is a fixed word.
pub(crate) fn json(machine: &Machine) -> Value {
    let ran = machine.run("ec2-instance-connect status --json");
    let told = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/man/ec2-instance-connect.8");
    let page = fs::read_to_string(page).expect("the manual page can be read");
    let (_, section) = page
        .split_once(".Ss JSON\n")
        .expect("the manual page has a section JSON");
    let (section, _) = section.split_once("\n.Ss ").expect("another section follows");
    let words: BTreeSet<&str> = section
        .lines()
        .filter(|line| line.starts_with(".It Cm ") || line.starts_with(".Cm "))
        .flat_map(|line| line.split_whitespace().skip(1))
        .collect();
    documented(&told, &words);
    told
}

fn documented(value: &Value, words: &BTreeSet<&str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(words.contains(name.as_str()), "{name} is not documented");
                if let ("state" | "kind" | "configured", Value::String(word)) = (name.as_str(), value) {
                    assert!(words.contains(word.as_str()), "{word} is not documented");
                }
                documented(value, words);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| documented(value, words)),
        _ => {}
    }
}

/// Asserts the state, exit status and problems that `status` reports, as text and as JSON, and that no line is too long.
pub(crate) fn is(machine: &Machine, state: &str, exit: i32, problems: &[&str]) -> Ran {
    let text = run(machine, "status");
    assert!(text.stdout.starts_with(&format!("{state}\n")), "{}", text.stdout);
    assert_eq!(text.status, exit);
    let longest = text.stdout.lines().map(str::len).max();
    assert!(longest <= Some(100), "{}", text.stdout);
    let told = json(machine);
    assert_eq!(told["state"], state);
    let kinds: Vec<&str> = told["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, problems, "{told}");
    text
}

/// A change that keeps pushed keys from logging in, and how to revert it.
struct Break {
    does: &'static str,
    undoes: &'static str,
    kind: &'static str,
    says: &'static str,
}

const BREAKS: &[Break] = &[
    Break {
        does: "userdel ec2-instance-connect",
        undoes: "useradd --system --no-create-home --shell /usr/sbin/nologin ec2-instance-connect",
        kind: "user-missing",
        says: "there is no user ec2-instance-connect",
    },
    Break {
        does: "mv $PROGRAM /srv/kept",
        undoes: "mv /srv/kept $PROGRAM",
        kind: "program-unusable",
        says: "eic_run_authorized_keys: No such file",
    },
    Break {
        does: "mount --bind ${PROGRAM%/*} ${PROGRAM%/*}; mount -o remount,bind,noexec ${PROGRAM%/*}",
        undoes: "umount ${PROGRAM%/*}",
        kind: "program-unusable",
        says: "mounted noexec",
    },
    Break {
        does: "chmod 644 $PROGRAM",
        undoes: "chmod 755 $PROGRAM",
        kind: "program-unusable",
        says: "is not executable",
    },
    Break {
        does: "chmod 700 $PROGRAM",
        undoes: "chmod 755 $PROGRAM",
        kind: "program-unusable",
        says: "sshd cannot run the program as its user",
    },
    Break {
        does: "chmod 700 ${PROGRAM%/*}",
        undoes: "chmod 755 ${PROGRAM%/*}",
        kind: "program-unusable",
        says: "sshd cannot run the program as its user",
    },
    Break {
        does: "chown ann ${PROGRAM%/*}",
        undoes: "chown root ${PROGRAM%/*}",
        kind: "program-unusable",
        says: "is owned by user",
    },
    Break {
        does: "mv $PROGRAM /srv/kept; printf '#!/no/such/shell\\n' >$PROGRAM; chmod 755 $PROGRAM",
        undoes: "mv /srv/kept $PROGRAM",
        kind: "program-unusable",
        says: "cannot be run: No such file",
    },
    Break {
        does: "echo PubkeyAuthentication no >/etc/ssh/sshd_config.d/10-x.conf; systemctl reload ssh",
        undoes: "rm /etc/ssh/sshd_config.d/10-x.conf; systemctl reload ssh",
        kind: "publickey-not-accepted",
        says: "PubkeyAuthentication no (/etc/ssh/sshd_config.d/10-x.conf:1)",
    },
    Break {
        does: "echo AuthenticationMethods password >/etc/ssh/sshd_config.d/10-x.conf; systemctl reload ssh",
        undoes: "rm /etc/ssh/sshd_config.d/10-x.conf; systemctl reload ssh",
        kind: "publickey-not-accepted",
        says: "AuthenticationMethods password",
    },
];

#[test]
fn whatever_keeps_pushed_keys_from_logging_in_is_a_problem() {
    if !ready("status of what is broken") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    assert_eq!(run(&machine, "enable").status, 0);
    let works = || {
        is(&machine, "hooked", 0, &[]);
        assert!(machine.gets_in("ann", "pushed"));
    };
    works();
    for case in BREAKS {
        let with_program = |script: &str| format!("PROGRAM={PROGRAM}; {script}");
        machine.must(&with_program(case.does));
        println!("{}", case.does);
        let shut_out = (0..100).any(|_| !machine.logs_in("ann", "pushed"));
        assert!(shut_out, "{}", case.does);
        let said = is(&machine, "broken", 1, &[case.kind]).stdout;
        let unfolded = said.replace("\n    ", "").replace("  ", " ");
        assert!(
            unfolded.replace(' ', "").contains(&case.says.replace(' ', "")),
            "{said}"
        );
        assert!(said.contains("    remedy: "), "{said}");
        let enabled = run(&machine, "enable");
        assert_ne!(enabled.status, 0);
        assert!(!enabled.stdout.contains("sshd now uses"), "{}", enabled.stdout);
        machine.must(&with_program(case.undoes));
        works();
    }
}

#[test]
fn a_configuration_that_sshd_refuses_is_a_problem() {
    if !ready("status of a configuration that sshd refuses") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    assert_eq!(run(&machine, "enable").status, 0);
    machine.must("echo NoSuchOption yes >>/etc/ssh/sshd_config");
    let said = is(&machine, "broken", 1, &["configuration-invalid", "sshd-not-up-to-date"]).stdout;
    assert!(said.contains("NoSuchOption"), "{said}");
    assert!(!said.contains("Nothing was changed"), "{said}");
}

#[test]
fn a_drop_in_that_somebody_deletes_is_in_effect_until_sshd_reads_that() {
    for release in [Bookworm, Bullseye, Trixie] {
        if !ready("a drop-in that somebody deletes") {
            return;
        }
        lagging(release);
    }
}

fn lagging(release: Release) {
    let machine = Machine::boot(release, "");
    let stale = |pushed: bool| {
        assert_eq!(machine.logs_in("ann", "pushed"), pushed);
        is(&machine, "broken", 1, &["sshd-not-up-to-date"])
    };
    let reloaded = |verb: &str, words: &str| {
        let said = run(&machine, verb).stdout;
        assert!(said.contains(words), "{said}");
        assert!(
            said.contains("had not read its configuration since it changed"),
            "{said}"
        );
    };
    let off = || {
        is(&machine, "not-hooked", 3, &[]);
        assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
    };
    let on = || {
        is(&machine, "hooked", 0, &[]);
        assert!(machine.gets_in("ann", "pushed"));
    };

    run(&machine, "enable");
    on();
    machine.must(&format!("rm {DROP_IN}"));
    stale(true);
    reloaded("disable", "there are none to remove");
    off();

    run(&machine, "enable");
    on();
    assert_eq!(run(&machine, "disable --no-reload").status, 0);
    stale(true);
    reloaded("disable --package", "there are none to remove");
    off();

    assert_eq!(run(&machine, "enable --no-reload").status, 0);
    stale(false);
    reloaded("enable", "already");
    on();

    // A failed reload does not count, although systemd counts it as a change of the unit's state.
    machine.must(&format!(
        "rm {DROP_IN}; cd /etc/ssh; mkdir /srv/keys; mv ssh_host_* /srv/keys; ! systemctl reload ssh; mv /srv/keys/* ."
    ));
    let said = stale(true).stdout;
    assert!(
        said.contains("remedy: systemctl reload-or-restart ssh.service\n"),
        "{said}"
    );
    machine.must("systemctl reload-or-restart ssh.service");
    assert!(machine.gets_in("ann", "own"));
    off();

    // A SIGHUP from an administrator counts as a reload.
    run(&machine, "enable --no-reload");
    machine.must("kill -HUP $(systemctl show -p MainPID --value ssh)");
    assert!(machine.gets_in("ann", "pushed"));
    on();
}

#[test]
fn options_that_a_unit_no_longer_has_are_in_effect_until_a_restart() {
    if !ready("a unit's drop-in that somebody deletes") {
        return;
    }
    let machine = Machine::boot(Bookworm, "sed -i /^Include/d /etc/ssh/sshd_config");
    run(&machine, "enable");
    is(&machine, "hooked", 0, &[]);
    let mut open = machine.connect();
    machine.must("rm -r /etc/systemd/system/ssh.service.d");
    assert!(machine.logs_in("ann", "pushed"));
    let said = is(&machine, "broken", 1, &["sshd-not-up-to-date"]).stdout;
    assert!(said.contains("was started with other options than"), "{said}");
    let said = run(&machine, "disable").stdout;
    assert!(said.contains("so ssh.service was restarted"), "{said}");
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
    is(&machine, "not-hooked", 3, &[]);

    run(&machine, "enable --no-reload");
    assert!(!machine.logs_in("ann", "pushed"));
    is(&machine, "broken", 1, &["sshd-not-up-to-date"]);
    assert!(run(&machine, "enable").stdout.contains("already"));
    assert!(machine.gets_in("ann", "pushed") && open.goes_on());
    is(&machine, "hooked", 0, &[]);
}

#[test]
fn options_that_the_next_sshd_of_a_socket_would_lack_are_brought_to_systemd() {
    if !ready("a socket's sshd that does not run") {
        return;
    }
    let machine = Machine::boot(
        Trixie,
        "sed -i /^Include/d /etc/ssh/sshd_config; systemctl -q disable ssh.service; systemctl -q enable ssh.socket",
    );
    let stop = "systemctl stop ssh.service; systemctl is-active ssh.socket";
    machine.must(stop);
    run(&machine, "enable --no-reload");
    is(&machine, "broken", 1, &["sshd-not-up-to-date"]);
    assert_eq!(run(&machine, "enable").status, 0);
    is(&machine, "hooked", 0, &[]);
    assert!(machine.gets_in("ann", "pushed"));
    machine.must(stop);
    run(&machine, "disable --no-reload");
    is(&machine, "broken", 1, &["sshd-not-up-to-date"]);
    assert_eq!(run(&machine, "disable").status, 0);
    is(&machine, "not-hooked", 3, &[]);
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
}

#[test]
fn other_users_are_not_told_that_all_is_well() {
    if !ready("status as another user") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    run(&machine, "enable");
    let ran = machine.run("setpriv --reuid ann --regid ann --clear-groups ec2-instance-connect status");
    assert!(ran.stdout.starts_with("unknown\n"), "{ran:?}");
    assert!(ran.stdout.contains("run this as root"), "{ran:?}");
    assert_eq!(ran.status, 1);
    // A user who can write to /run still cannot inspect root's processes.
    machine.must("chmod 1777 /run; rm -rf /run/ec2-instance-connect*");
    let ran = machine.run("setpriv --reuid ann --regid ann --clear-groups ec2-instance-connect status");
    assert!(
        ran.stdout.contains("the listening sshds could not be examined"),
        "{ran:?}"
    );
    assert_eq!(ran.status, 1);
}
