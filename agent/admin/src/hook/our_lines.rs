//! The bytes of the hook, in each of its three forms, and the same bytes taken out again.

use super::aws_lines;
use super::keys_command::{Owner, PROGRAM, USER};
use crate::sshd::config_line;
use crate::sshd::sshd_config::Keyword;

/// The drop-in for sshd, in the folder that sshd_config includes.
pub(crate) const SSHD_DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";

/// The name of the drop-in for a unit, in `/etc/systemd/system/<unit>.d`.
pub(crate) const UNIT_DROP_IN: &str = "60-ec2-instance-connect.conf";

const TEMPLATE: &str = include_str!("../../../../systemd/sshd-command-line.conf.in");

const BEGIN: &str = "# BEGIN ec2-instance-connect";
const BEGIN_AFTER_NEWLINE: &str = "# BEGIN ec2-instance-connect (with the newline before it)";
const END: &str = "# END ec2-instance-connect";

/// The two lines.
pub(crate) fn pair() -> String {
    format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n")
}

/// What stands in [`SSHD_DROP_IN`].
pub(crate) fn sshd_drop_in() -> String {
    format!(
        "# Written by `ec2-instance-connect enable`, taken away by `ec2-instance-connect disable`.\n\
         # Delete or change it as you like: neither upgrades nor reinstalls put it back.\n{}",
        pair()
    )
}

/// What stands in the drop-in of a unit whose own ExecStart is this.
pub(crate) fn unit_drop_in(exec_start: &str) -> String {
    TEMPLATE
        .replace("@EXEC_START@", exec_start)
        .replace("@PROGRAM@", PROGRAM)
        .replace("@USER@", USER)
}

/// The ExecStart that a unit's drop-in was made from; `None` where somebody has changed the drop-in since.
pub(crate) fn made_from(drop_in: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(drop_in).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("# Made from: "))?;
    (unit_drop_in(line) == text).then(|| line.to_owned())
}

/// sshd_config with our block in it, before the first Match.
pub(crate) fn with_block(config: &[u8]) -> Vec<u8> {
    let at = first_match(config).unwrap_or(config.len());
    let (before, behind) = config.split_at_checked(at).unwrap_or((config, &[]));
    let block = if before.is_empty() || before.ends_with(b"\n") {
        format!("{BEGIN}\n{}{END}\n", pair())
    } else {
        format!("\n{BEGIN_AFTER_NEWLINE}\n{}{END}\n", pair())
    };
    [before, block.as_bytes(), behind].concat()
}

pub(crate) fn first_match(config: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in config.split_inclusive(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if config_line::keyword(&text).is_some_and(|(keyword, _)| keyword.eq_ignore_ascii_case("match")) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// A file without our bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Without {
    /// None of them are in it.
    Same,
    /// This is what stays.
    Rest(Vec<u8>),
    /// Nothing stays: the file was ours altogether.
    Nothing,
    /// It still names this program, in lines that somebody has changed: those are not ours to take.
    Edited(usize),
}

/// A file of sshd's configuration without the bytes of these owners.
pub(crate) fn without(file: &[u8], owners: &[Owner]) -> Without {
    let mut rest = file.to_vec();
    if owners.contains(&Owner::Ours) {
        if file == sshd_drop_in().as_bytes() {
            return Without::Nothing;
        }
        for block in blocks() {
            rest = replaced(&rest, block.as_bytes(), b"");
        }
    }
    if owners.contains(&Owner::Aws) {
        rest = aws_lines::without_lines(&rest);
    }
    match line_naming(&rest, owners) {
        Some(line) => Without::Edited(line),
        None if rest == file => Without::Same,
        None => Without::Rest(rest),
    }
}

/// A file with AWS's pair, naming `program`, in place of ours.
pub(crate) fn handed_over(file: &[u8], program: &str) -> Vec<u8> {
    let pair = aws_lines::lines(program);
    if file == sshd_drop_in().as_bytes() {
        return pair.into_bytes();
    }
    let mut rest = file.to_vec();
    for block in blocks() {
        let newline = if block.starts_with('\n') { "\n" } else { "" };
        rest = replaced(&rest, block.as_bytes(), format!("{newline}{pair}").as_bytes());
    }
    rest
}

/// Our bytes, in each form that stands in a file together with others.
fn blocks() -> [String; 4] {
    [
        sshd_drop_in(),
        format!("{BEGIN}\n{}{END}\n", pair()),
        format!("\n{BEGIN_AFTER_NEWLINE}\n{}{END}\n", pair()),
        pair(),
    ]
}

/// The first `part`, if it is whole lines, replaced.
fn replaced(bytes: &[u8], part: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(part.len()).position(|window| window == part) {
        Some(at) => {
            let before = bytes.get(..at).unwrap_or_default();
            let behind = bytes.get(at + part.len()..).unwrap_or_default();
            if before.is_empty() || before.ends_with(b"\n") || part.starts_with(b"\n") {
                [before, by, behind].concat()
            } else {
                bytes.to_vec()
            }
        }
        None => bytes.to_vec(),
    }
}

/// The keyword and value of a line that names a key command or its user.
pub(crate) fn setting(line: &[u8]) -> Option<(Keyword, String)> {
    let text = String::from_utf8_lossy(line);
    let (keyword, rest) = config_line::keyword(&text)?;
    match keyword.to_ascii_lowercase().as_str() {
        "authorizedkeyscommand" => Some((Keyword::Command, rest.trim().to_owned())),
        "authorizedkeyscommanduser" => Some((Keyword::User, config_line::arguments(rest)?.into_iter().next()?)),
        _ => None,
    }
}

fn line_naming(bytes: &[u8], owners: &[Owner]) -> Option<usize> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let at = lines.position(|line| {
        setting(line).is_some_and(|(keyword, value)| keyword == Keyword::Command && owners.contains(&Owner::of(&value)))
    });
    at.map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::keys_command::HISTORICAL;
    use super::*;

    const BOTH: &[Owner] = &[Owner::Ours, Owner::Aws];

    fn without(file: &[u8]) -> Without {
        super::without(file, BOTH)
    }

    #[test]
    fn a_block_put_in_and_taken_out_leaves_the_same_bytes() {
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
            let with = with_block(config.as_bytes());
            assert!(with.len() > config.len());
            assert_eq!(without(&with), Without::Rest(config.as_bytes().to_vec()), "{config:?}");
        }
        let with = String::from_utf8(with_block(b"Port 22\nMatch User a\nBanner none\n")).unwrap();
        assert!(with.find("AuthorizedKeysCommand").unwrap() < with.find("Match").unwrap());
    }

    #[test]
    fn bytes_that_an_admin_adds_stay_and_lines_that_an_admin_changes_are_not_ours() {
        let ours = sshd_drop_in();
        assert_eq!(without(ours.as_bytes()), Without::Nothing);
        let added = format!("{ours}MaxAuthTries 10\n");
        assert_eq!(without(added.as_bytes()), Without::Rest(b"MaxAuthTries 10\n".to_vec()));
        let chained = ours.replace("%f", "%f --chain /usr/bin/sss_ssh_authorizedkeys %u");
        assert_eq!(without(chained.as_bytes()), Without::Edited(3));
        assert_eq!(without(b"Port 22\n"), Without::Same);
        // The end of our first line is not all of it.
        let commented = format!("#{}", pair());
        assert_eq!(without(commented.as_bytes()), Without::Same);
    }

    #[test]
    fn a_unit_s_drop_in_tells_what_it_was_made_from_unless_somebody_changed_it() {
        let made = unit_drop_in("/usr/sbin/sshd -D $SSHD_OPTS");
        assert_eq!(made_from(made.as_bytes()).unwrap(), "/usr/sbin/sshd -D $SSHD_OPTS");
        assert!(made.contains("%%u %%f"));
        assert_eq!(made_from(made.replace("-D", "-D -e").as_bytes()).map(|_| ()), Some(()));
        assert_eq!(made_from(format!("{made}Nice=5\n").as_bytes()), None);
    }

    #[test]
    fn handed_over_ours_is_aws_s_pair_in_the_same_place() {
        let pair = aws_lines::lines(HISTORICAL[0]);
        assert_eq!(handed_over(sshd_drop_in().as_bytes(), HISTORICAL[0]), pair.as_bytes());
        for (before, behind) in [("Port 22\n", "Match User a\nBanner none\n"), ("", ""), ("Port 22", "")] {
            let config = format!("{before}{behind}");
            let over = handed_over(&with_block(config.as_bytes()), HISTORICAL[0]);
            let newline = if before.is_empty() || before.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            assert_eq!(
                String::from_utf8(over.clone()).unwrap(),
                format!("{before}{newline}{pair}{behind}")
            );
            assert_eq!(super::without(&over, &[Owner::Ours]), Without::Same);
        }
    }

    #[test]
    fn only_the_bytes_of_the_owners_that_are_named_are_taken_out() {
        let aws = aws_lines::lines(HISTORICAL[0]);
        let both = format!("{}{aws}", String::from_utf8(with_block(b"")).unwrap());
        assert_eq!(
            super::without(both.as_bytes(), &[Owner::Ours]),
            Without::Rest(aws.into_bytes())
        );
        assert_eq!(
            super::without(both.as_bytes(), &[Owner::Aws]),
            Without::Rest(with_block(b""))
        );
        assert_eq!(super::without(both.as_bytes(), BOTH), Without::Rest(Vec::new()));
    }
}
