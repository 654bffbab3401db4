//! Everything of the hook that touches the world: files, sshd, systemd. It decides nothing.

pub(crate) mod disk;
pub(super) mod process;
pub(crate) mod safe_path;
pub(super) mod scratch;
pub(super) mod selinux;
pub(super) mod sshd;
pub(super) mod systemd;
