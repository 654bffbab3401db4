//! Everything of the hook that touches the world: files, sshd, systemd. It decides nothing.

pub(super) mod disk;
pub(super) mod listening;
pub(super) mod moment;
pub(super) mod nss;
pub(super) mod process;
pub(super) mod scratch;
pub(super) mod selinux;
pub(super) mod sshd;
pub(super) mod systemd;
