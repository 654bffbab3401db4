//! The bytes of the hook, in each of its three forms, and the same bytes taken out again.

use std::ops::Range;

use super::pair::{HISTORICAL, Owner, PROGRAM, USER};
use super::sshd_config::Keyword;
use super::words;

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

fn first_match(config: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in config.split_inclusive(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if words::keyword(&text).is_some_and(|(keyword, _)| keyword.eq_ignore_ascii_case("match")) {
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

/// A file of sshd's configuration without our bytes, and without AWS's pair.
pub(crate) fn without(file: &[u8]) -> Without {
    if file == sshd_drop_in().as_bytes() {
        return Without::Nothing;
    }
    let blocks = [
        sshd_drop_in(),
        format!("{BEGIN}\n{}{END}\n", pair()),
        format!("\n{BEGIN_AFTER_NEWLINE}\n{}{END}\n", pair()),
        pair(),
    ];
    let mut rest = file.to_vec();
    for block in &blocks {
        rest = cut(&rest, block.as_bytes());
    }
    for program in HISTORICAL {
        rest = without_aws_pair(&rest, program);
    }
    let named = line_naming_us(&rest);
    match named {
        Some(line) => Without::Edited(line),
        None if rest == file => Without::Same,
        None => Without::Rest(rest),
    }
}

fn cut(bytes: &[u8], part: &[u8]) -> Vec<u8> {
    match bytes.windows(part.len()).position(|window| window == part) {
        Some(at) => {
            let before = bytes.get(..at).unwrap_or_default();
            let behind = bytes.get(at + part.len()..).unwrap_or_default();
            // The pair must be whole lines.
            if before.is_empty() || before.ends_with(b"\n") || part.starts_with(b"\n") {
                [before, behind].concat()
            } else {
                bytes.to_vec()
            }
        }
        None => bytes.to_vec(),
    }
}

/// Takes out a line that names `program` as the command and, with it, the lines that name its user.
fn without_aws_pair(bytes: &[u8], program: &str) -> Vec<u8> {
    let lines = || bytes.split_inclusive(|&byte| byte == b'\n');
    let is_command = |line: &[u8]| {
        setting(line).is_some_and(|(keyword, value)| {
            keyword == Keyword::Command && value.split_whitespace().collect::<Vec<_>>() == [program, "%u", "%f"]
        })
    };
    let is_user = |line: &[u8]| setting(line).is_some_and(|(keyword, value)| keyword == Keyword::User && value == USER);
    if !lines().any(is_command) {
        return bytes.to_vec();
    }
    lines()
        .filter(|line| !is_command(line) && !is_user(line))
        .collect::<Vec<_>>()
        .concat()
}

fn setting(line: &[u8]) -> Option<(Keyword, String)> {
    let text = String::from_utf8_lossy(line);
    let (keyword, rest) = words::keyword(&text)?;
    match keyword.to_ascii_lowercase().as_str() {
        "authorizedkeyscommand" => Some((Keyword::Command, rest.trim().to_owned())),
        "authorizedkeyscommanduser" => Some((Keyword::User, words::arguments(rest)?.into_iter().next()?)),
        _ => None,
    }
}

fn line_naming_us(bytes: &[u8]) -> Option<usize> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let at = lines.position(|line| {
        setting(line).is_some_and(|(keyword, value)| keyword == Keyword::Command && Owner::of(&value) != Owner::Other)
    });
    at.map(|at| at + 1)
}

/// An ExecStart without the two `-o` that AWS's package puts into it, each however quoted; `None` where they are not
/// both there.
fn exec_start_without_pair(line: &str) -> Option<String> {
    let mut spans = Vec::new();
    let mut quote = None;
    let mut start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => {
                quote = Some(c);
                start = start.or(Some(at));
            }
            (_, None) if c.is_whitespace() => spans.extend(start.take().map(|start| start..at)),
            (_, None) => start = start.or(Some(at)),
        }
    }
    let word = |span: &Range<usize>| line.get(span.clone()).unwrap_or_default().replace(['"', '\''], "");
    let mut cut: Vec<Range<usize>> = Vec::new();
    let (mut command, mut user) = (false, false);
    for (at, span) in spans.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| spans.get(before));
        let (option, from) = match before.filter(|before| word(before) == "-o") {
            Some(before) => (word(span), before.start),
            None => match word(span).strip_prefix("-o") {
                Some(option) if !option.is_empty() => (option.to_owned(), span.start),
                _ => continue,
            },
        };
        match setting(option.as_bytes()) {
            Some((Keyword::Command, value)) if Owner::of(&value) == Owner::Aws => command = true,
            Some((Keyword::User, value)) if value == USER => user = true,
            _ => continue,
        }
        // With the white space before it.
        let head = line.get(..from).unwrap_or_default().trim_end().len();
        cut.push(head..span.end);
    }
    let mut rest = String::new();
    let mut at = 0;
    for span in cut {
        rest.push_str(line.get(at..span.start).unwrap_or_default());
        at = span.end;
    }
    rest.push_str(line.get(at..).unwrap_or_default());
    (command && user).then_some(rest)
}

/// What stays of a unit's drop-in without AWS's two `-o`.
pub(crate) fn unit_without_aws(drop_in: &[u8]) -> Without {
    if made_from(drop_in).is_some() {
        return Without::Nothing;
    }
    let text = String::from_utf8_lossy(drop_in);
    let mut rest = Vec::new();
    let mut taken = false;
    let mut other = false;
    for line in text.split_inclusive('\n') {
        let exec = line.trim_start().starts_with("ExecStart");
        match exec_start_without_pair(line).filter(|_| exec) {
            Some(without) => {
                taken = true;
                rest.push(without);
            }
            None => {
                let trimmed = line.trim();
                let plain = trimmed.is_empty() || trimmed.starts_with(['#', ';']);
                other |= !(plain || trimmed == "[Service]" || trimmed == "ExecStart=");
                rest.push(line.to_owned());
            }
        }
    }
    match (taken, other) {
        (false, _) => Without::Same,
        // An ExecStart reset and set again, and nothing else: it was there for the pair alone.
        (true, false) => Without::Nothing,
        (true, true) => Without::Rest(rest.concat().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn amazon_linux_2_s_two_lines_are_taken_out_and_nothing_else() {
        let before = "Port 22\n";
        let aws = "\nAuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f\nAuthorizedKeysCommandUser ec2-instance-connect\n";
        let rest = without(format!("{before}{aws}# end\n").as_bytes());
        assert_eq!(rest, Without::Rest(b"Port 22\n\n# end\n".to_vec()));
    }

    #[test]
    fn aws_s_override_goes_where_it_is_only_the_pair_s() {
        let line = "/usr/sbin/sshd -D $SSHD_OPTS";
        let pair = format!(
            " -o \"AuthorizedKeysCommand {} %%u %%f\" -o \"AuthorizedKeysCommandUser {USER}\"",
            HISTORICAL[1]
        );
        let aws = format!("[Service]\nExecStart=\nExecStart={line}{pair}\n");
        assert_eq!(unit_without_aws(aws.as_bytes()), Without::Nothing);
        // As Ubuntu's package writes it, and with other quotes.
        for pair in [
            format!(
                " -o \"AuthorizedKeysCommand {} %%u %%f\" -o \"AuthorizedKeysCommandUser {USER}\"",
                HISTORICAL[1]
            ),
            format!(
                " '-oAuthorizedKeysCommand {} %%u %%f'  -o AuthorizedKeysCommandUser={USER}",
                HISTORICAL[0]
            ),
        ] {
            let middle = format!("[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D{pair} $SSHD_OPTS\n");
            assert_eq!(unit_without_aws(middle.as_bytes()), Without::Nothing, "{middle}");
        }
        let edited = format!("[Service]\nNice=5\nExecStart=\nExecStart={line}{pair}\n");
        let rest = format!("[Service]\nNice=5\nExecStart=\nExecStart={line}\n");
        assert_eq!(unit_without_aws(edited.as_bytes()), Without::Rest(rest.into_bytes()));
    }

    #[test]
    fn a_unit_s_drop_in_tells_what_it_was_made_from_unless_somebody_changed_it() {
        let made = unit_drop_in("/usr/sbin/sshd -D $SSHD_OPTS");
        assert_eq!(made_from(made.as_bytes()).unwrap(), "/usr/sbin/sshd -D $SSHD_OPTS");
        assert!(made.contains("%%u %%f"));
        assert_eq!(made_from(made.replace("-D", "-D -e").as_bytes()).map(|_| ()), Some(()));
        assert_eq!(made_from(format!("{made}Nice=5\n").as_bytes()), None);
    }
}
