//! What the tests share: finding tools, reporting a missing one, and running them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root directory of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the repository")
}

/// Whether one of the programs is missing; prints which one, and the Debian packages that contain them.
pub(crate) fn lacks(what: &str, programs: &[&str], packages: &str) -> bool {
    let missing = programs.iter().find(|program| find(program).is_none());
    if let Some(program) = missing {
        println!("SKIPPED: {what}: no {program} here (apt-get install {packages})");
    }
    missing.is_some()
}

/// The path of a program: in PATH, or in the sbin directories, which are not in everybody's PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// A program, from whichever directory contains it.
pub(crate) fn command(program: &str) -> Command {
    Command::new(find(program).unwrap_or_else(|| program.into()))
}

/// Runs a command; panics with its output if it fails.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

/// What it wrote to standard output and standard error.
pub(crate) fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What it wrote to standard output.
#[track_caller]
pub(crate) fn text(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).expect("tools write UTF-8")
}

/// The text of a file.
#[track_caller]
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file under a directory of the repository, without build output and git's own files.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let left_out = ["target", "dist", ".git"];
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            if !left_out.iter().any(|name| path.file_name() == Some(OsStr::new(name))) {
                files.extend(self::files(&path));
            }
        } else if kind.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
}
