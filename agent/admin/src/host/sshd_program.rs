//! The installed sshd, run with `-t` and `-T`: whether it accepts a configuration, and what is in effect then.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host_key;
use super::root_directory::RootDirectory;
use super::subprocess;
use super::temporary_directory::TemporaryDirectory;
use crate::files::Files;
use eic_verify::text::printable;

/// What sshd prints before the path of the directory that it lacks.
const MISSING_DIRECTORY: &str = "Missing privilege separation directory: ";

/// What sshd prints if it accepts none of the host keys that it was given: in FIPS mode, it accepts no ed25519 key.
const NO_HOST_KEYS: &str = "no hostkeys available";

/// An sshd that runs on this machine, in this root directory.
pub(crate) struct SshdProgram<'a> {
    root: &'a RootDirectory,
    temporary: &'a TemporaryDirectory,
    program: PathBuf,
    /// The arguments from its unit.
    arguments: Vec<String>,
    /// Whether it is given a temporary host key.
    with_key: bool,
    /// Directories that it lacked and that were created for it.
    created: RefCell<Vec<PathBuf>>,
}

/// Why there is no sshd to run.
#[derive(Debug)]
pub(crate) enum SshdUnavailable {
    /// It is not installed.
    NotInstalled,
    /// It does not run here, even with an empty configuration, for this reason.
    DoesNotRun(String),
    /// It reads this configuration by default, which is not the expected one.
    OtherConfiguration(PathBuf),
}

/// What sshd prints about a configuration that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl<'a> SshdProgram<'a> {
    /// The sshd at `program`. It gets a temporary host key, as an image that is being built has none, and is run once with an
    /// empty configuration to see whether it runs at all.
    ///
    /// # Errors
    /// It is not installed, or does not run.
    pub(crate) fn find(
        root: &'a RootDirectory,
        temporary: &'a TemporaryDirectory,
        program: &Path,
        arguments: Vec<String>,
    ) -> Result<Self, SshdUnavailable> {
        if !root.exists(program) {
            return Err(SshdUnavailable::NotInstalled);
        }
        let mut sshd = Self {
            root,
            temporary,
            program: program.to_owned(),
            arguments,
            with_key: true,
            created: RefCell::new(Vec::new()),
        };
        let key = temporary.on_host().join("key");
        let prepared = if key.exists() { Ok(()) } else { host_key::write(&key) };
        let prepared = prepared.and_then(|()| fs::write(temporary.on_host().join("empty"), b""));
        if let Err(error) = prepared {
            return Err(SshdUnavailable::DoesNotRun(error.to_string()));
        }
        let empty = temporary.in_root().join("empty");
        let mut checked = sshd.run(&["-t"], &empty, &[]);
        if checked
            .as_ref()
            .is_err_and(|Refused(message)| message.contains(NO_HOST_KEYS))
        {
            sshd.with_key = false;
            checked = sshd.run(&["-t"], &empty, &[]);
        }
        match checked {
            Ok(_) => Ok(sshd),
            Err(Refused(message)) => Err(SshdUnavailable::DoesNotRun(message)),
        }
    }

    /// Checks the configuration in `file`: `sshd -t`.
    ///
    /// # Errors
    /// sshd refuses it.
    pub(crate) fn check_validity(&self, file: &Path) -> Result<(), Refused> {
        self.run(&self.arguments_and(&["-t"]), file, &[]).map(|_| ())
    }

    /// The effective configuration for a connection, given as `-C` takes it, with the configuration in `file`: the lines of
    /// `sshd -T`, sorted, without the host keys.
    ///
    /// # Errors
    /// sshd refuses the configuration.
    pub(crate) fn effective_config(&self, file: &Path, connection: &str) -> Result<Vec<String>, Refused> {
        let output = self.run(&self.arguments_and(&["-T", "-C", connection]), file, &[])?;
        let mut lines: Vec<String> = output.lines().map(str::to_owned).collect();
        // The temporary host key is among these.
        lines.retain(|line| !line.starts_with("hostkey "));
        lines.sort();
        Ok(lines)
    }

    /// The configuration file that it reads without `-f`. With `-dd` it prints the path before it checks anything.
    pub(crate) fn default_config(&self) -> Option<PathBuf> {
        let mut command = self.command();
        command
            .args(["-t", "-ddd", "-h"])
            .arg(self.temporary.in_root().join("key"));
        let output = subprocess::run(command, self.temporary.on_host()).ok()?;
        let lines = output.stderr.lines().filter(|line| line.starts_with("debug2: "));
        let mut files = lines.filter_map(|line| line.split_once("load_server_config: filename "));
        files.next().map(|(_, file)| PathBuf::from(file.trim()))
    }

    fn arguments_and<'b>(&'b self, more: &[&'b str]) -> Vec<&'b str> {
        let arguments = self.arguments.iter().map(String::as_str);
        arguments.chain(more.iter().copied()).collect()
    }

    fn command(&self) -> Command {
        if self.root.is_running_system() {
            return Command::new(&self.program);
        }
        let mut command = Command::new("chroot");
        command.arg(self.root.on_host(Path::new("/"))).arg(&self.program);
        command
    }

    /// Runs sshd and returns its stdout. A directory that it lacks is created, unless it is among those `created` before.
    fn run(&self, arguments: &[&str], file: &Path, created: &[PathBuf]) -> Result<String, Refused> {
        let mut command = self.command();
        // The last -f counts, so sshd reads this file even if its unit has an -f.
        command.args(arguments).arg("-f").arg(file);
        if self.with_key {
            command.arg("-h").arg(self.temporary.in_root().join("key"));
        }
        let output = subprocess::run(command, self.temporary.on_host()).map_err(|error| Refused(error.to_string()))?;
        if output.status == Some(0) {
            return Ok(output.stdout);
        }
        let mut lines = output.stderr.lines();
        let missing = lines.find_map(|line| line.strip_prefix(MISSING_DIRECTORY));
        match missing.map(|directory| PathBuf::from(directory.trim())) {
            Some(directory) if !created.contains(&directory) => {
                self.create(&directory)
                    .map_err(|error| Refused(format!("{}: {error}", directory.display())))?;
                self.run(arguments, file, &[directory])
            }
            _ => Err(Refused(one_line(&output.stderr, output.status))),
        }
    }

    fn create(&self, directory: &Path) -> io::Result<()> {
        let on_host = self.root.on_host(directory);
        fs::DirBuilder::new().mode(0o755).create(&on_host)?;
        self.created.borrow_mut().push(on_host);
        Ok(())
    }
}

impl Drop for SshdProgram<'_> {
    /// Removes the directories that were created, unless an sshd that needs them was started in the meantime.
    fn drop(&mut self) {
        for directory in self.created.borrow().iter() {
            if self.root.is_running_system() && is_any_sshd_running() {
                continue;
            }
            let is_removed = fs::remove_dir(directory).is_ok();
            // An sshd that was started just before needs the directory.
            if is_removed && self.root.is_running_system() && is_any_sshd_running() {
                let _ = fs::create_dir(directory);
            }
        }
    }
}

/// Whether any process is an sshd.
fn is_any_sshd_running() -> bool {
    let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.any(|process| fs::read(process.path().join("comm")).is_ok_and(|name| name.starts_with(b"sshd")))
}

/// What sshd printed, as one line.
fn one_line(stderr: &str, status: Option<i32>) -> String {
    let lines: Vec<String> = stderr.lines().map(|line| printable(line.trim().as_bytes())).collect();
    match (lines.as_slice(), status) {
        ([], Some(status)) => format!("it exited with status {status}"),
        ([], None) => "it was ended by a signal".to_owned(),
        (lines, _) => lines.join("; "),
    }
}
