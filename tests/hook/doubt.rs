//! Systems with a fault, deliberate or accidental: `enable` and `disable` change nothing, or roll the change back.

use crate::families::rpm;
use crate::machine::Machine;
use crate::releases::Release::Bookworm;
use crate::steps::{Seen, run};
use crate::surroundings::ready;

/// `enable` prints this and changes nothing.
fn left(name: &str, prepare: &str, status: i32, words: &str) {
    if !ready(name) {
        return;
    }
    let machine = Machine::boot(Bookworm, prepare);
    let before = Seen::of(&machine, true);
    let mut open = machine.connect();
    let enabled = run(&machine, "enable");
    assert!(enabled.stdout.contains(words), "{}", enabled.stdout);
    assert_eq!(enabled.status, status);
    assert_eq!(Seen::of(&machine, true), before);
    assert!(open.goes_on());
}

#[test]
fn an_sshd_that_hangs_when_asked_is_given_up_and_left_alone() {
    left(
        "an sshd that hangs",
        sshd!("*' -h '*) exec sleep 1000"),
        1,
        "sshd could not be run to check its configuration: it did not answer within 30 seconds. Nothing was changed",
    );
}

#[test]
fn an_sshd_that_does_not_start_again_is_started_as_it_was() {
    left(
        "an sshd that does not start again",
        concat!(
            "sed -i /^Include/d /etc/ssh/sshd_config; ",
            sshd!("*' -D '*libexec/ec2-instance-connect*) exit 1")
        ),
        1,
        "ssh.service did not start again",
    );
}

#[test]
fn an_sshd_that_does_not_start_again_without_the_hook_keeps_it() {
    if !ready("an sshd that does not start without the hook") {
        return;
    }
    let machine = Machine::boot(Bookworm, "sed -i /^Include/d /etc/ssh/sshd_config");
    run(&machine, "enable");
    let enabled = Seen::of(&machine, true);
    let markers = machine.must("cat /var/lib/ec2-instance-connect/hooked");
    machine.must(sshd!("*' -D '*libexec/ec2-instance-connect*) ;;\n*' -D '*) exit 1"));
    let disabled = run(&machine, "disable");
    assert!(
        disabled.stdout.contains("ssh.service did not start again"),
        "{}",
        disabled.stdout
    );
    assert_eq!(disabled.status, 1);
    assert_eq!(Seen::of(&machine, true), enabled);
    assert_eq!(machine.must("cat /var/lib/ec2-instance-connect/*"), markers);
}

#[test]
fn a_file_that_changes_while_sshd_is_asked_is_not_written_over() {
    if !ready("a file that changes meanwhile") {
        return;
    }
    let machine = Machine::boot(
        Bookworm,
        concat!(
            rpm!(),
            "sed -i /^Include/d /etc/ssh/sshd_config; ",
            sshd!("*' -T '*' -f /run/'*) echo '# by an admin' >>/etc/ssh/sshd_config")
        ),
    );
    let before = machine.must("cat /etc/ssh/sshd_config");
    let enabled = run(&machine, "enable");
    assert!(enabled.stdout.contains("in the meantime"), "{}", enabled.stdout);
    assert_eq!(enabled.status, 1);
    let after = machine.must("cat /etc/ssh/sshd_config");
    assert_eq!(after.replace("# by an admin\n", ""), before);
    assert!(after.contains("# by an admin"));
}

#[test]
fn a_fifo_among_the_drop_ins_is_never_waited_for() {
    if !ready("a FIFO") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    machine.must("mkfifo /etc/ssh/sshd_config.d/10-x.conf");
    let enabled = machine.run("timeout 10 ec2-instance-connect enable");
    assert_eq!(enabled.status, 3);
    assert!(
        enabled
            .stdout
            .contains("/etc/ssh/sshd_config.d/10-x.conf cannot be read"),
        "{}",
        enabled.stdout
    );
}

#[test]
fn whatever_the_umask_nobody_else_can_write_what_is_made() {
    if !ready("a umask of 0") {
        return;
    }
    let machine = Machine::boot(Bookworm, "sed -i /^Include/d /etc/ssh/sshd_config");
    machine.must("umask 0; ec2-instance-connect enable");
    let open = machine.must(
        "test -e /etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf; \
         find /etc/systemd /var/lib/ec2-instance-connect /etc/ssh ! -type l -perm /022",
    );
    assert_eq!(open, "");
}

#[test]
fn a_drop_in_that_is_a_link_goes_itself() {
    if !ready("a drop-in that is a link") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    run(&machine, "enable");
    let drop_in = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";
    machine.must(&format!("mv {drop_in} /srv/kept; ln -s /srv/kept {drop_in}"));
    assert!(run(&machine, "disable").stdout.contains("no longer"));
    machine.must(&format!("test -e /srv/kept; ! test -L {drop_in}; sshd -t"));
}

#[test]
fn as_anybody_but_root_it_says_who_must_run_it() {
    if !ready("enable as another user") {
        return;
    }
    let machine = Machine::root(Bookworm, "chmod 666 /dev/null");
    for verb in ["enable", "enable --dry-run", "disable"] {
        let ran = machine.run(&format!(
            "setpriv --reuid nobody --clear-groups ec2-instance-connect {verb}"
        ));
        assert!(ran.stdout.starts_with("This must be run as root: "), "{ran:?}");
        assert_eq!(ran.status, 1);
    }
}

#[test]
fn without_room_under_run_nothing_is_asked_of_sshd() {
    if !ready("a full /run") {
        return;
    }
    let machine = Machine::root(Bookworm, "mount -t tmpfs -o size=100k run /run");
    let ran = run(&machine, "enable");
    assert!(
        ran.stdout
            .contains("could not be written under /run: only 100 KiB are free, 256 are needed"),
        "{ran:?}"
    );
    assert_eq!(ran.status, 1);
}

#[test]
fn disabling_with_a_broken_configuration_names_what_is_broken() {
    if !ready("disable with a broken configuration") {
        return;
    }
    for prepare in [
        "",
        concat!(
            rpm!(),
            "sed -i /^Include/d /etc/ssh/sshd_config; rm -r /etc/ssh/sshd_config.d"
        ),
    ] {
        let machine = Machine::boot(Bookworm, prepare);
        assert_eq!(run(&machine, "enable").status, 0);
        let line = machine.must("echo NoSuchOption yes >>/etc/ssh/sshd_config; wc -l </etc/ssh/sshd_config");
        let before = Seen::of(&machine, true);
        let disabled = run(&machine, "disable");
        let words = format!(
            "sshd does not start with its present configuration: /etc/ssh/sshd_config: line {}",
            line.trim()
        );
        assert!(disabled.stdout.starts_with(&words), "{}", disabled.stdout);
        assert!(!disabled.stdout.contains("/run/"), "{}", disabled.stdout);
        assert_eq!(disabled.status, 3);
        assert_eq!(Seen::of(&machine, true), before);
    }
}

#[test]
fn disabling_says_so_where_the_lines_may_be_in_a_file_that_is_not_read() {
    if !ready("disable with a very long configuration") {
        return;
    }
    let machine = Machine::root(Bookworm, concat!(rpm!(), "sed -i /^Include/d /etc/ssh/sshd_config"));
    assert_eq!(run(&machine, "enable").status, 0);
    machine.must("grep -q 'BEGIN ec2' /etc/ssh/sshd_config; yes '# x' | head -n 300000 >>/etc/ssh/sshd_config");
    for (what, status) in [("disable --package", 0), ("disable", 3)] {
        let disabled = run(&machine, what);
        assert!(
            disabled
                .stdout
                .contains("it is larger than 1048576 bytes, so this program cannot tell which"),
            "{disabled:?}"
        );
        assert_eq!(disabled.status, status);
    }
}

#[test]
fn what_sshd_says_of_a_copy_is_told_of_the_file() {
    if !ready("an sshd that refuses the copy") {
        return;
    }
    left(
        "an sshd that refuses the copy",
        sshd!("*' -t -f /run/'*'/0 '*) echo \"${*##* -f }\" >&2; exit 1"),
        3,
        "sshd would not start with EC2 Instance Connect enabled: /etc/ssh/sshd_config",
    );
}
