//! The two lines that AWS's packages add to an sshd_config or a drop-in, recognized and removed.

use super::owner::{AWS_PROGRAMS, USER};
use crate::sshd::config_line::{Keyword, command_or_user, first_match};

/// AuthorizedKeysCommand and AuthorizedKeysCommandUser, as AWS's packages write them.
pub(crate) fn two_lines(program: &str) -> String {
    format!("AuthorizedKeysCommand {program} %u %f\nAuthorizedKeysCommandUser {USER}\n")
}

/// Whether a command is exactly the one that AWS's packages set. `percent` is how a percent sign is written there: `%%` in a
/// unit.
pub(crate) fn is_command(value: &str, percent: &str) -> bool {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [program, user, fingerprint] = words.as_slice() else {
        return false;
    };
    AWS_PROGRAMS.contains(program) && *user == format!("{percent}u") && *fingerprint == format!("{percent}f")
}

/// An sshd_config without AWS's two lines, one after the other, before any Match line. Within a Match block, somebody else
/// wrote them.
pub(crate) fn without_lines(config: &[u8]) -> Vec<u8> {
    let at = first_match(config).unwrap_or(config.len());
    let (global, in_match) = config.split_at_checked(at).unwrap_or((config, &[]));
    let command =
        |line: &[u8]| matches!(command_or_user(line), Some((Keyword::Command, value)) if is_command(&value, "%"));
    let user = |line: &[u8]| matches!(command_or_user(line), Some((Keyword::User, value)) if value == USER);
    let mut lines = global.split_inclusive(|&byte| byte == b'\n').peekable();
    let mut rest = Vec::new();
    while let Some(line) = lines.next() {
        if !(command(line) && lines.next_if(|next| user(next)).is_some()) {
            rest.extend_from_slice(line);
        }
    }
    rest.extend_from_slice(in_match);
    rest
}

/// Whether a drop-in contains AWS's two lines, and nothing else that sshd reads.
pub(crate) fn is_drop_in(file: &[u8]) -> bool {
    let rest = without_lines(file);
    let mut left = rest.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    rest != file && left.all(|line| line.is_empty() || line.starts_with(b"#"))
}

#[cfg(test)]
mod tests {
    use super::super::owner::Owner;
    use super::super::removal::{Removal, remove};
    use super::*;

    #[test]
    fn amazon_linux_2_s_two_lines_are_removed_and_nothing_else() {
        let config = format!("Port 22\n\n{}# end\n", two_lines(AWS_PROGRAMS[0]));
        let rest = remove(config.as_bytes(), &[Owner::Aws]);
        assert_eq!(rest, Removal::Remainder(b"Port 22\n\n# end\n".to_vec()));
    }

    #[test]
    fn lines_that_somebody_changed_or_moved_into_a_match_block_are_not_aws_s() {
        let line = format!("AuthorizedKeysCommand {} %u %f", AWS_PROGRAMS[0]);
        for changed in [
            format!("{line} --debug\nAuthorizedKeysCommandUser {USER}\n"),
            format!(
                "AuthorizedKeysCommand {} %u\nAuthorizedKeysCommandUser {USER}\n",
                AWS_PROGRAMS[0]
            ),
            format!("Match User a\n{line}\nAuthorizedKeysCommandUser {USER}\n"),
            format!("{}\nAuthorizedKeysCommandUser {USER}\n", line.replace("%f", "%k")),
            format!("{line}\nAuthorizedKeysCommandUser nobody\n"),
        ] {
            let edited = remove(changed.as_bytes(), &[Owner::Aws]);
            assert!(matches!(edited, Removal::Edited(_)), "{changed}: {edited:?}");
        }
        let others = format!("AuthorizedKeysCommand /usr/bin/other %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(remove(others.as_bytes(), &[Owner::Aws]), Removal::Unchanged);
        // The AuthorizedKeysCommandUser of a Match block stays.
        let in_match = format!("Match User a\nAuthorizedKeysCommandUser {USER}\n");
        let config = format!("{}{in_match}", two_lines(AWS_PROGRAMS[0]));
        assert_eq!(without_lines(config.as_bytes()), in_match.as_bytes());
    }

    #[test]
    fn a_drop_in_is_wholly_aws_s_if_sshd_reads_nothing_else_in_it() {
        let pair = two_lines(AWS_PROGRAMS[0]);
        assert!(is_drop_in(pair.as_bytes()) && is_drop_in(format!("# why\n\n{pair}").as_bytes()));
        assert!(!is_drop_in(format!("{pair}MaxAuthTries 9\n").as_bytes()));
        assert!(!is_drop_in(b"# nothing\n") && !is_drop_in(b""));
    }
}
