//! `kill -9` at any moment of `enable` and `disable`: sshd can still start, and the next call finishes the work.

use std::time::Instant;

use crate::machine::Machine;
use crate::releases::Release::Bookworm;
use crate::status::is;
use crate::steps::run;
use crate::surroundings::ready;

/// Kills the program after delays that are spread over the time that it takes. If a package's removal is killed and repeated, it
/// must not take what the first attempt did for an administrator's change.
const KILL: &str = r#"
for verb in enable disable 'disable --package'; do
    at=0
    while [ $at -lt 60 ]; do
        ec2-instance-connect enable --no-reload >/dev/null
        [ "$verb" = enable ] && ec2-instance-connect disable --no-reload >/dev/null
        ec2-instance-connect $verb --no-reload >/dev/null &
        sleep 0.$(printf %03d $((at * 4)))
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        sshd -t || { echo "sshd would not start after $at of $verb"; exit 1; }
        for file in $(find /etc/ssh /etc/systemd/system -name '*ec2-instance-connect*'); do
            case $file in
                */60-ec2-instance-connect.conf) [ -s $file ] || { echo "$file is empty after $at of $verb"; exit 1; } ;;
                *.conf) echo "$file is read by sshd or systemd"; exit 1 ;;
            esac
        done
        if [ "$verb" = 'disable --package' ]; then
            ec2-instance-connect disable --package --no-reload >/dev/null
            [ ! -e /etc/ec2-instance-connect ] || { echo "taken for an administrator's after $at of $verb"; exit 1; }
        fi
        at=$((at + 1))
    done
done
"#;

fn check(prepare: &str) {
    if !ready("interruptions") {
        return;
    }
    let machine = Machine::boot(Bookworm, prepare);
    let before = machine.must("cat /etc/ssh/sshd_config; ls /etc/ssh /etc/ssh/sshd_config.d");
    let killed = machine.run(KILL);
    assert_eq!(killed.status, 0, "{}{}", killed.stdout, killed.stderr);
    assert_eq!(run(&machine, "enable").status, 0);
    assert!(machine.gets_in("ann", "pushed"));
    assert_eq!(run(&machine, "disable").status, 0);
    let left = machine.must("cat /etc/ssh/sshd_config; ls /etc/ssh /etc/ssh/sshd_config.d; ");
    assert_eq!(left, before);
    assert_eq!(
        machine.must("find /run /etc -name '*.ec2-instance-connect-new' -o -name '*ec2-instance-connect.scratch'"),
        ""
    );
}

/// At how many moments a call is killed.
const MOMENTS: u32 = 12;

/// Kills a call at moments that are spread over the time that it takes, with sshd running. The same call then finishes the work,
/// and logins work as configured.
fn check_running(prepare: &str) {
    if !ready("interruptions with a running sshd") {
        return;
    }
    let machine = Machine::boot(Bookworm, prepare);
    // This test restarts sshd more often than systemd allows by default.
    machine.must(
        "mkdir -p /run/systemd/system/ssh.service.d; \
         printf '[Unit]\\nStartLimitIntervalSec=0\\n' >/run/systemd/system/ssh.service.d/limit.conf; systemctl daemon-reload",
    );
    let took = |verb: &str| {
        let start = Instant::now();
        assert_eq!(run(&machine, &format!("{verb} --package")).status, 0);
        start.elapsed()
    };
    for (verb, back) in [("enable", "disable"), ("disable", "enable")] {
        took(back);
        let whole = took(verb);
        for moment in 0..MOMENTS {
            took(back);
            let delay = (whole * moment / MOMENTS).as_secs_f64();
            machine.must(&format!(
                "ec2-instance-connect {verb} --package >/dev/null 2>&1 & sleep {delay:.3}; kill -9 $!; wait $!; true"
            ));
            println!("killed after {delay:.3} s of {verb}");
            // dpkg and rpm repeat an interrupted call.
            took(verb);
            assert!(machine.gets_in("ann", "own"));
            let is_on = verb == "enable";
            assert_eq!(machine.logs_in("ann", "pushed"), is_on);
            let (state, exit) = if is_on { ("hooked", 0) } else { ("not-hooked", 3) };
            is(&machine, state, exit, &[]);
        }
    }
    // An interrupted removal does not count as an administrator's decision.
    machine.must("! test -e /etc/ec2-instance-connect/disabled");
}

#[test]
fn of_a_drop_in_that_a_running_sshd_reads() {
    check_running("");
}

#[test]
fn of_options_that_a_running_sshd_is_restarted_with() {
    check_running("sed -i /^Include/d /etc/ssh/sshd_config");
}

#[test]
fn of_a_drop_in() {
    check("");
}

#[test]
fn of_a_unit_s_drop_in() {
    check("sed -i /^Include/d /etc/ssh/sshd_config; mkdir -p /etc/ssh/sshd_config.d");
}

#[test]
fn of_a_block_in_sshd_config() {
    check("sed -i /^Include/d /etc/ssh/sshd_config; rm -f /etc/os-release; echo ID=amzn >/etc/os-release");
}

#[test]
fn two_at_once_wait_for_each_other() {
    if !ready("two at once") {
        return;
    }
    let machine = Machine::boot(Bookworm, "");
    machine.must(
        "for i in 1 2 3 4 5 6; do ec2-instance-connect enable & ec2-instance-connect disable & done; wait; \
         sshd -t; ec2-instance-connect enable; ec2-instance-connect status; test ! -e /run/ec2-instance-connect.lock",
    );
    assert!(machine.gets_in("ann", "pushed"));
}
