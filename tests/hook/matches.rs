//! Many Match blocks: the program runs sshd for one block of each kind, and stops before a package's script takes too long.

use crate::machine::Machine;
use crate::releases::Release::Bookworm;
use crate::steps::run;
use crate::surroundings::ready;

#[test]
fn of_two_hundred_alike_only_a_few_are_asked_about() {
    if !ready("two hundred Match blocks") {
        return;
    }
    let machine = Machine::boot(
        Bookworm,
        concat!(
            "for i in $(seq 200); do printf 'Match User u%d\\n  ChrootDirectory /srv/%d\\n' $i $i; done >>/etc/ssh/sshd_config\n",
            sshd!("*' -T '*) echo >>/run/asked")
        ),
    );
    let enabled = run(&machine, "enable");
    assert_eq!(enabled.status, 0);
    assert!(!enabled.stdout.contains("was not asked"), "{}", enabled.stdout);
    let asked: usize = machine.must("wc -l </run/asked").trim().parse().unwrap();
    // Once without a block and once for each of eight blocks: before the change, with the changed copy, and after the change.
    assert_eq!(asked, 3 * 9);
    assert!(machine.gets_in("ann", "pushed"));
}

#[test]
fn another_pair_among_two_hundred_is_asked_about() {
    if !ready("one of two hundred Match blocks") {
        return;
    }
    // An sshd that reports another option for the last block alone, as some releases mix options up.
    let machine = Machine::boot(
        Bookworm,
        concat!(
            "for i in $(seq 200); do printf 'Match User u%d\\n  Banner none\\n' $i; done >>/etc/ssh/sshd_config\n\
             printf 'Match User last\\n PermitRootLogin no\\n' >>/etc/ssh/sshd_config\n",
            sshd!(
                "*' -T '*user=last,*' -f /run/'*) sshd.real \"$@\" | sed 's/^permitrootlogin no/permitrootlogin yes/'; exit"
            )
        ),
    );
    let enabled = run(&machine, "enable");
    assert!(
        enabled
            .stdout
            .contains("permitrootlogin no\" for a connection with user=last,"),
        "{}",
        enabled.stdout
    );
    assert_eq!(enabled.status, 3);
}

#[test]
fn an_sshd_that_is_slow_to_answer_is_not_asked_about_all_and_that_is_said() {
    if !ready("a slow sshd") {
        return;
    }
    let machine = Machine::boot(
        Bookworm,
        concat!(
            "for i in $(seq 20); do printf 'Match User u%d\\n  MaxSessions 5\\n' $i; done >>/etc/ssh/sshd_config\n",
            sshd!("*' -T '*user=u*) sleep 0.5")
        ),
    );
    let enabled = run(&machine, "enable");
    assert!(enabled.stdout.contains("was not asked about"), "{}", enabled.stdout);
    assert!(
        enabled
            .stdout
            .contains("of the Match blocks (the first: /etc/ssh/sshd_config:")
    );
    assert_eq!(enabled.status, 0);
    assert!(run(&machine, "status").stdout.contains("was not asked about"));
}
