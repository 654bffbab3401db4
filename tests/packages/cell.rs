//! One cell of the table: a system with IMDS, and the effect of each step on sshd, logins and files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use emulator::{Emulator, Fault, Options};
use nix::sched::{CloneFlags, setns};

use crate::machine::{Machine, Open, Ran};
use crate::made::{INSTANCE, made};
use crate::system::System;
use crate::table::{Row, record};

/// Which command sshd runs, according to sshd and to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pair {
    /// None.
    None,
    /// Our program, at its own path.
    Ours,
    /// Our program, through the link at AWS's path.
    OursByLink,
    /// AWS's program.
    Aws,
    /// An administrator's command.
    Other,
}

/// The expected state after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) pair: Pair,
    pub(crate) login: bool,
}

pub(crate) const NOBODY: Now = Now {
    pair: Pair::None,
    login: false,
};
pub(crate) const OURS: Now = Now {
    pair: Pair::Ours,
    login: true,
};
pub(crate) const OURS_BY_LINK: Now = Now {
    pair: Pair::OursByLink,
    login: true,
};
pub(crate) const AWS: Now = Now {
    pair: Pair::Aws,
    login: true,
};

/// How the list of left files names the package that dnf installs together with our rpm.
pub(crate) const SELINUX: &str = "its SELinux module's package";

/// How long sshd may take to be reloaded or restarted.
const RELOADED: Duration = Duration::from_secs(10);

/// The settings that sshd reports as in effect, with the options from its unit.
const EFFECTIVE: &str = r#"
SSHD_OPTS=; OPTIONS=
for file in /etc/default/ssh /etc/sysconfig/sshd; do if [ -e $file ]; then . $file; fi; done
line=$(systemctl cat $UNIT | sed -n 's/^ExecStart=//p' | tail -n 1 | sed 's/%%/%/g')
eval "set -- $line"
shift
made=; [ -d /run/sshd ] || { mkdir /run/sshd; made=yes; }
/usr/sbin/sshd -T "$@" -C user=ann,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22 | grep '^authorizedkeyscommand'
[ -z $made ] || rmdir /run/sshd
"#;

/// Prints names, types, modes and owners of all files that packages and their scripts could leave, in `/etc` also their
/// contents. It omits users, which other tests check, and files that a first boot makes. Of directories, it prints only those
/// in /usr/share, and those of this package and of sshd; others may belong to other packages.
pub(crate) const FILES: &str = r#"
cd /
set -f
others="-path var/lib/dpkg -o -path var/lib/apt -o -path var/lib/rpm -o -path var/lib/dnf -o -path var/lib/cloud"
others="$others -o -path var/lib/private -o -path var/lib/systemd/timers -o -path var/lib/systemd/catalog"
others="$others -o -path var/lib/systemd/random-seed -o -path var/lib/systemd/linger -o -path etc/apt -o -path etc/yum.repos.d"
others="$others -o -path etc/pki -o -path etc/ssl/certs -o -path etc/mtab -o -path etc/resolv.conf -o -path etc/machine-id"
others="$others -o -path etc/ld.so.cache -o -path etc/passwd* -o -path etc/group* -o -path etc/*shadow* -o -path etc/sub?id*"
others="$others -o -path etc/ssh/ssh_host_* -o -path etc/cloud -o -path etc/hostname -o -path etc/hosts -o -name first-boot.service"
others="$others -o -name .pwd.lock -o -name .updated -o -name __pycache__"
find etc opt usr var/lib home -xdev '(' $others ')' -prune -o \
    ! '(' -type d ! -path *ec2-instance-connect* ! -path */ssh*.d ! -path etc/ssh ! -path usr/share/* ')' -printf '%p\t%y %m %U:%G %l\n'
find run -maxdepth 1 -name *ec2-instance-connect* -printf '%p\t%y %m %U:%G %l\n'
find etc -xdev '(' $others ')' -prune -o -type f -exec sha256sum {} + | sed 's/^\([^ ]*\)  \(.*\)/\2#content\t\1/'
"#;

pub(crate) type Files = BTreeMap<String, String>;

/// A booted system.
pub(crate) struct Cell {
    name: String,
    pub(crate) system: System,
    pub(crate) machine: Machine,
    emulator: Emulator,
    open: Option<Open>,
    /// The states so far, as rows of the table.
    before: String,
    baseline: Files,
}

impl Cell {
    /// Boots a system after `prepare` has run in its root; `now` is the expected state.
    pub(crate) fn boot(name: &str, system: System, prepare: &str, now: Now) -> Self {
        Self::of(name, system, Machine::boot(system.image(), prepare), now)
    }

    /// The same, of what `prepare` has installed, or let the boot install: that is the first row.
    pub(crate) fn boot_installed(name: &str, system: System, prepare: &str) -> Self {
        let machine = Machine::boot(system.image(), prepare);
        let mut cell = Self::of(name, system, machine, OURS);
        cell.before = "not asked".to_owned();
        let open = cell.open.take();
        cell.judge("installed before", &Ran::default(), OURS);
        cell.open = open;
        cell
    }

    /// The cell of a machine that is up.
    fn of(name: &str, system: System, machine: Machine, now: Now) -> Self {
        let emulator = play_imds(&machine);
        let anchors: String = emulator.pki().anchors.iter().map(emulator::Certificate::pem).collect();
        machine.must(&format!("cat >>{} <<'END'\n{anchors}END\n", system.roots()));
        let open = machine.connect();
        let mut cell = Self {
            name: name.replace('_', " "),
            system,
            machine,
            emulator,
            open: Some(open),
            before: String::new(),
            baseline: Files::new(),
        };
        cell.baseline = files(&cell.machine.must("cat /var/tmp/baseline"));
        cell.before = cell.tell(now);
        assert_eq!(cell.wait_for(now), now, "at first");
        cell
    }

    /// Runs a script that must succeed and lead to `now`, and adds a row.
    pub(crate) fn step(&mut self, what: &str, script: &str, now: Now) -> String {
        // Many steps within a minute would reach systemd's start limit of a unit.
        self.machine
            .must(&format!("systemctl reset-failed {}", self.system.unit()));
        let ran = self.machine.run(script);
        println!(
            "== {}: {what}\n$ {script}\n{}{}-> {}",
            self.name, ran.stdout, ran.stderr, ran.status
        );
        self.judge(what, &ran, now)
    }

    /// Adds the row for this step, and asserts that it led to `now`.
    pub(crate) fn judge(&mut self, what: &str, ran: &Ran, now: Now) -> String {
        let seen = self.wait_for(now);
        let told = self.tell(seen);
        let goes_on = self.open.as_mut().is_none_or(Open::goes_on);
        record(Row {
            cell: self.name.clone(),
            step: what.to_owned(),
            before: self.before.clone(),
            after: told.clone(),
            open: self.open.as_ref().map(|_| goes_on),
            files: self.left(),
        });
        assert_eq!(ran.status, 0, "{what}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(seen, now, "{what}: {}", self.log());
        assert!(goes_on, "{what}: the open connection ended");
        assert!(
            self.machine.logs_in("ann", "own"),
            "{what}: a key in a file gets nobody in"
        );
        let failed = self.machine.run("systemctl --failed --plain --no-legend 'ssh*'").stdout;
        assert_eq!(failed, "", "{what}: a unit of sshd has failed");
        self.before = told;
        ran.stdout.clone() + &ran.stderr
    }

    /// The lines in effect, whether the listener has them on its command line (which a reload keeps), and the login.
    fn tell(&self, now: Now) -> String {
        let pair = match now.pair {
            Pair::None => "none",
            Pair::Ours => "ours",
            Pair::OursByLink => "AWS's path, a link to ours",
            Pair::Aws => "AWS's",
            Pair::Other => "an admin's",
        };
        let ask =
            "tr '\\0' ' ' </proc/$(systemctl show -P MainPID $UNIT)/cmdline | grep -o '[^ ]*/eic_run_authorized_keys'";
        let on_command_line = self.machine.run(&format!("UNIT={}; {ask}", self.system.unit())).stdout;
        let listener = match on_command_line.trim() {
            "" => "",
            path if path.starts_with("/usr/libexec") => " (listener: ours)",
            _ => " (listener: AWS's path)",
        };
        format!("{pair}{listener}, {}", if now.login { "in" } else { "not in" })
    }

    /// Restarts sshd, including its connections, which must lead to `now`.
    pub(crate) fn restart_ssh(&mut self, now: Now) {
        self.open = None;
        self.step(
            "an admin restarts sshd",
            &format!("systemctl restart {}", self.system.unit()),
            now,
        );
        self.open = Some(self.machine.connect());
    }

    fn log(&self) -> String {
        self.machine
            .run(&format!(
                "journalctl -u {} -t ec2-instance-connect --no-pager | tail -n 20; ec2-instance-connect status",
                self.system.unit()
            ))
            .stdout
    }

    /// The state, as soon as it is as expected, or after the time limit.
    fn wait_for(&self, now: Now) -> Now {
        let end = Instant::now() + RELOADED;
        loop {
            let login = self.login();
            if login == now.login || Instant::now() > end {
                return Now {
                    pair: self.pair(),
                    login,
                };
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Pushes a key, and returns whether a login with it succeeds.
    pub(crate) fn login(&self) -> bool {
        let key = std::fs::read_to_string(made().join("layer/keys/pushed.pub")).expect("prepare made it");
        self.emulator.push("ann", key.trim_end());
        self.machine.logs_in("ann", "pushed")
    }

    /// Runs a script that must succeed, while IMDS does not answer.
    pub(crate) fn while_imds_hangs(&self, script: &str) -> String {
        self.emulator.fault("/", Fault::Hang);
        let said = self.machine.must(script);
        self.emulator.clear_faults();
        said
    }

    /// Which command sshd runs.
    pub(crate) fn pair(&self) -> Pair {
        let said = self.machine.run(&format!("UNIT={}\n{EFFECTIVE}", self.system.unit()));
        let value = |keyword: &str| {
            let mut values = said
                .stdout
                .lines()
                .filter_map(|line| line.strip_prefix(keyword)?.strip_prefix(' '));
            values.next().unwrap_or("none").to_owned()
        };
        let command = value("authorizedkeyscommand");
        let is = |path: &str| {
            command
                .split(' ')
                .next()
                .is_some_and(|word| word.trim_matches('"') == path)
        };
        let pair = if command == "none" {
            Pair::None
        } else if is("/usr/libexec/ec2-instance-connect/eic_run_authorized_keys") {
            Pair::Ours
        } else if !is(self.system.historical()) {
            Pair::Other
        } else if self
            .machine
            .run(&format!("test -L {}", self.system.historical()))
            .status
            == 0
        {
            Pair::OursByLink
        } else {
            Pair::Aws
        };
        if !matches!(pair, Pair::None | Pair::Other) {
            assert_eq!(value("authorizedkeyscommanduser"), "ec2-instance-connect");
        }
        pair
    }

    /// The files that differ from those of the system without the package, except the package's own.
    pub(crate) fn left(&self) -> Vec<String> {
        let now = files(&self.machine.must(FILES));
        let listed = self.machine.run(if self.system.is_deb() {
            "dpkg -L ec2-instance-connect"
        } else {
            "rpm -ql --noghost ec2-instance-connect ec2-instance-connect-selinux"
        });
        // AWS's packages have files in /lib, which is a symbolic link.
        let own = listed.stdout.lines().map(|path| match path.strip_prefix("/lib/") {
            Some(rest) => format!("/usr/lib/{rest}"),
            None => path.to_owned(),
        });
        let own: BTreeSet<String> = own.collect();
        let mut left = BTreeMap::new();
        for path in self.baseline.keys().chain(now.keys()) {
            let (was, is) = (self.baseline.get(path), now.get(path));
            let name = format!("/{}", path.trim_end_matches("#content"));
            if was != is && !own.contains(&name) {
                let how = match (was, is) {
                    (None, _) => "",
                    (_, None) => " (gone)",
                    _ => " (changed)",
                };
                left.insert(name, how);
            }
        }
        // Directories are not listed.
        let is_above = |folder: &str| left.keys().any(|path| path.starts_with(&format!("{folder}/")));
        let named = left.iter().filter(|(path, _)| !is_above(path));
        let mut named: Vec<String> = named.map(|(path, how)| format!("{path}{how}")).collect();
        if self.has_user() {
            named.push("user".to_owned());
        }
        if !self.system.is_deb() && self.machine.run("rpm -q ec2-instance-connect-selinux").status == 0 {
            named.push(SELINUX.to_owned());
        }
        named
    }

    /// An administrator's changes to AWS's lines: options of the command, and further settings.
    pub(crate) fn edited(&self) -> String {
        self.machine.run("grep -hrE '^LogLevel|--timeout' /etc/ssh").stdout
    }

    /// The package's version.
    pub(crate) fn version(&self) -> String {
        let ask = if self.system.is_deb() {
            "dpkg-query -W -f '${Version}' ec2-instance-connect"
        } else {
            "rpm -q ec2-instance-connect"
        };
        self.machine.must(ask)
    }

    /// Whether the program's user exists.
    pub(crate) fn has_user(&self) -> bool {
        self.machine.run("getent passwd ec2-instance-connect").status == 0
    }
}

/// The output of [`FILES`].
fn files(listed: &str) -> Files {
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(path, what)| (path.to_owned(), what.to_owned())).collect()
}

/// IMDS in the machine's network, at its address.
pub(crate) fn play_imds(machine: &Machine) -> Emulator {
    let network = machine.network();
    let play = move || {
        let network = File::open(network).expect("the machine is up");
        setns(network, CloneFlags::CLONE_NEWNET).expect("root may enter it");
        let options = Options {
            instance_id: INSTANCE.to_owned(),
            imds_addresses: vec![SocketAddr::from(([169, 254, 169, 254], 80))],
            ..Options::default()
        };
        Emulator::start(options).expect("the address is the machine's")
    };
    // The thread, and therefore the emulator, is in the namespace.
    thread::spawn(play).join().expect("it started")
}
