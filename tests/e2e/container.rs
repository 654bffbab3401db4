//! A booted operating system in a container with the test's network: systemd, its journal, and sshd as packaged.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use emulator::instance::{Machine, write_sysfs};
use emulator::{Certificate, Emulator};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::built::target;
use crate::child::{Daemon, Outcome, run, wait_for};
use crate::dev_log::LogLine;
use crate::machine::{HOMES, become_instance, make_homes};
use crate::namespaces::{SCRATCH, overlay};
use crate::ssh::HOST;
use crate::tools::{Tool, skipped};
use crate::{sshd, world};

/// The tools that it needs.
pub(crate) const TOOLS: [Tool; 3] = [
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/usr/bin/nsenter", "util-linux"),
];

/// The additional packages in the operating system.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,openssh-server,ca-certificates";

/// How long it may take to boot; on an idle machine it takes one second.
const BOOT: Duration = Duration::from_secs(60);

/// A root file system of this machine's own release, made once and kept. If that is not possible, the test is skipped.
pub(crate) fn file_system() -> Option<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match MADE.get_or_init(make_file_system) {
        Ok(path) => Some(path),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

fn make_file_system() -> Result<PathBuf, String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.ok_or("this OS names no release that debootstrap knows")?;
    let made = target().join(format!("e2e/{codename}"));
    if made.exists() {
        return Ok(made);
    }
    let mut ask = Command::new("apt-get");
    ask.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)"]);
    let told = run(&mut ask, Duration::from_secs(30));
    let mirror = told
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix(codename)?.strip_prefix(' '));
    let mirror = mirror.ok_or_else(|| format!("apt knows no mirror of {codename} (apt-get update)"))?;
    let unfinished = made.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).expect("the target folder is ours");
    let mut debootstrap = Command::new("/usr/sbin/debootstrap");
    debootstrap
        .args(["--variant=minbase", "--include", PACKAGES, codename])
        .arg(&unfinished)
        .arg(mirror);
    let outcome = run(&mut debootstrap, Duration::from_secs(580));
    if outcome.status != Some(0) {
        let last = outcome.stdout.lines().last().unwrap_or_default();
        return Err(format!("debootstrap of {codename} failed: {last}"));
    }
    fs::rename(&unfinished, &made).expect("the target folder is ours");
    Ok(made)
}

/// A booted operating system, shut down when this value is dropped.
pub(crate) struct Container {
    daemon: Daemon,
    root: PathBuf,
}

impl Container {
    /// Boots a copy of that file system as the emulator's instance, with the test's network.
    pub(crate) fn boot(file_system: &Path, emulator: &Emulator) -> Self {
        let scratch = Path::new(SCRATCH);
        let root = scratch.join("root");
        fs::create_dir(&root).expect("the folder is ours");
        overlay(file_system, "root", &root);
        let anchors: Vec<Certificate> = emulator.pki().anchors;
        become_instance(&root, &anchors);
        make_homes(&root.join(HOMES.trim_start_matches('/')));
        let settings = format!("{}LogLevel VERBOSE\n", sshd::hook());
        fs::write(
            root.join("etc/ssh/sshd_config.d/60-ec2-instance-connect.conf"),
            settings,
        )
        .expect("it is a copy");

        let sysfs = scratch.join("sysfs");
        write_sysfs(&sysfs, &Machine::Nitro(world::INSTANCE.to_owned())).expect("it is ours");
        let firmware = "/sys/devices/virtual";
        let overlay = format!("--overlay-ro={firmware}:{}/devices/virtual:{firmware}", sysfs.display());
        let (process, thread) = (std::process::id(), nix::unistd::gettid());
        let network = format!("--network-namespace-path=/proc/{process}/task/{thread}/ns/net");
        let directory = format!("--directory={}", root.display());
        let words = [
            "/usr/bin/systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            &directory,
            &network,
        ];
        let words = [&words[..], &[&overlay, "--boot"]].concat();
        let daemon = Daemon::start(&words, &scratch.join("boot")).with_grace(Duration::from_secs(20));
        let mut container = Self { daemon, root };
        let listens = wait_for(BOOT, || {
            let listens = TcpStream::connect((HOST, 22)).is_ok();
            (listens || container.daemon.has_ended()).then_some(listens)
        });
        let said = fs::read(scratch.join("boot")).unwrap_or_default();
        assert_eq!(listens, Some(true), "{}", String::from_utf8_lossy(&said));
        container
    }

    /// The host's key.
    pub(crate) fn host_key(&self) -> String {
        let file = self.root.join("etc/ssh/ssh_host_ed25519_key.pub");
        let line = fs::read_to_string(file).expect("the package makes one");
        line.trim_end().to_owned()
    }

    /// The PID of the container's first process outside the container.
    fn leader(&self) -> Option<Pid> {
        let pid = self.daemon.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split(' ').next()?.parse().ok().map(Pid::from_raw)
    }

    /// Runs a program in the container.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        let leader = self.leader().map_or_else(String::new, |pid| pid.to_string());
        let mut nsenter = Command::new("/usr/bin/nsenter");
        nsenter.args(["--target", &leader, "--all", "--"]).args(words);
        run(&mut nsenter, Duration::from_secs(20))
    }

    /// The journal's lines of sshd and of the program.
    pub(crate) fn journal(&self) -> Vec<LogLine> {
        let outcome = self.run(&["journalctl", "--no-pager", "--output=json"]);
        let entries = outcome
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = entries.filter_map(|entry| {
            let number = |name: &str| entry[name].as_str().and_then(|text| text.parse::<u8>().ok());
            Some(LogLine {
                at: None,
                priority: number("SYSLOG_FACILITY")
                    .zip(number("PRIORITY"))
                    .map(|(facility, level)| facility * 8 + level),
                tag: entry["SYSLOG_IDENTIFIER"].as_str()?.to_owned(),
                text: entry["MESSAGE"].as_str()?.to_owned(),
            })
        });
        lines.filter(|line| line.is_sshd() || line.is_ours()).collect()
    }
}

impl Drop for Container {
    /// If systemd does not shut down, its first process is killed, and all others with it.
    fn drop(&mut self) {
        let leader = self.leader();
        if !self.daemon.end()
            && let Some(leader) = leader
        {
            // This fails if it has just ended.
            kill(leader, Signal::SIGKILL).ok();
        }
    }
}
