//! Runs the built program as sshd does: with an almost empty environment, a user and a fingerprint, and pipes for its
//! output.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use emulator::instance::InstanceFiles;
use emulator::kept_keys::EMULATOR_KEYS;
use emulator::{Emulator, Options};
use tempfile::TempDir;

use crate::built::{self, Profile};

/// The user that most tests log in as.
pub(crate) const USER: &str = "ec2-user";

/// The instance that the default emulator imitates.
pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";

/// The most requests that any call may make, whatever IMDS does.
pub(crate) const REQUESTS_AT_MOST: usize = 40;

/// The most memory, in KiB, that hostile answers may cost.
pub(crate) const HOSTILE_KIB: u64 = 16 * 1024;

/// The time after which a program is killed: well beyond every tested deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub(crate) fn program() -> &'static Path {
    built::program(Profile::OfTheTests)
}

/// Whether the program is a release build: only then are the stricter limits on its memory asserted.
pub(crate) fn is_release() -> bool {
    program()
        .parent()
        .is_some_and(|folder| folder.file_name() == Some(OsStr::new("release")))
}

/// An emulated instance: an IMDS, and files in place of the machine's own.
pub(crate) struct Instance {
    pub(crate) emulator: Emulator,
    pub(crate) folder: TempDir,
    pub(crate) files: InstanceFiles,
}

impl Instance {
    /// The default instance, to which nobody pushed a key.
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    /// An instance with these options.
    pub(crate) fn with(options: Options) -> Self {
        Self::of(Emulator::start(options).expect("the emulator starts"))
    }

    /// The default instance with this key pushed for [`USER`]; also returns the request ID of the push.
    pub(crate) fn with_key(line: &str) -> (Self, String) {
        let instance = Self::start();
        let request = instance.emulator.push(USER, line);
        (instance, request)
    }

    fn of(emulator: Emulator) -> Self {
        let folder = readable_folder();
        let files = emulator.write_instance(folder.path()).expect("the folder is ours");
        Self {
            emulator,
            folder,
            files,
        }
    }

    /// Rewrites the trust store after a change of the PKI's anchors.
    pub(crate) fn renew_roots(&self) {
        self.emulator
            .write_instance(self.folder.path())
            .expect("the folder is ours");
    }

    /// A login against this instance.
    pub(crate) fn login(&self, user: impl AsRef<OsStr>) -> Login {
        let files = [("--trust-store", &self.files.roots), ("--sysfs", &self.files.sysfs)];
        let login = Login::new(user).option("--imds-endpoint", self.emulator.imds_url());
        files
            .into_iter()
            .fold(login, |login, (name, path)| login.option(name, path))
    }

    /// How many requests IMDS has had so far.
    pub(crate) fn requests(&self) -> usize {
        self.emulator.imds_paths().len()
    }
}

/// A directory that other users can read too: tests that run as root run the program as another user.
pub(crate) fn readable_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("there is a place for temporary folders");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder is ours");
    folder
}

/// One call of the program.
#[derive(Clone)]
pub(crate) struct Login {
    wrapper: Vec<OsString>,
    program: PathBuf,
    options: Vec<OsString>,
    user: OsString,
    fingerprint: Option<OsString>,
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
    measured: bool,
}

impl Login {
    /// A call with nothing but a user's name.
    pub(crate) fn new(user: impl AsRef<OsStr>) -> Self {
        Self {
            wrapper: Vec::new(),
            program: program().to_owned(),
            options: Vec::new(),
            user: user.as_ref().to_owned(),
            fingerprint: None,
            environment: Vec::new(),
            folder: None,
            measured: false,
        }
    }

    /// With an option and its value, which replaces an existing one.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        if let Some(place) = self.options.iter().position(|option| option == name) {
            self.options.drain(place..place + 2);
        }
        self.options.extend([name.into(), value.as_ref().to_owned()]);
        self
    }

    /// For the key of this fingerprint.
    pub(crate) fn offering(mut self, fingerprint: impl AsRef<OsStr>) -> Self {
        self.fingerprint = Some(fingerprint.as_ref().to_owned());
        self
    }

    /// With an environment variable; by default, there are none.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run by another command, which gets it as its last arguments.
    pub(crate) fn wrapped<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let wrapper = wrapper.into_iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(wrapper);
        self
    }

    /// Run from this folder.
    pub(crate) fn working_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// A copy of the program that another user can execute.
    pub(crate) fn with_program(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// With its peak memory measured.
    pub(crate) fn measured(mut self) -> Self {
        self.measured = true;
        self
    }

    /// The command, for tests that handle its pipes themselves.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.wrapper.clone();
        words.push(self.program.clone().into());
        words.extend(self.options.iter().cloned());
        words.push(self.user.clone());
        words.extend(self.fingerprint.clone());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Outcome {
        if !self.measured {
            return finish(self.command().stdout(Stdio::piped()).stderr(Stdio::piped()));
        }
        let folder = tempfile::tempdir().expect("there is a place for temporary folders");
        let report = folder.path().join("kib");
        let mut login = self.clone();
        let peak = [OsStr::new(env!("CARGO_BIN_EXE_peak")), report.as_os_str()];
        login.wrapper = peak.into_iter().map(OsStr::to_owned).chain(login.wrapper).collect();
        let mut outcome = finish(login.command().stdout(Stdio::piped()).stderr(Stdio::piped()));
        let report = fs::read_to_string(report).expect("the command ended");
        outcome.peak_kib = Some(report.parse().expect("it is a number"));
        outcome
    }
}

/// The directory in which the processes that the tests start share the emulator's keys: that of the tests' own environment, or
/// one for this build.
pub(crate) fn shared_keys() -> OsString {
    let of_this_build = || concat!(env!("CARGO_TARGET_TMPDIR"), "/keys").into();
    env::var_os(EMULATOR_KEYS).unwrap_or_else(of_this_build)
}

/// Starts a command and waits for its end; kills it after the time limit.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    let started = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let pid = child.id();
    let stdout = child.stdout.take().map(read_beside);
    let stderr = child.stderr.take().map(read_beside);
    let status = wait(&mut child, started);
    let duration = started.elapsed();
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.map_or_else(Vec::new, |reader| reader.join().expect("readers do not panic"))
    };
    Outcome {
        pid,
        status,
        duration,
        stdout: text(stdout),
        stderr: text(stderr),
        peak_kib: None,
    }
}

fn wait(child: &mut Child, started: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            panic!("the program went on for {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn read_beside(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("pipes can be read");
        bytes
    })
}

/// The result of a call.
pub(crate) struct Outcome {
    pub(crate) pid: u32,
    pub(crate) status: ExitStatus,
    pub(crate) duration: Duration,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Peak resident memory, if it was measured.
    pub(crate) peak_kib: Option<u64>,
}

impl Outcome {
    /// Standard output as text.
    pub(crate) fn printed(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("keys are ASCII")
    }

    /// Standard error as text.
    pub(crate) fn said(&self) -> &str {
        std::str::from_utf8(&self.stderr).expect("explanations are ASCII")
    }

    /// Asserts the exit status, and the whole standard output and standard error.
    #[track_caller]
    pub(crate) fn is(&self, status: i32, stdout: &str, stderr: &str) {
        assert_eq!(self.said(), stderr, "{self:?}");
        assert_eq!(self.printed(), stdout, "{self:?}");
        assert_eq!(self.status.code(), Some(status), "{self:?}");
    }

    /// Asserts that nothing was printed, the exit status, and that this line was the only message.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, line: &str) {
        self.is(status, "", &format!("{line}\n"));
    }

    /// Asserts that there was nothing to do, because nobody pushed a key for [`USER`].
    #[track_caller]
    pub(crate) fn nobody_pushed(&self) {
        let why = "no key was pushed for user ec2-user in the last 60 seconds; a pushed key expires after 60 seconds";
        self.refused(0, why);
    }

    /// Asserts that there was nothing to do, because no key can be pushed for this name.
    #[track_caller]
    pub(crate) fn no_such_name(&self, shown: &str) {
        let why =
            format!("no key can be pushed for user \"{shown}\": EC2 Instance Connect does not accept this user name");
        self.refused(0, &why);
    }
}

impl fmt::Debug for Outcome {
    /// Standard output and standard error as text, for the messages of failed tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("status", &self.status)
            .field("stdout", &String::from_utf8_lossy(&self.stdout))
            .field("stderr", &String::from_utf8_lossy(&self.stderr))
            .field("duration", &self.duration)
            .field("peak_kib", &self.peak_kib)
            .finish_non_exhaustive()
    }
}

/// The line of a call that failed.
pub(crate) fn provided_none(why: &str) -> String {
    format!("Provided no ssh key for user {USER}: {why}")
}

/// The line for a machine whose files below `sysfs` are not those of an EC2 instance.
pub(crate) fn not_ec2(sysfs: &Path) -> String {
    let sysfs = sysfs.display();
    format!("this is not an EC2 instance according to the DMI data in {sysfs}: nothing to do")
}
