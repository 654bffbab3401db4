//! The program that sshd runs, its user, and whose an AuthorizedKeysCommand is.

use crate::sshd::config_line;

/// The path of the program that sshd runs.
pub(crate) const PROGRAM: &str = "/usr/libexec/ec2-instance-connect/eic_run_authorized_keys";

/// The paths of AWS's program, in its rpm and its deb. This project's packages install links there.
pub(crate) const AWS_PROGRAMS: [&str; 2] = [
    "/opt/aws/bin/eic_run_authorized_keys",
    "/usr/share/ec2-instance-connect/eic_run_authorized_keys",
];

/// The user that sshd runs the program as.
pub(crate) const USER: &str = "ec2-instance-connect";

/// Whose an AuthorizedKeysCommand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It runs this program, with `--chain` or without.
    Ours,
    /// It runs one of [`AWS_PROGRAMS`].
    Aws,
    /// It runs another program, or is `none`.
    Other,
}

impl Owner {
    /// The owner of a command, by the program that it runs.
    pub(crate) fn of(command: &str) -> Self {
        match config_line::arguments(command)
            .unwrap_or_default()
            .first()
            .map(String::as_str)
        {
            Some(PROGRAM) => Self::Ours,
            Some(program) if AWS_PROGRAMS.contains(&program) => Self::Aws,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_ours_only_if_its_whole_first_argument_is_our_path() {
        for (command, owner) in [
            (format!("{PROGRAM} %u %f"), Owner::Ours),
            (format!("\"{PROGRAM}\" %u"), Owner::Ours),
            (PROGRAM.to_owned(), Owner::Ours),
            (format!("{} %u %f", AWS_PROGRAMS[0]), Owner::Aws),
            (format!("'{}'\t%u", AWS_PROGRAMS[1]), Owner::Aws),
            (format!("{PROGRAM}.sh %u"), Owner::Other),
            (format!("\"{PROGRAM}\"x %u"), Owner::Other),
            (format!("\"{PROGRAM} %u\""), Owner::Other),
            (format!("\"{PROGRAM}"), Owner::Other),
            (format!("/bin/sh {PROGRAM}"), Owner::Other),
            (format!("/usr/../{PROGRAM}"), Owner::Other),
            ("none".to_owned(), Owner::Other),
            (String::new(), Owner::Other),
        ] {
            assert_eq!(Owner::of(&command), owner, "{command}");
        }
    }
}
