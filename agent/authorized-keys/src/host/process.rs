//! What other processes can do to this one.

use nix::sys::prctl;

/// Keeps every process but root's out of this one: out of `/proc/PID/fd`, where whoever runs as the same user could
/// write a key of his into our stdout, and out of ptrace(2) (proc(5), PR_SET_DUMPABLE in prctl(2)).
///
/// Before `main` runs, only the mode of the program's file can do that: a process is closed from its start where its
/// user may not read the program (0711, which packages set).
pub fn close_to_other_processes() {
    // It cannot fail with this argument, and a login must not fail for it.
    let _ = prctl::set_dumpable(false);
}
