//! The lines that have sshd run this program: whose those in effect are, what `enable` writes, and what `disable` removes.
#![deny(clippy::disallowed_methods)]

pub(crate) mod aws_lines;
pub(crate) mod aws_override;
pub(crate) mod command_user;
pub(crate) mod installed;
pub(crate) mod keys_command;
pub(crate) mod our_lines;
pub(crate) mod owner;
pub(crate) mod removal;
