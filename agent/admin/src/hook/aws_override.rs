//! The drop-in of sshd's unit that AWS's package writes, and the removal of its two options.

use std::ops::Range;

use super::aws_lines::is_command;
use super::owner::{AWS_PROGRAMS, USER};
use super::removal::Removal;
use crate::sshd::config_line::{Keyword, command_or_user};

/// Removes AWS's two `-o` options from a unit's drop-in.
pub(crate) fn remove_options(drop_in: &[u8]) -> Removal {
    let text = String::from_utf8_lossy(drop_in);
    let mut rest = String::new();
    let mut has_other = false;
    let mut is_removed = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let trimmed = line.trim();
        let is_comment = trimmed.starts_with(['#', ';']);
        let exec_start = trimmed.strip_prefix("ExecStart=").and_then(without_aws_options);
        if let Some(without) = exec_start {
            is_removed = true;
            has_other |= !is_plain(&without);
            rest.push_str(&format!("ExecStart={without}\n"));
        } else if !is_comment && AWS_PROGRAMS.iter().any(|program| line.contains(program)) {
            return Removal::Edited(number + 1);
        } else {
            has_other |= !(is_comment || ["", "[Service]", "ExecStart="].contains(&trimmed));
            rest.push_str(line);
        }
    }
    match (is_removed, has_other) {
        (false, _) => Removal::Unchanged,
        // ExecStart is only reset and set again: the drop-in was written for the two options.
        (true, false) => Removal::WholeFile,
        (true, true) => Removal::Remainder(rest.into_bytes()),
    }
}

/// Whether an ExecStart is `sshd -D` with variables, as AWS's package and the distributions have it.
fn is_plain(exec_start: &str) -> bool {
    let mut words = exec_start.split_whitespace();
    words.next() == Some("/usr/sbin/sshd") && words.all(|word| word == "-D" || word.starts_with('$'))
}

/// An ExecStart without the two `-o` options of AWS's package, in any quoting; `None` if it does not have exactly both.
fn without_aws_options(line: &str) -> Option<String> {
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
        match command_or_user(option.as_bytes()) {
            Some((Keyword::Command, value)) if is_command(&value, "%%") => command = true,
            Some((Keyword::User, value)) if value == USER => user = true,
            _ => continue,
        }
        // White space before the option goes with it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn override_of(exec_start: &str) -> String {
        format!("[Service]\nExecStart=\nExecStart={exec_start}\n")
    }

    fn options(program: &str) -> String {
        format!("-o \"AuthorizedKeysCommand {program} %%u %%f\" -o \"AuthorizedKeysCommandUser {USER}\"")
    }

    #[test]
    fn aws_s_drop_in_is_removed_if_it_only_adds_the_two_options() {
        for exec_start in [
            format!("/usr/sbin/sshd -D {} $SSHD_OPTS", options(AWS_PROGRAMS[1])),
            format!("/usr/sbin/sshd -D {} $SSHD_OPTS", options(AWS_PROGRAMS[0])),
            format!("/usr/sbin/sshd -D $OPTIONS $CRYPTO_POLICY {}", options(AWS_PROGRAMS[0])),
            format!(
                "/usr/sbin/sshd -D '-oAuthorizedKeysCommand {} %%u %%f'  -o AuthorizedKeysCommandUser={USER}",
                AWS_PROGRAMS[0]
            ),
        ] {
            let whole = override_of(&exec_start);
            assert_eq!(remove_options(whole.as_bytes()), Removal::WholeFile, "{whole}");
        }
    }

    #[test]
    fn what_somebody_added_to_aws_s_drop_in_stays() {
        let pair = options(AWS_PROGRAMS[1]);
        let with_option = override_of(&format!("/usr/sbin/sshd -D {pair} -o Banner=none $SSHD_OPTS"));
        let rest = override_of("/usr/sbin/sshd -D -o Banner=none $SSHD_OPTS");
        assert_eq!(
            remove_options(with_option.as_bytes()),
            Removal::Remainder(rest.into_bytes())
        );
        let with_line = override_of(&format!("/usr/sbin/sshd -D {pair} $SSHD_OPTS")) + "Nice=5\n";
        let rest = override_of("/usr/sbin/sshd -D $SSHD_OPTS") + "Nice=5\n";
        assert_eq!(
            remove_options(with_line.as_bytes()),
            Removal::Remainder(rest.into_bytes())
        );
    }

    #[test]
    fn a_drop_in_that_runs_aws_s_program_with_other_arguments_is_not_aws_s() {
        for exec_start in [
            format!("/usr/sbin/sshd -D -o \"AuthorizedKeysCommand {} %%u\"", AWS_PROGRAMS[1]),
            format!(
                "/usr/sbin/sshd -D -o \"AuthorizedKeysCommand {} %%u %%f\" -o AuthorizedKeysCommandUser=nobody",
                AWS_PROGRAMS[1]
            ),
            format!(
                "/usr/sbin/sshd -D {}",
                options(AWS_PROGRAMS[1]).replace("%%f", "%%f --debug")
            ),
        ] {
            let whole = override_of(&exec_start);
            assert_eq!(remove_options(whole.as_bytes()), Removal::Edited(3), "{whole}");
        }
        assert_eq!(remove_options(b"[Service]\nNice=5\n"), Removal::Unchanged);
        let comment = format!("# {}\n", AWS_PROGRAMS[1]);
        assert_eq!(remove_options(comment.as_bytes()), Removal::Unchanged);
    }
}
