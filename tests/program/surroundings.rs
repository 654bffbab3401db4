//! What the tests need from the machine, and the line that reports what is missing.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write as _, pipe};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Whether that program is installed: a path, or a name in the directories of system tools.
pub(crate) fn have(tool: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(tool).exists())
}

/// Whether this command works here: for namespaces and other things that a container may forbid.
pub(crate) fn works(words: &[&str]) -> bool {
    let (program, arguments) = words.split_first().expect("a command has a name");
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Whether the test runs as root, according to the owner of its files in `/proc`.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// The command that runs strace with these options. An ordinary user needs a user namespace: the program under test lets nobody
/// without CAP_SYS_PTRACE read its memory, and strace would show addresses in place of paths. `None`, after it has printed why, if
/// strace cannot trace here.
pub(crate) fn strace<'a>(what: &str, options: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut words = match is_root() {
        true => vec![],
        false => vec!["unshare", "--map-root-user"],
    };
    words.push("strace");
    words.extend(options);
    if !have("strace") || !works(&[&words[..], &["true"]].concat()) {
        skipped(&format!("{what}: no strace that may trace (package strace)"));
        return None;
    }
    Some(words)
}

/// Prints, past libtest's capturing, that something was not tested, in the form that `make test` counts.
pub(crate) fn skipped(why: &str) {
    // If standard error is closed, this cannot be printed.
    writeln!(io::stderr(), "SKIPPED: {why}").ok();
}

/// Calls a function for each item, several in parallel: most of the time they wait for the program's time limits.
pub(crate) fn side_by_side<T: Send>(items: Vec<T>, at_once: usize, run: impl Fn(T) + Sync) {
    let queue = std::sync::Mutex::new(items.into_iter());
    let failed = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("nothing panics under this lock").next();
                    let Some(item) = next else { return };
                    let call = std::panic::AssertUnwindSafe(|| run(item));
                    if let Err(panic) = std::panic::catch_unwind(call) {
                        failed
                            .lock()
                            .expect("nothing panics under this lock")
                            .push(words_of(&*panic));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nothing panics under this lock");
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(words), _) => words.clone(),
        (None, Some(words)) => (*words).to_owned(),
        (None, None) => "a panic without words".to_owned(),
    }
}

/// A pipe that is full and that nobody reads.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("there are descriptors left");
    let mut filler = writer.try_clone().expect("there are descriptors left");
    let (said, heard) = mpsc::channel();
    // The kernel chooses its capacity (pipe(7)). The thread that fills it blocks until the reader is
    // closed.
    thread::spawn(move || {
        while filler.write_all(&[b'x'; 4096]).is_ok() {
            said.send(()).ok();
        }
    });
    while heard.recv_timeout(Duration::from_millis(200)).is_ok() {}
    (reader, writer)
}
