//! Follows the documentation as a user with a clone of this repository, on a fresh Debian 12 with Rust and the packages
//! that the README names.
//!
//! The container has no network: it uses the crates with which this test was built, and pip installs from a directory. The
//! clone is an overlay over this repository, at the same path, so that cargo finds what it has built. Nothing that the
//! container writes is kept.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::blocks::{Block, Ended, continued, follow, repository};
use crate::built::{Profile, program};
use crate::releases::Release::Bookworm;
use crate::surroundings::{ready, target};

/// The packages in the README's apt-get line, and those that debootstrap's smallest variant lacks.
const PACKAGES: &str = "build-essential git openssh-client python3-venv ca-certificates sudo";

/// How long a command that keeps running may take to print its first lines.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the namespaces, the container's root and the mounts in it, then waits for the end of its input.
const START: &str = r#"
set -eu
ip link set lo up
mount -t tmpfs -o size=4g checkout "$PLACE"
mkdir "$PLACE/root"
over() {
    mkdir -p "$PLACE/$1/upper" "$PLACE/$1/work" "$3"
    mount -t overlay "$1" -o "lowerdir=$2,upperdir=$PLACE/$1/upper,workdir=$PLACE/$1/work" "$3"
}
over system "$LAYERS" "$PLACE/root"
for path in "$REPOSITORY" "$CARGO_HOME" "$SYSROOT"; do over "$(echo "$path" | tr / _)" "$path" "$PLACE/root$path"; done
mkdir -p "$PLACE/root/wheels"
mount --bind "$WHEELS" "$PLACE/root/wheels"
mount -t proc proc "$PLACE/root/proc"
mount --rbind /dev "$PLACE/root/dev"
echo ready
cat >/dev/null
"#;

/// Downloads the AWS CLI for the container's Python, where there is a network.
const WHEELS: &str = r#"
set -eu
mkdir upper work root wheels
mount -t overlay wheels -o "lowerdir=$LAYERS,upperdir=upper,workdir=work" root
cp /etc/resolv.conf root/etc/
cp /etc/ssl/certs/ca-certificates.crt root/etc/ssl/certs/
mkdir root/wheels
mount --bind wheels root/wheels
mount -t proc proc root/proc
chroot root python3 -m venv /venv
chroot root /venv/bin/pip download --quiet --dest /wheels "$WANTED"
umount root/wheels root/proc root
"#;

/// The AWS CLI that the other tests use.
fn awscli() -> String {
    let wanted = fs::read_to_string(repository().join("tests/e2e/requirements.txt")).expect("it is there");
    let line = wanted.lines().find(|line| line.starts_with("awscli=="));
    line.expect("the tests use the AWS CLI").to_owned()
}

/// The wheels of the AWS CLI, downloaded once.
fn wheels(layers: &str) -> Result<PathBuf, String> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let made = target().join(format!("docs/{}", awscli()));
    if made.exists() {
        return Ok(made);
    }
    fs::create_dir_all(target().join("docs")).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir_in(target()).map_err(|error| error.to_string())?;
    let downloaded = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-euc", WHEELS])
        .env("LAYERS", layers)
        .env("WANTED", awscli())
        .current_dir(folder.path())
        .output()
        .map_err(|error| error.to_string())?;
    if !downloaded.status.success() {
        return Err(String::from_utf8_lossy(&downloaded.stderr).into_owned());
    }
    fs::rename(folder.path().join("wheels"), &made).map_err(|error| error.to_string())?;
    Ok(made)
}

/// The single line that a program prints.
fn line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("it starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Where cargo keeps crates.
fn cargo_home() -> PathBuf {
    let home = env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
    env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from)
}

/// The container.
struct Checkout {
    child: Child,
    place: tempfile::TempDir,
    path: String,
    kept_running: Vec<Child>,
}

impl Checkout {
    fn start() -> Result<Self, String> {
        let layers = format!("{}:{}", Bookworm.layer(PACKAGES)?.display(), Bookworm.root()?.display());
        let wheels = wheels(&layers)?;
        let sysroot = line(
            &env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()),
            &["--print", "sysroot"],
        );
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let log = fs::File::create(place.path().with_extension("log")).map_err(|error| error.to_string())?;
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
            ])
            .args(["sh", "-c", START])
            .env("PLACE", place.path())
            .env("LAYERS", layers)
            .env("REPOSITORY", repository())
            .env("CARGO_HOME", cargo_home())
            .env("SYSROOT", &sysroot)
            .env("WHEELS", wheels)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let checkout = Self {
            child,
            place,
            path: format!("{sysroot}/bin:/usr/local/bin:/usr/bin:/bin"),
            kept_running: Vec::new(),
        };
        let log = || fs::read_to_string(checkout.place.path().with_extension("log")).unwrap_or_default();
        let end = Instant::now() + PATIENCE;
        while !log().contains("ready") {
            if Instant::now() > end {
                return Err(log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(checkout)
    }

    /// A shell in the clone, with the environment of a login and the directory in which pip finds its packages.
    fn shell(&self, script: &str) -> Command {
        let unshare = self.child.id();
        let inside = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
        let mut command = Command::new("nsenter");
        command
            .args(["-t", inside.trim(), "-m", "-n", "-p", "chroot"])
            .arg(self.place.path().join("root"))
            .args(["sh", "-c", script])
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/sbin", self.path))
            .env("HOME", "/root")
            .env("CARGO_HOME", cargo_home())
            .env("CARGO_NET_OFFLINE", "true")
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", "/wheels")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&mut self, block: &Block, keeps_running: bool) -> Ended {
        let clone = repository().display();
        let script = format!("cd {clone}\n{}", continued(&block.text, "/tmp/shell"));
        if !keeps_running {
            let output = self.shell(&script).output().expect("nsenter starts");
            return Ended {
                status: output.status.code().unwrap_or(-1),
                output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            };
        }
        // For another terminal, collect the output until it stops for a moment.
        let shown = self.place.path().with_extension("terminal");
        let file = fs::File::create(&shown).expect("the directory is ours");
        let child = self
            .shell(&format!("cd {clone}\nexec 2>&1\n{}", block.text))
            .stdout(file)
            .spawn()
            .expect("nsenter starts");
        self.kept_running.push(child);
        let end = Instant::now() + PATIENCE * 5;
        let mut output = String::new();
        while Instant::now() < end {
            thread::sleep(Duration::from_secs(1));
            let now = fs::read_to_string(&shown).unwrap_or_default();
            if now == output && now.contains("Ctrl-C") {
                break;
            }
            output = now;
        }
        Ended { status: 0, output }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        for child in &mut self.kept_running {
            let _ = child.kill();
            let _ = child.wait();
        }
        // The container ends at the end of its input, and all its processes with it.
        drop(self.child.stdin.take().map(|mut input| input.flush()));
        let _ = self.child.wait();
        for ending in ["log", "terminal"] {
            let _ = fs::remove_file(Path::new(self.place.path()).with_extension(ending));
        }
    }
}

/// Follows a document in a new container.
fn follow_in_a_checkout(file: &str) {
    if !ready(&format!("the commands of {file} in a container")) {
        return;
    }
    // Build outside the container, so that it is built only once: the container's files are not kept.
    program(Profile::Release);
    let mut checkout = match Checkout::start() {
        Ok(checkout) => checkout,
        Err(why) => panic!("no container: {why}"),
    };
    follow(
        file,
        "checkout",
        |block, keeps_running| checkout.run(block, keeps_running),
        |_| String::new(),
    );
}

#[test]
fn the_readme_s_commands_work_in_a_fresh_container_as_printed() {
    follow_in_a_checkout("README.md");
}

#[test]
fn installing_without_a_package_works_in_a_fresh_container_as_printed() {
    follow_in_a_checkout("docs/install.md");
}
