//! The assertions for each set-up: before `enable`, after it, after a second `enable`, and after `disable`.

use std::collections::BTreeMap;

use crate::machine::{Machine, Ran};
use crate::releases::Release;
use crate::surroundings::ready;

/// A configuration of sshd, and what `enable` must do with it.
pub(crate) struct Setup {
    /// The release whose root directory is used.
    pub(crate) release: Release,
    /// Runs in the root directory before the boot.
    pub(crate) prepare: &'static str,
    /// Runs in the container after the boot.
    pub(crate) live: &'static str,
    /// What `enable` must do.
    pub(crate) expected: Expected,
    /// The exit status of `disable`: 3 if lines of an administrator stay in effect, or nothing can be changed.
    pub(crate) disabled: i32,
    /// Whether sshd accepts connections.
    pub(crate) serving: bool,
}

/// What `enable` must do.
pub(crate) enum Expected {
    /// Exactly these files are created or changed, and the pushed key logs in.
    Hooked(&'static [&'static str]),
    /// As [`Expected::Hooked`], but only after the next restart of sshd, as the output says.
    AtRestart(&'static [&'static str]),
    /// AWS's package has configured sshd: nothing changes, and the pushed key logs in. `disable` removes its lines from these
    /// files.
    ByAws(&'static [&'static str]),
    /// Nothing changes, the output gives this reason, and the exit status is 3.
    Left(&'static str),
    /// Nothing changes, as sshd is already configured so; the output contains these words.
    Already(&'static str),
    /// Nothing changes, the output gives this reason, and the exit status is 1.
    Failed(&'static str),
}

/// What is compared before and after each call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The output of `sshd -T` for two users, with the unit's options.
    effective: String,
    /// The type, mode, owner and contents of each file in the directories that the program may write to.
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

/// sshd's unit creates and removes `/run/sshd`, so it is included only if no sshd runs.
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

    /// The command and its user that `sshd -T` prints, for both users.
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

/// Runs the program in the container, and prints its output.
pub(crate) fn run(machine: &Machine, what: &str) -> Ran {
    let ran = machine.run(&format!("ec2-instance-connect {what}"));
    println!(
        "$ ec2-instance-connect {what}\n{}{}-> {}",
        ran.stdout, ran.stderr, ran.status
    );
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    ran
}

/// Boots the set-up, and runs `enable`, `enable` again and `disable`.
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
        "a second enable changes nothing"
    );

    assert_eq!(run(&machine, "disable --dry-run").status, setup.disabled);
    // A running sshd that has not read its files, and cannot, may behave differently.
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
        assert_eq!(at_last.files, before.files, "disable restores every file");
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
            assert!(said.contains("because of a line of AWS's package"), "{said}");
            assert_eq!(before, after, "nothing is changed");
            assert!(!setup.serving || after.pushed);
            let status = run(machine, "status");
            assert!(status.stdout.starts_with("hooked-by-aws\n"));
        }
        Expected::Hooked(written) | Expected::AtRestart(written) => {
            assert_eq!(differences(&before.files, &after.files), *written);
            assert_eq!(before.others(), after.others(), "nothing else changes");
            assert_eq!(after.own, setup.serving, "logins by authorized_keys still work");
            let at_once = matches!(setup.expected, Expected::Hooked(_));
            assert_eq!(after.pushed, setup.serving && at_once, "whether the pushed key logs in");
            assert_eq!(said.contains("next restart"), !at_once, "{said}");
            let status = run(machine, "status");
            let word = if at_once { "hooked\n" } else { "broken\n" };
            assert!(status.stdout.starts_with(word), "{}", status.stdout);
            assert_eq!(status.status, i32::from(!at_once));
        }
    }
}

/// The files that differ, without directories.
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
