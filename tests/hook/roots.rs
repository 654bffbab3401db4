//! `--root`, as image builders use it; chroots; and administrators' decisions, which last.

use serde_json::{Value, json};

use crate::built::admin_program;
use crate::machine::Machine;
use crate::releases::Release::{Bookworm, Bullseye, Trixie};
use crate::steps::run;
use crate::surroundings::ready;

const DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";

/// The root directory of an unfinished image: no host keys, no /run/sshd, nothing mounted.
const IMAGE: &str = "rm -f /etc/ssh/ssh_host_*; rm -rf /run/sshd";

#[test]
fn another_release_s_root_is_asked_by_its_own_sshd() {
    for release in [Bullseye, Trixie, Bookworm] {
        if !ready("--root") {
            return;
        }
        let machine = Machine::root(release, IMAGE);
        let root = machine.path();
        let root = root.to_str().unwrap();
        let before = machine
            .run("find /etc /run -printf '%p %m %U %G\\n' | sort; cat /etc/ssh/sshd_config")
            .stdout;
        let own = admin_program();
        let enabled = machine.beside(own, &["enable", "--root", root]);
        assert!(
            enabled.stdout.contains("EC2 Instance Connect is enabled in"),
            "{enabled:?}"
        );
        assert!(!enabled.stdout.contains("does not run here"), "{enabled:?}");
        machine.must(&format!("test -e {DROP_IN} && ! test -e /run/sshd"));
        let disabled = machine.beside(own, &["disable", "--root", root, "--package"]);
        assert_eq!(disabled.status, 0, "{disabled:?}");
        let after = machine
            .run("find /etc /run -printf '%p %m %U %G\\n' | sort; cat /etc/ssh/sshd_config")
            .stdout;
        assert_eq!(after, before);
    }
}

#[test]
fn a_root_whose_sshd_does_not_run_here_is_read_by_us_alone() {
    if !ready("--root of another architecture") {
        return;
    }
    let machine = Machine::root(
        Bookworm,
        "printf '\\177ELF\\2\\1\\1 of another machine' >/usr/sbin/sshd; chmod 755 /usr/sbin/sshd",
    );
    let root = machine.path();
    let root = root.to_str().unwrap();
    let own = admin_program();
    let enabled = machine.beside(own, &["enable", "--root", root]);
    assert!(
        enabled.stdout.contains("EC2 Instance Connect is enabled in"),
        "{enabled:?}"
    );
    assert!(enabled.stdout.contains("does not run here"), "{enabled:?}");
    machine.must(&format!(
        "printf 'AuthorizedKeysCommand /x\\n' >>/etc/ssh/sshd_config; rm {DROP_IN}"
    ));
    let left = machine.beside(own, &["enable", "--root", root]);
    assert!(left.stdout.contains("AuthorizedKeysCommand without"), "{left:?}");
    machine.must("echo AuthorizedKeysCommandUser nobody >>/etc/ssh/sshd_config");
    let left = machine.beside(own, &["enable", "--root", root]);
    assert!(
        left.stdout.contains("sshd already uses another AuthorizedKeysCommand"),
        "{left:?}"
    );
}

#[test]
fn status_of_a_root_runs_nothing_of_it_unless_it_is_told_to() {
    if !ready("status --root") {
        return;
    }
    let machine = Machine::root(Bookworm, sshd!("*) touch /ran"));
    let root = machine.path();
    let root = root.to_str().unwrap();
    let own = admin_program();
    let told = |options: &[&str]| -> Value {
        let ran = machine.beside(own, &[&["status", "--json", "--root", root], options].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
    };
    let status = told(&[]);
    assert_eq!(status["confirmed_by_sshd"], false);
    assert!(status["notes"].to_string().contains("was not run"), "{status}");
    machine.must("! test -e /ran");
    assert_eq!(told(&["--run-sshd"])["confirmed_by_sshd"], true);
    machine.must("test -e /ran");
}

#[test]
fn a_root_without_sshd_is_left_alone() {
    if !ready("--root without sshd") {
        return;
    }
    let machine = Machine::root(Bookworm, "rm -r /etc/ssh /usr/sbin/sshd");
    let root = machine.path();
    let own = admin_program();
    for (verb, status) in [("enable", 3), ("enable --package", 0), ("disable", 0)] {
        let words: Vec<&str> = verb.split(' ').chain(["--root", root.to_str().unwrap()]).collect();
        let ran = machine.beside(own, &words);
        assert_eq!(ran.status, status, "{verb}: {ran:?}");
    }
    machine.must("! test -e /etc/ssh");
}

#[test]
fn in_a_chroot_of_a_running_system_nothing_is_reloaded() {
    if !ready("a chroot") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    let stamp = "systemctl show -p StateChangeTimestampMonotonic,NRestarts,MainPID ssh";
    let before = machine.must(stamp);
    machine.must(
        "mkdir /tmp/c; mount -t tmpfs -o mode=755 c /tmp/c; cd /tmp/c; cp -a /bin /sbin /lib /lib64 . 2>/dev/null; \
         for folder in usr etc opt keys var run dev proc; do mkdir $folder; mount --rbind /$folder $folder; done; \
         mount -t tmpfs t etc/ssh/sshd_config.d",
    );
    let enabled = machine.must("chroot /tmp/c ec2-instance-connect enable");
    assert!(enabled.contains("EC2 Instance Connect is enabled in"), "{enabled}");
    assert_eq!(machine.must(stamp), before);
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
}

#[test]
fn an_admin_s_word_lasts() {
    if !ready("an admin's word") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    let says = |what: &str, words: &str| {
        let ran = run(&machine, what);
        assert!(ran.stdout.contains(words), "{what}: {}", ran.stdout);
        // If something is left unchanged for a reason, the status is 3; with --package it is 0.
        let left = ["Nothing was changed", "they were not removed"];
        let is_left = left.iter().any(|words| ran.stdout.contains(words)) && !ran.stdout.contains("none to remove");
        assert_eq!(
            ran.status,
            if is_left && !what.contains("--package") { 3 } else { 0 },
            "{what}"
        );
    };
    let is_there = |there: bool| assert_eq!(machine.run(&format!("test -e {DROP_IN}")).status == 0, there);

    // Disabled by an administrator: it stays disabled through upgrades and a reinstall.
    says("enable --package", "now uses EC2 Instance Connect");
    says("disable", "no longer");
    says("enable --package", "An administrator disabled");
    says("disable --package", "Nothing was changed");
    says("enable --package", "An administrator disabled");
    is_there(false);

    // Enabled by an administrator: removing the package and installing it again is not a decision to disable it.
    says("enable", "now uses EC2 Instance Connect");
    says("disable --package", "no longer");
    says("enable --package", "now uses EC2 Instance Connect");
    is_there(true);

    // Deleted by an administrator.
    machine.must(&format!("rm {DROP_IN}"));
    says("enable --package", "An administrator deleted");
    says("disable --package", "Nothing was changed");
    says("enable --package", "An administrator disabled");
    is_there(false);

    // Changed by an administrator: commented out, then with --chain, then with a line of their own.
    says("enable", "now uses EC2 Instance Connect");
    machine.must(&format!("sed -i 's/^Auth/#&/' {DROP_IN}"));
    says("enable --package", "An administrator deleted");
    says("enable", "somebody changed it");
    machine.must(&format!(
        "sed -i -e 's/^#Auth/Auth/' -e 's/%f/%f --chain \\/usr\\/bin\\/admin_keys/' {DROP_IN}"
    ));
    says("enable --package", "already");
    says("disable", "sshd still uses EC2 Instance Connect");
    machine.must(&format!(
        "test -e {DROP_IN}; sed -i -e 's/ --chain.*//' {DROP_IN}; echo MaxAuthTries 9 >>{DROP_IN}"
    ));
    says("disable", "no longer");
    assert_eq!(machine.must(&format!("cat {DROP_IN}")), "MaxAuthTries 9\n");
}

#[test]
fn a_command_that_leans_on_our_user_line_keeps_the_hook() {
    if !ready("a command that leans on ours") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    assert_eq!(run(&machine, "enable").status, 0);
    machine.must("echo 'AuthorizedKeysCommand /usr/bin/admin_keys' >>/etc/ssh/sshd_config");
    let refused = run(&machine, "disable");
    assert_eq!(refused.status, 1);
    assert!(
        refused
            .stdout
            .contains("sshd would not start without the lines of EC2 Instance Connect"),
        "{}",
        refused.stdout
    );
    machine.must(&format!("test -e {DROP_IN}; sshd -t"));
}

#[test]
fn a_unit_s_drop_in_is_made_anew_when_the_vendor_s_line_changes() {
    if !ready("a vendor's line that changes") {
        return;
    }
    let machine = Machine::boot(Bookworm, "sed -i /^Include/d /etc/ssh/sshd_config");
    assert_eq!(run(&machine, "enable").status, 0);
    machine.must("sed -i 's/sshd -D/sshd -D -e/' /lib/systemd/system/ssh.service; systemctl daemon-reload");
    let status = run(&machine, "status");
    assert!(
        status.stdout.contains("the ExecStart of ssh.service has changed since"),
        "{}",
        status.stdout
    );
    assert_eq!(run(&machine, "enable --package").status, 0);
    machine.must(
        "grep -q '^ExecStart=/usr/sbin/sshd -D -e ' /etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf",
    );
    assert!(machine.gets_in("ann", "pushed"));
    let mut open = machine.connect();
    assert_eq!(run(&machine, "disable").status, 0);
    assert!(open.goes_on());
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
    machine.must("! test -e /etc/systemd/system/ssh.service.d");
}

#[test]
fn without_a_reload_the_running_sshd_is_left_alone_and_status_says_so() {
    if !ready("--no-reload") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    assert!(
        run(&machine, "enable --no-reload")
            .stdout
            .contains("sshd was not reloaded (--no-reload)")
    );
    assert!(machine.gets_in("ann", "own") && !machine.logs_in("ann", "pushed"));
    let status = run(&machine, "status");
    assert!(
        status.stdout.contains("problem: sshd-not-up-to-date: "),
        "{}",
        status.stdout
    );
    assert_eq!(status.status, 1);
    machine.must("systemctl reload ssh");
    assert!(machine.gets_in("ann", "pushed"));
    let status = run(&machine, "status");
    assert!(
        status.stdout.contains(", up-to-date, hooked, ssh.service\n"),
        "{}",
        status.stdout
    );
    assert_eq!(status.status, 0);
}

#[test]
fn status_tells_each_match_block_in_which_another_pair_is_in_effect() {
    if !ready("status by Match block") {
        return;
    }
    let machine = Machine::root(
        Bookworm,
        "printf 'Match User git # why\\nAuthorizedKeysCommand /bin/git %%u\\nMatch User x\\nBanner none\\n\
         Match User y\\nAuthorizedKeysCommandUser z\\n' >>/etc/ssh/sshd_config",
    );
    let line = |text: &str| machine.must(&format!("grep -n '{text}' /etc/ssh/sshd_config | cut -d: -f1"));
    let place = |text: &str| format!("/etc/ssh/sshd_config:{}", line(text).trim());
    let ran = machine.run("ec2-instance-connect status --json");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(told["command"], Value::Null);
    let git = json!({
        "criteria": "User git # why", "place": place("^Match User git"),
        "command": { "value": "/bin/git %u", "place": place("/bin/git") }, "user": null,
    });
    let y = json!({
        "criteria": "User y", "place": place("^Match User y"),
        "command": null, "user": { "value": "z", "place": place("User z") },
    });
    assert_eq!(told["matches"], json!([git, y]));
    let text = machine.run("ec2-instance-connect status").stdout;
    assert!(
        text.contains("  match: User git # why\n    from: /etc/ssh/sshd_config:"),
        "{text}"
    );
    assert!(text.contains("    command: /bin/git %u\n      from: /etc"), "{text}");
}

#[test]
fn a_configuration_that_may_not_be_read_is_unknown() {
    if !ready("status as another user") {
        return;
    }
    let machine = Machine::root(Bookworm, "chmod 600 /etc/ssh/sshd_config; chmod 666 /dev/null");
    let ran = machine.run("setpriv --reuid nobody --clear-groups ec2-instance-connect status");
    assert!(ran.stdout.starts_with("unknown\n"), "{ran:?}");
    assert_eq!(ran.status, 1);
}
