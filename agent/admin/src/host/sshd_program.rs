//! Asks the installed sshd what it would do with a configuration, without starting it.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey};
use ssh_key::public::Ed25519PublicKey;

use super::root_directory::Disk;
use super::subprocess;
use super::temporary_directory::Scratch;
use crate::sshd::connection::Connection;
use crate::sshd::sshd_config::Files;
use eic_verify::text::printable;

/// What sshd says before the folder that it lacks.
const MISSING_FOLDER: &str = "Missing privilege separation directory: ";

/// What sshd says where it takes none of the host keys it was given: one in FIPS mode takes no ed25519 key.
const NO_HOST_KEYS: &str = "no hostkeys available";

/// An sshd that runs here: in this root, on this machine.
pub(crate) struct Sshd<'a> {
    disk: &'a Disk,
    scratch: &'a Scratch,
    program: PathBuf,
    /// What the unit gives it.
    arguments: Vec<String>,
    /// Whether it is given a throw-away host key.
    with_key: bool,
    /// Folders made for it that were not there.
    made: RefCell<Vec<PathBuf>>,
}

/// Why there is no sshd to ask.
#[derive(Debug)]
pub(crate) enum Silent {
    /// There is none.
    Missing,
    /// It does not run here, or not even with an empty configuration: this is what was said.
    DoesNotRun(String),
    /// It has its configuration elsewhere.
    Elsewhere(PathBuf),
}

/// What sshd says of a configuration that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Sshd<'a> {
    /// The sshd at `program`, given a throw-away host key, as an image being built has none; and a first question,
    /// about an empty configuration, that shows whether it runs.
    pub(crate) fn find(
        disk: &'a Disk,
        scratch: &'a Scratch,
        program: &Path,
        arguments: Vec<String>,
    ) -> Result<Self, Silent> {
        if !disk.exists(program) {
            return Err(Silent::Missing);
        }
        let mut sshd = Self {
            disk,
            scratch,
            program: program.to_owned(),
            arguments,
            with_key: true,
            made: RefCell::new(Vec::new()),
        };
        let key = scratch.on_host().join("key");
        let prepared = if key.exists() { Ok(()) } else { write_host_key(&key) };
        let prepared = prepared.and_then(|()| fs::write(scratch.on_host().join("empty"), b""));
        if let Err(error) = prepared {
            return Err(Silent::DoesNotRun(error.to_string()));
        }
        let empty = scratch.inside().join("empty");
        let mut answer = sshd.run(&["-t"], &empty, &[]);
        if answer.as_ref().is_err_and(|Refused(said)| said.contains(NO_HOST_KEYS)) {
            sshd.with_key = false;
            answer = sshd.run(&["-t"], &empty, &[]);
        }
        match answer {
            Ok(_) => Ok(sshd),
            Err(Refused(said)) => Err(Silent::DoesNotRun(said)),
        }
    }

    /// What is in effect for a connection with the configuration in `file`: `sshd -T`'s lines, sorted.
    pub(crate) fn in_effect(&self, file: &Path, more: &[String], who: &Connection) -> Result<Vec<String>, Refused> {
        let specification = who.specification();
        let mut arguments: Vec<&str> = self.arguments.iter().chain(more).map(String::as_str).collect();
        arguments.extend(["-T", "-C", &specification]);
        let mut lines: Vec<String> = self.run(&arguments, file, &[])?.lines().map(str::to_owned).collect();
        // Our throw-away key is among these.
        lines.retain(|line| !line.starts_with("hostkey "));
        lines.sort();
        Ok(lines)
    }

    /// `sshd -t`: whether it would start with the configuration in `file`.
    pub(crate) fn test(&self, file: &Path, more: &[String]) -> Result<(), Refused> {
        let mut arguments: Vec<&str> = self.arguments.iter().chain(more).map(String::as_str).collect();
        arguments.push("-t");
        self.run(&arguments, file, &[]).map(|_| ())
    }

    /// The configuration that it reads without `-f`: it says so at the second `-d`, whatever it then makes of that.
    pub(crate) fn default_config(&self) -> Option<PathBuf> {
        let mut command = self.command();
        command
            .args(["-t", "-ddd", "-h"])
            .arg(self.scratch.inside().join("key"));
        let ended = subprocess::run(command, self.scratch.on_host()).ok()?;
        let said = ended.stderr.lines().filter(|line| line.starts_with("debug2: "));
        let mut files = said.filter_map(|line| line.split_once("load_server_config: filename "));
        files.next().map(|(_, file)| PathBuf::from(file.trim()))
    }

    fn command(&self) -> Command {
        if self.disk.is_own_root() {
            return Command::new(&self.program);
        }
        let mut command = Command::new("chroot");
        command.arg(self.disk.on_host(Path::new("/"))).arg(&self.program);
        command
    }

    fn run(&self, arguments: &[&str], file: &Path, made: &[PathBuf]) -> Result<String, Refused> {
        let mut command = self.command();
        // The last -f counts, so that a copy is read where the unit has one of its own.
        command.args(arguments).arg("-f").arg(file);
        if self.with_key {
            command.arg("-h").arg(self.scratch.inside().join("key"));
        }
        let ended = subprocess::run(command, self.scratch.on_host()).map_err(|error| Refused(error.to_string()))?;
        if ended.status == Some(0) {
            return Ok(ended.stdout);
        }
        let missing = ended.stderr.lines().find_map(|line| line.strip_prefix(MISSING_FOLDER));
        match missing.map(|folder| PathBuf::from(folder.trim())) {
            Some(folder) if !made.contains(&folder) => {
                self.make(&folder)
                    .map_err(|error| Refused(format!("{}: {error}", folder.display())))?;
                self.run(arguments, file, &[folder])
            }
            _ => Err(Refused(words(&ended.stderr, ended.status))),
        }
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        let on_host = self.disk.on_host(folder);
        fs::DirBuilder::new().mode(0o755).create(&on_host)?;
        self.made.borrow_mut().push(on_host);
        Ok(())
    }
}

impl Drop for Sshd<'_> {
    /// Takes the folders away again, unless an sshd has been started meanwhile that needs them.
    fn drop(&mut self) {
        for folder in self.made.borrow().iter() {
            if self.disk.is_own_root() && is_serving() {
                continue;
            }
            let gone = fs::remove_dir(folder).is_ok();
            // One that was started just now found the folder there, and cannot do without.
            if gone && self.disk.is_own_root() && is_serving() {
                let _ = fs::create_dir(folder);
            }
        }
    }
}

/// Whether any process is an sshd.
fn is_serving() -> bool {
    let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.any(|process| fs::read(process.path().join("comm")).is_ok_and(|name| name.starts_with(b"sshd")))
}

/// What sshd said, as one line.
fn words(stderr: &str, status: Option<i32>) -> String {
    let lines: Vec<String> = stderr.lines().map(|line| printable(line.trim().as_bytes())).collect();
    match lines.as_slice() {
        [] => format!(
            "it ended with status {}",
            status.map_or("unknown".to_owned(), |status| status.to_string())
        ),
        lines => lines.join("; "),
    }
}

/// An ed25519 key of this moment, which no sshd ever serves with.
fn write_host_key(path: &Path) -> io::Result<()> {
    let cannot = |_| io::Error::other("no host key could be made");
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(cannot)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| cannot(ring::error::Unspecified))?;
    let public = Ed25519PublicKey::try_from(pair.public_key().as_ref()).map_err(io::Error::other)?;
    let private = Ed25519PrivateKey::from_bytes(&seed);
    let key = KeypairData::from(Ed25519Keypair { public, private });
    let text = PrivateKey::new(key, "throw-away")
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}
