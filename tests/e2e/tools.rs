//! What the tests need from the machine: root, tools, the clients in a virtual environment, and the program under test.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::built::{self, Profile, target};
use crate::child::run;

/// A file that may be missing: its path, and the Debian package that contains it.
pub(crate) type Tool = (&'static str, &'static str);

/// What every test needs.
const EVERYWHERE: [Tool; 5] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/setpriv", "util-linux"),
    (ROOTS, "ca-certificates"),
];

/// The operating system's trust store on Debian and Ubuntu.
pub(crate) const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// If the test cannot run here, prints the reason; `tests/run` counts the line.
pub(crate) fn lacking(further: &[Tool]) -> bool {
    let why = if !nix::unistd::Uid::effective().is_root() {
        Some("it needs root (run make e2e as root)".to_owned())
    } else {
        let mut tools = EVERYWHERE.iter().chain(further);
        let missing = tools.find(|(path, _)| !Path::new(path).exists());
        missing.map(|(path, package)| format!("no {path} (package {package})"))
    };
    if let Some(why) = &why {
        skipped(why);
    }
    why.is_some()
}

/// Prints that the test is skipped, and why.
pub(crate) fn skipped(why: &str) {
    let test = thread::current();
    println!("SKIPPED: e2e {}, {why}", test.name().unwrap_or("a test"));
}

/// This repository.
pub(crate) fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository")
}

/// The program under test, in a release build.
pub(crate) fn program() -> &'static Path {
    built::program(Profile::Release)
}

/// The folder of the AWS CLI's and mssh's programs, in a venv that is made here once and kept. Where that cannot be made,
/// the running test is skipped.
pub(crate) fn clients() -> Option<&'static Path> {
    static CLIENTS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match CLIENTS.get_or_init(make_venv) {
        Ok(folder) => Some(folder),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

fn make_venv() -> Result<PathBuf, String> {
    let wanted = repository().join("tests/e2e/requirements.txt");
    let venv = target().join("e2e/clients");
    let programs = venv.join("bin");
    let made_from = venv.join("requirements.txt");
    let read = |path: &Path| fs::read(path).ok();
    if read(&wanted).is_some() && read(&wanted) == read(&made_from) {
        return Ok(programs);
    }
    let python = ["/usr/bin/python3", "python3"];
    let python = python.into_iter().find(|python| {
        let mut check = Command::new(python);
        check
            .args(["-c", "import ensurepip, venv"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    let python = python.ok_or("no Python that can make a venv (package python3-venv)")?;
    fs::create_dir_all(&venv).expect("the target folder is ours");
    let make = [
        python.as_ref(),
        "-m".as_ref(),
        "venv".as_ref(),
        "--clear".as_ref(),
        venv.as_os_str(),
    ];
    let install = [
        programs.join("pip").into_os_string(),
        "install".into(),
        "--quiet".into(),
        "--disable-pip-version-check".into(),
        "-r".into(),
        wanted.clone().into_os_string(),
    ];
    step(&make)?;
    step(&install.each_ref().map(|word| word.as_os_str()))?;
    // Last, so that an incomplete virtual environment is made again.
    fs::copy(&wanted, &made_from).expect("the target folder is ours");
    Ok(programs)
}

fn step(words: &[&OsStr]) -> Result<(), String> {
    let outcome = run(Command::new(words[0]).args(&words[1..]), Duration::from_secs(300));
    match outcome.status {
        Some(0) => Ok(()),
        _ => {
            let last = outcome.stderr.lines().last().unwrap_or_default();
            Err(format!(
                "the clients could not be installed from PyPI: {last} (packages python3-venv)"
            ))
        }
    }
}
