//! The system underneath: files, processes, accounts, sshd's program and systemctl. It decides nothing.

pub(crate) mod accounts;
mod host_key;
pub(crate) mod listening_sshds;
pub(crate) mod root_directory;
pub(crate) mod selinux;
pub(crate) mod sshd_program;
pub(crate) mod subprocess;
pub(crate) mod systemctl;
pub(crate) mod temporary_directory;
pub(crate) mod timestamp;
