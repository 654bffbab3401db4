//! What is asserted of each set-up: before, after enabling, after enabling again, after disabling.

use std::collections::BTreeMap;

use crate::machine::{Machine, Ran};
use crate::releases::Release;
use crate::surroundings::ready;

/// A set-up of sshd, and what enabling must come to.
pub(crate) struct Setup {
    /// Which root.
    pub(crate) release: Release,
    /// Runs in the root before the boot.
    pub(crate) prepare: &'static str,
    /// Runs inside after the boot.
    pub(crate) live: &'static str,
    /// What enabling comes to.
    pub(crate) expected: Expected,
    /// What disabling exits with: 3 where lines of somebody's are left in effect, or nothing can be changed.
    pub(crate) disabled: i32,
    /// Whether sshd can be reached at all.
    pub(crate) serving: bool,
}

/// What enabling comes to.
pub(crate) enum Expected {
    /// Exactly these files are written or changed, and the pushed key gets in.
    Hooked(&'static [&'static str]),
    /// As [`Expected::Hooked`], but the running sshd learns of it at its next restart, and says so.
    AtRestart(&'static [&'static str]),
    /// AWS's package did it: nothing is written, the pushed key gets in; disabling takes the pair out of these files.
    ByAws(&'static [&'static str]),
    /// Nothing is changed, and these words say why: exit status 3.
    Left(&'static str),
    /// Nothing is changed, as it is so already.
    Already(&'static str),
    /// Nothing is changed: exit status 1.
    Failed(&'static str),
}

/// Everything that must not change by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `sshd -T` for two users, with the unit's own options.
    effective: String,
    /// Names, types, modes, owners and contents under the folders that could be touched.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) own: bool,
    pub(crate) pushed: bool,
    admin: bool,
}

const EFFECTIVE: &str = "
SSHD_OPTS=; OPTIONS=
for file in /etc/default/ssh /etc/sysconfig/sshd; do if [ -e $file ]; then . $file; fi; done
made=; [ -d /run/sshd ] || { mkdir /run/sshd; made=yes; }
for user in ann bob; do
    eval /usr/sbin/sshd -T $SSHD_OPTS $OPTIONS -C user=$user,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22 2>&1
done | sort
[ -z $made ] || rmdir /run/sshd
";

const FILES: &str = "
cd /
find etc/ssh etc/systemd etc/default usr/lib/systemd/system/ssh* $RUN -printf '%p\\t%y %m %U:%G %l\\t' \
    \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) 2>/dev/null | sort
";

/// `/run/sshd` comes and goes with sshd, so it is looked at only where none runs.
fn files(machine: &Machine, serving: bool) -> BTreeMap<String, String> {
    let run = if serving { "" } else { "RUN=run/sshd" };
    let listed = machine.run(&format!("{run}\n{FILES}")).stdout;
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    lines
        .map(|(path, what)| (format!("/{path}"), what.to_owned()))
        .collect()
}

impl Seen {
    pub(crate) fn of(machine: &Machine, serving: bool) -> Self {
        Self {
            effective: machine.run(EFFECTIVE).stdout,
            files: files(machine, serving),
            own: serving && machine.gets_in("ann", "own"),
            pushed: serving && machine.logs_in("ann", "pushed"),
            admin: serving && machine.logs_in("ann", "admin"),
        }
    }

    /// The pair of command and user that sshd says is in effect, for both users.
    pub(crate) fn pairs(&self) -> Vec<&str> {
        self.effective
            .lines()
            .filter(|line| line.starts_with("authorizedkeyscommand"))
            .collect()
    }

    pub(crate) fn others(&self) -> Vec<&str> {
        self.effective
            .lines()
            .filter(|line| !line.starts_with("authorizedkeyscommand"))
            .collect()
    }
}

/// Runs the program inside, and shows what it said.
pub(crate) fn run(machine: &Machine, what: &str) -> Ran {
    let ran = machine.run(&format!("ec2-instance-connect {what}"));
    println!(
        "$ ec2-instance-connect {what}\n{}{}-> {}",
        ran.stdout, ran.stderr, ran.status
    );
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    ran
}

/// Goes through it all.
pub(crate) fn check(name: &str, setup: &Setup) {
    if !ready(name) {
        return;
    }
    let machine = Machine::boot(setup.release, setup.prepare);
    if !setup.live.is_empty() {
        machine.must(setup.live);
    }
    let before = Seen::of(&machine, setup.serving);
    assert_eq!(
        before.own,
        setup.serving,
        "{}",
        machine.run("journalctl -u ssh* --no-pager").stdout
    );
    println!("before: {:?}", before.pairs());
    let mut open = setup.serving.then(|| machine.connect());

    let dry = run(&machine, "enable --dry-run");
    assert_eq!(
        files(&machine, setup.serving),
        before.files,
        "--dry-run changes nothing"
    );
    let enabled = run(&machine, "enable");
    assert_eq!(
        enabled.status,
        match setup.expected {
            Expected::Left(_) | Expected::AtRestart(_) => 3,
            Expected::Failed(_) => 1,
            _ => 0,
        }
    );
    if !matches!(setup.expected, Expected::AtRestart(_)) {
        assert_eq!(dry.status, enabled.status);
    }
    let after = Seen::of(&machine, setup.serving);
    println!("enabled: {:?}", after.pairs());
    assert!(
        open.as_mut().is_none_or(|open| open.goes_on()),
        "the open connection ended"
    );
    judge(setup, &machine, &before, &after, &enabled);

    let again = run(&machine, "enable");
    assert_eq!(again.status, enabled.status);
    assert_eq!(
        files(&machine, setup.serving),
        after.files,
        "enabling again changes nothing"
    );

    assert_eq!(run(&machine, "disable --dry-run").status, setup.disabled);
    // A running sshd that has not read its files, and cannot, may act otherwise.
    let unread = setup.live.contains("/etc/ssh/sshd_config");
    let disabled = run(&machine, "disable");
    assert_eq!(disabled.status, if unread { 3 } else { setup.disabled });
    let at_last = Seen::of(&machine, setup.serving);
    println!("disabled: {:?}", at_last.pairs());
    assert!(
        open.as_mut().is_none_or(|open| open.goes_on()),
        "the open connection ended"
    );
    if let Expected::ByAws(changed) = setup.expected {
        assert_eq!(differences(&before.files, &at_last.files), changed);
        assert_eq!((at_last.own, at_last.pushed), (setup.serving, false));
        assert_eq!(before.others(), at_last.others());
    } else {
        assert_eq!(at_last.files, before.files, "disabling leaves what was there");
        assert_eq!(at_last, before);
    }
    assert_eq!(run(&machine, "disable").status, disabled.status);
    let failed = machine.run("systemctl --failed --plain --no-legend 'ssh*'").stdout;
    assert_eq!(failed, "", "no unit of sshd has failed");
}

fn judge(setup: &Setup, machine: &Machine, before: &Seen, after: &Seen, enabled: &Ran) {
    let said = &enabled.stdout;
    match &setup.expected {
        Expected::Left(words) | Expected::Failed(words) | Expected::Already(words) => {
            assert!(said.contains(words), "{said}");
            assert_eq!(before, after, "nothing is changed");
        }
        Expected::ByAws(_) => {
            assert!(said.contains("by a line of AWS's package"), "{said}");
            assert_eq!(before, after, "nothing is changed");
            assert!(!setup.serving || after.pushed);
            let status = run(machine, "status");
            assert!(status.stdout.starts_with("hooked-by-aws\n"));
        }
        Expected::Hooked(written) | Expected::AtRestart(written) => {
            assert_eq!(differences(&before.files, &after.files), *written);
            assert_eq!(before.others(), after.others(), "nothing else changes");
            assert_eq!(after.own, setup.serving, "logins by file go on");
            let at_once = matches!(setup.expected, Expected::Hooked(_));
            assert_eq!(after.pushed, setup.serving && at_once, "the pushed key gets in");
            assert_eq!(said.contains("next restart"), !at_once, "{said}");
            let status = run(machine, "status");
            let word = if at_once { "hooked\n" } else { "broken\n" };
            assert!(status.stdout.starts_with(word), "{}", status.stdout);
            assert_eq!(status.status, i32::from(!at_once));
        }
    }
}

/// The files that differ, folders aside.
pub(crate) fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let paths = before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)));
    let differ = paths.filter(|path| before.get(*path) != after.get(*path));
    let is_folder = |path: &&String| {
        [before, after]
            .iter()
            .any(|its| its.get(*path).is_some_and(|what| what.starts_with('d')))
    };
    let mut differ: Vec<String> = differ.filter(|path| !is_folder(path)).cloned().collect();
    differ.sort();
    differ
}
