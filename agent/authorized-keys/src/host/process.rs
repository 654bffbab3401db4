//! What other processes can do to this one, and what it inherited from the one that started it.

use std::fs;

use nix::sys::prctl;
use nix::unistd::close;

/// Makes this process non-dumpable (`PR_SET_DUMPABLE` in prctl(2)), so that only root can look into it: other processes of
/// the same user can neither open its `/proc/PID/fd`, where they could write a key of their own into its stdout, nor trace
/// it with ptrace(2).
///
/// Before `main` runs, only the mode of the program's file can do that: a process is non-dumpable from its start if its user
/// cannot read the program (mode 0711, which the packages set).
pub fn make_non_dumpable() {
    // It cannot fail with this argument, and a login must not fail because of it.
    let _ = prctl::set_dumpable(false);
}

/// Closes every inherited file descriptor above 2, as closefrom(3) does, so that the chained command does not inherit it
/// either. Call it before anything else is opened.
pub(crate) fn close_inherited_descriptors() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // That of the directory itself is closed already.
        let _ = close(descriptor);
    }
}
