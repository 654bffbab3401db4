//! A container: an image with a set-up in an overlay, booted in its own namespaces.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a container may take to boot; it takes one or two seconds.
const BOOT_TIME: Duration = Duration::from_secs(60);

/// How long a reload may take to have an effect.
const RELOADED: Duration = Duration::from_secs(10);

/// Makes namespaces, an overlay on a tmpfs and a cgroup, then starts the container.
const START: &str = r#"
set -eu
ip link set lo up
# IMDS's, for who plays it.
ip address add 169.254.169.254/32 dev lo
mount -t tmpfs -o size=1g machine "$FOLDER"
mkdir "$FOLDER/upper" "$FOLDER/work" "$FOLDER/root"
mount -t overlay machine -o "lowerdir=$LAYERS,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
mount --bind /dev "$FOLDER/root/dev"
chroot "$FOLDER/root" sh -euc "$PREPARE" </dev/null >"$FOLDER/prepare.log" 2>&1 || { cat "$FOLDER/prepare.log"; exit 1; }
umount "$FOLDER/root/dev"
if [ "$BOOT" = no ]; then echo prepared; exec sleep 600; fi
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$GROUP"
echo $$ >"/sys/fs/cgroup/$GROUP/cgroup.procs"
exec systemd-nspawn -q --register=no --keep-unit --directory="$FOLDER/root" --network-namespace-path=/proc/$$/ns/net "$@" --boot
"#;

/// The image of a container.
pub(crate) struct Image {
    /// Root directories, the uppermost layer first.
    pub(crate) layers: Vec<PathBuf>,
    /// A script that runs within the root, before each set-up's own script.
    pub(crate) common: String,
    /// systemd-nspawn's options besides the usual ones.
    pub(crate) options: Vec<String>,
}

/// A container, or only its root.
pub(crate) struct Machine {
    child: Child,
    leader: Option<u32>,
    folder: TempDir,
}

impl Machine {
    /// Boots that image after `prepare` has run in its root.
    pub(crate) fn boot(image: impl Into<Image>, prepare: &str) -> Self {
        let mut machine = Self::start(&image.into(), prepare, true);
        let end = Instant::now() + BOOT_TIME;
        loop {
            machine.alive();
            // nspawn first has a helper process, and then the container.
            machine.leader = first_child(machine.child.id());
            let state = match machine.leader {
                Some(_) => machine.run("systemctl is-system-running"),
                None => Ran::default(),
            };
            if ["running", "degraded"].contains(&state.stdout.trim()) {
                return machine;
            }
            assert!(Instant::now() < end, "it is still {}: {}", state.stdout, machine.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A root that is not booted, as for image builders.
    pub(crate) fn root(image: impl Into<Image>, prepare: &str) -> Self {
        let mut machine = Self::start(&image.into(), prepare, false);
        let end = Instant::now() + BOOT_TIME;
        while !machine.log().contains("prepared") {
            machine.alive();
            assert!(Instant::now() < end, "no root was made: {}", machine.log());
            thread::sleep(Duration::from_millis(10));
        }
        machine
    }

    fn start(image: &Image, prepare: &str, boot: bool) -> Self {
        let folder = tempfile::tempdir().expect("there is a place for temporary folders");
        let log = fs::File::create(folder.path().with_extension("log")).expect("the folder is ours");
        let layers: Vec<_> = image.layers.iter().map(|layer| layer.to_string_lossy()).collect();
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--propagation",
                "private",
                "sh",
                "-c",
                START,
                "start",
            ])
            .args(&image.options)
            .env("FOLDER", folder.path())
            .env("GROUP", group(&folder))
            .env("LAYERS", layers.join(":"))
            .env("PREPARE", format!("{}\n{prepare}", image.common))
            .env("BOOT", if boot { "yes" } else { "no" })
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be had twice"))
            .stderr(log)
            .spawn()
            .expect("unshare starts");
        Self {
            child,
            leader: None,
            folder,
        }
    }

    fn log(&self) -> String {
        let log = fs::read(self.folder.path().with_extension("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the child is ours") {
            panic!("the container ended with {status}: {}", self.log());
        }
    }

    /// The root's path, within the namespaces of [`Machine::beside`].
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The network namespace, in which an emulator of IMDS can run.
    pub(crate) fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.leader.unwrap_or(self.child.id())).into()
    }

    fn nsenter(&self) -> Command {
        let mut command = Command::new("nsenter");
        match self.leader {
            Some(leader) => command.args(["-t", &leader.to_string(), "-a"]),
            None => command.args(["-t", &self.child.id().to_string(), "-m", "-n"]),
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Runs a script inside or, if the root is not booted, in a chroot.
    pub(crate) fn run(&self, script: &str) -> Ran {
        let mut command = self.nsenter();
        if self.leader.is_none() {
            command.arg("chroot").arg(self.path());
        }
        Ran::of(command.args(["sh", "-c", script]).stdin(Stdio::null()).output())
    }

    /// Runs a program of this machine that can access the container's root.
    pub(crate) fn beside(&self, program: &Path, arguments: &[&str]) -> Ran {
        let mut command = self.nsenter();
        Ran::of(command.arg(program).args(arguments).stdin(Stdio::null()).output())
    }

    /// As [`Machine::run`], and it must succeed.
    pub(crate) fn must(&self, script: &str) -> String {
        let ran = self.run(script);
        assert_eq!(ran.status, 0, "{script}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Whether this user can log in with this key of [`extras`].
    pub(crate) fn logs_in(&self, user: &str, key: &str) -> bool {
        self.run(&format!("{} true", ssh(user, key))).status == 0
    }

    /// As [`Machine::logs_in`], but while a reload may be in progress: sshd closes its sockets and opens them again.
    pub(crate) fn gets_in(&self, user: &str, key: &str) -> bool {
        let end = Instant::now() + RELOADED;
        while !self.logs_in(user, key) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// Opens a connection that stays open. If each connection has its own sshd, the end of another connection's sshd may
    /// remove `/run/sshd` (Debian 11); it is then tried again.
    pub(crate) fn connect(&self) -> Open {
        let end = Instant::now() + RELOADED;
        loop {
            let mut open = self.begin_connection();
            if open.goes_on() {
                return open;
            }
            assert!(Instant::now() < end, "no connection came about");
        }
    }

    fn begin_connection(&self) -> Open {
        let mut command = self.nsenter();
        command.args(["sh", "-c", &format!("{} cat", ssh("ann", "own"))]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsenter starts");
        let to = child.stdin.take().expect("it is piped");
        let from = BufReader::new(child.stdout.take().expect("it is piped"));
        Open { child, to, from }
    }
}

/// The name of a machine's cgroup.
fn group(folder: &TempDir) -> String {
    let name = folder
        .path()
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    format!("eic-test{name}")
}

fn ssh(user: &str, key: &str) -> String {
    // ssh requires that nobody else can read the key.
    format!(
        "umask 077; cp /keys/{key} /run/key-{key}-$$; ssh -F none -i /run/key-{key}-$$ -o IdentitiesOnly=yes \
         -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {user}@127.0.0.1"
    )
}

fn first_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    // Before it executes nspawn, its children are those of the script.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.trim() == "systemd-nspawn").then_some(child)
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // The whole PID namespace of the container ends with its first process.
            let _ = Command::new("kill").args(["-KILL", &leader.to_string()]).status();
            let end = Instant::now() + Duration::from_secs(5);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Remove the cgroup that START made, wherever cgroup v2 is mounted.
        for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let folder = Path::new(hierarchy).join(group(&self.folder));
            if folder.exists() {
                let find = ["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"];
                let _ = Command::new("find")
                    .arg(folder)
                    .args(find)
                    .stderr(Stdio::null())
                    .status();
            }
        }
        let _ = fs::remove_file(self.folder.path().with_extension("log"));
    }
}

/// The result of a script.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: std::io::Result<Output>) -> Self {
        let output = output.expect("nsenter starts");
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// An open connection.
pub(crate) struct Open {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Open {
    /// Whether data that is sent comes back.
    pub(crate) fn goes_on(&mut self) -> bool {
        let mut line = String::new();
        self.to.write_all(b"still here\n").is_ok()
            && self.to.flush().is_ok()
            && self.from.read_line(&mut line).is_ok()
            && line == "still here\n"
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
