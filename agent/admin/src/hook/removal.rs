//! Removes our lines, or AWS's, from a file of sshd's configuration, and replaces ours with AWS's.

use super::aws_lines;
use super::our_lines::{blocks, sshd_drop_in};
use super::owner::Owner;
use crate::sshd::config_line::{Keyword, command_or_user};

/// What removing lines from a file comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The file has none of these lines.
    Unchanged,
    /// These bytes remain.
    Remainder(Vec<u8>),
    /// The file has nothing else: remove it.
    WholeFile,
    /// This line, counted from 1, names the program, but somebody changed it: it is not removed.
    Edited(usize),
}

/// Removes the lines of these owners from a file of sshd's configuration.
pub(crate) fn remove(file: &[u8], owners: &[Owner]) -> Removal {
    let mut rest = file.to_vec();
    if owners.contains(&Owner::Ours) {
        if file == sshd_drop_in().as_bytes() {
            return Removal::WholeFile;
        }
        for block in blocks() {
            rest = replace(&rest, block.as_bytes(), b"");
        }
    }
    if owners.contains(&Owner::Aws) {
        rest = aws_lines::without_lines(&rest);
    }
    match line_naming(&rest, owners) {
        Some(line) => Removal::Edited(line),
        None if rest == file => Removal::Unchanged,
        None => Removal::Remainder(rest),
    }
}

/// A file with our lines replaced by AWS's, which name `program`.
pub(crate) fn with_aws_lines(file: &[u8], program: &str) -> Vec<u8> {
    let lines = aws_lines::two_lines(program);
    if file == sshd_drop_in().as_bytes() {
        return lines.into_bytes();
    }
    let mut rest = file.to_vec();
    for block in blocks() {
        let newline = if block.starts_with('\n') { "\n" } else { "" };
        rest = replace(&rest, block.as_bytes(), format!("{newline}{lines}").as_bytes());
    }
    rest
}

/// Replaces the first occurrence of `part` if it begins at the start of a line.
fn replace(bytes: &[u8], part: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(part.len()).position(|window| window == part) {
        Some(at) => {
            let before = bytes.get(..at).unwrap_or_default();
            let after = bytes.get(at + part.len()..).unwrap_or_default();
            if before.is_empty() || before.ends_with(b"\n") || part.starts_with(b"\n") {
                [before, by, after].concat()
            } else {
                bytes.to_vec()
            }
        }
        None => bytes.to_vec(),
    }
}

/// The first line that names the program of one of these owners.
fn line_naming(bytes: &[u8], owners: &[Owner]) -> Option<usize> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let at = lines.position(|line| {
        command_or_user(line)
            .is_some_and(|(keyword, value)| keyword == Keyword::Command && owners.contains(&Owner::of(&value)))
    });
    at.map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::our_lines::{two_lines, with_our_block};
    use super::super::owner::AWS_PROGRAMS;
    use super::*;

    const BOTH: &[Owner] = &[Owner::Ours, Owner::Aws];

    fn remove(file: &[u8]) -> Removal {
        super::remove(file, BOTH)
    }

    #[test]
    fn a_block_that_is_added_and_removed_leaves_the_same_bytes() {
        for config in [
            "",
            "Port 22",
            "Port 22\n",
            "Port 22\nMatch User a\n  Banner none\n",
            "Match User a\n",
            "Port 22\n\n\n# end",
            "Port 22\r\n",
            "# caf\u{e9}\nmatch all\n",
        ] {
            let with = with_our_block(config.as_bytes());
            assert!(with.len() > config.len());
            assert_eq!(
                remove(&with),
                Removal::Remainder(config.as_bytes().to_vec()),
                "{config:?}"
            );
        }
        let with = String::from_utf8(with_our_block(b"Port 22\nMatch User a\nBanner none\n")).unwrap();
        assert!(with.find("AuthorizedKeysCommand").unwrap() < with.find("Match").unwrap());
    }

    #[test]
    fn added_lines_stay_and_changed_lines_are_not_ours() {
        let ours = sshd_drop_in();
        assert_eq!(remove(ours.as_bytes()), Removal::WholeFile);
        let added = format!("{ours}MaxAuthTries 10\n");
        assert_eq!(
            remove(added.as_bytes()),
            Removal::Remainder(b"MaxAuthTries 10\n".to_vec())
        );
        let chained = ours.replace("%f", "%f --chain /usr/bin/sss_ssh_authorizedkeys %u");
        assert_eq!(remove(chained.as_bytes()), Removal::Edited(3));
        assert_eq!(remove(b"Port 22\n"), Removal::Unchanged);
        // A line that only ends like our first line is not ours.
        let commented = format!("#{}", two_lines());
        assert_eq!(remove(commented.as_bytes()), Removal::Unchanged);
    }

    #[test]
    fn our_lines_are_replaced_with_aws_s_in_the_same_place() {
        let pair = aws_lines::two_lines(AWS_PROGRAMS[0]);
        assert_eq!(
            with_aws_lines(sshd_drop_in().as_bytes(), AWS_PROGRAMS[0]),
            pair.as_bytes()
        );
        for (before, after) in [("Port 22\n", "Match User a\nBanner none\n"), ("", ""), ("Port 22", "")] {
            let config = format!("{before}{after}");
            let over = with_aws_lines(&with_our_block(config.as_bytes()), AWS_PROGRAMS[0]);
            let newline = if before.is_empty() || before.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            assert_eq!(
                String::from_utf8(over.clone()).unwrap(),
                format!("{before}{newline}{pair}{after}")
            );
            assert_eq!(super::remove(&over, &[Owner::Ours]), Removal::Unchanged);
        }
    }

    #[test]
    fn only_the_lines_of_the_given_owners_are_removed() {
        let aws = aws_lines::two_lines(AWS_PROGRAMS[0]);
        let both = format!("{}{aws}", String::from_utf8(with_our_block(b"")).unwrap());
        assert_eq!(
            super::remove(both.as_bytes(), &[Owner::Ours]),
            Removal::Remainder(aws.into_bytes())
        );
        assert_eq!(
            super::remove(both.as_bytes(), &[Owner::Aws]),
            Removal::Remainder(with_our_block(b""))
        );
        assert_eq!(super::remove(both.as_bytes(), BOTH), Removal::Remainder(Vec::new()));
    }
}
