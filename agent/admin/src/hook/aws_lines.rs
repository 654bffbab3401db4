//! The hook of AWS's package: told by its bytes, taken out, and put in place of ours where that package comes back.

use std::ops::Range;

use super::keys_command::{HISTORICAL, USER};
use super::our_lines::{Without, first_match, setting};
use crate::sshd::sshd_config::Keyword;

/// The two lines that AWS's packages put into an sshd_config, or into a drop-in.
pub(crate) fn lines(program: &str) -> String {
    format!("AuthorizedKeysCommand {program} %u %f\nAuthorizedKeysCommandUser {USER}\n")
}

/// Whether these words are what AWS's packages have sshd run, `percent` being a per cent sign where they stand.
fn is_command(value: &str, percent: &str) -> bool {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [program, user, fingerprint] = words.as_slice() else {
        return false;
    };
    HISTORICAL.contains(program) && *user == format!("{percent}u") && *fingerprint == format!("{percent}f")
}

/// An sshd_config without AWS's two lines, one below the other. They stand before any Match; within one they are
/// somebody's own.
pub(crate) fn without_lines(config: &[u8]) -> Vec<u8> {
    let at = first_match(config).unwrap_or(config.len());
    let (for_everyone, behind) = config.split_at_checked(at).unwrap_or((config, &[]));
    let command = |line: &[u8]| matches!(setting(line), Some((Keyword::Command, value)) if is_command(&value, "%"));
    let user = |line: &[u8]| matches!(setting(line), Some((Keyword::User, value)) if value == USER);
    let mut lines = for_everyone.split_inclusive(|&byte| byte == b'\n').peekable();
    let mut rest = Vec::new();
    while let Some(line) = lines.next() {
        if !(command(line) && lines.next_if(|next| user(next)).is_some()) {
            rest.extend_from_slice(line);
        }
    }
    rest.extend_from_slice(behind);
    rest
}

/// Whether a drop-in for sshd is AWS's altogether: the pair, and nothing else that sshd reads.
pub(crate) fn is_drop_in(file: &[u8]) -> bool {
    let rest = without_lines(file);
    let mut left = rest.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    rest != file && left.all(|line| line.is_empty() || line.starts_with(b"#"))
}

/// A unit's drop-in without AWS's two `-o`.
pub(crate) fn without_options(drop_in: &[u8]) -> Without {
    let text = String::from_utf8_lossy(drop_in);
    let mut rest = String::new();
    let mut others = false;
    let mut taken = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let trimmed = line.trim();
        let is_comment = trimmed.starts_with(['#', ';']);
        let exec_start = trimmed.strip_prefix("ExecStart=").and_then(exec_start_without_pair);
        if let Some(without) = exec_start {
            taken = true;
            others |= !is_plain(&without);
            rest.push_str(&format!("ExecStart={without}\n"));
        } else if !is_comment && HISTORICAL.iter().any(|program| line.contains(program)) {
            return Without::Edited(number + 1);
        } else {
            others |= !(is_comment || ["", "[Service]", "ExecStart="].contains(&trimmed));
            rest.push_str(line);
        }
    }
    match (taken, others) {
        (false, _) => Without::Same,
        // An ExecStart reset and set again, and nothing else: it was there for the pair alone.
        (true, false) => Without::Nothing,
        (true, true) => Without::Rest(rest.into_bytes()),
    }
}

/// Whether an ExecStart has nothing but what AWS's and the distributions' have: `sshd -D`, and variables.
fn is_plain(exec_start: &str) -> bool {
    let mut words = exec_start.split_whitespace();
    words.next() == Some("/usr/sbin/sshd") && words.all(|word| word == "-D" || word.starts_with('$'))
}

/// An ExecStart without the two `-o` that AWS's package puts into it, each however quoted; `None` where they are not
/// both there, word by word.
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
            Some((Keyword::Command, value)) if is_command(&value, "%%") => command = true,
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

#[cfg(test)]
mod tests {
    use super::super::keys_command::Owner;
    use super::super::our_lines::without;
    use super::*;

    fn override_of(exec_start: &str) -> String {
        format!("[Service]\nExecStart=\nExecStart={exec_start}\n")
    }

    fn options(program: &str) -> String {
        format!("-o \"AuthorizedKeysCommand {program} %%u %%f\" -o \"AuthorizedKeysCommandUser {USER}\"")
    }

    #[test]
    fn amazon_linux_2_s_two_lines_are_taken_out_and_nothing_else() {
        let config = format!("Port 22\n\n{}# end\n", lines(HISTORICAL[0]));
        let rest = without(config.as_bytes(), &[Owner::Aws]);
        assert_eq!(rest, Without::Rest(b"Port 22\n\n# end\n".to_vec()));
    }

    #[test]
    fn lines_that_somebody_has_changed_or_put_into_a_match_are_not_aws_s() {
        let line = format!("AuthorizedKeysCommand {} %u %f", HISTORICAL[0]);
        for changed in [
            format!("{line} --debug\nAuthorizedKeysCommandUser {USER}\n"),
            format!(
                "AuthorizedKeysCommand {} %u\nAuthorizedKeysCommandUser {USER}\n",
                HISTORICAL[0]
            ),
            format!("Match User a\n{line}\nAuthorizedKeysCommandUser {USER}\n"),
            format!("{}\nAuthorizedKeysCommandUser {USER}\n", line.replace("%f", "%k")),
            format!("{line}\nAuthorizedKeysCommandUser nobody\n"),
        ] {
            let edited = without(changed.as_bytes(), &[Owner::Aws]);
            assert!(matches!(edited, Without::Edited(_)), "{changed}: {edited:?}");
        }
        let others = format!("AuthorizedKeysCommand /usr/bin/other %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(without(others.as_bytes(), &[Owner::Aws]), Without::Same);
        // The user's line of a Match stays, for whom it was written.
        let behind = format!("Match User a\nAuthorizedKeysCommandUser {USER}\n");
        let config = format!("{}{behind}", lines(HISTORICAL[0]));
        assert_eq!(without_lines(config.as_bytes()), behind.as_bytes());
    }

    #[test]
    fn a_drop_in_is_aws_s_altogether_where_sshd_reads_nothing_else_in_it() {
        let pair = lines(HISTORICAL[0]);
        assert!(is_drop_in(pair.as_bytes()) && is_drop_in(format!("# why\n\n{pair}").as_bytes()));
        assert!(!is_drop_in(format!("{pair}MaxAuthTries 9\n").as_bytes()));
        assert!(!is_drop_in(b"# nothing\n") && !is_drop_in(b""));
    }

    #[test]
    fn aws_s_override_goes_where_it_is_only_the_pair_s() {
        for exec_start in [
            format!("/usr/sbin/sshd -D {} $SSHD_OPTS", options(HISTORICAL[1])),
            format!("/usr/sbin/sshd -D {} $SSHD_OPTS", options(HISTORICAL[0])),
            format!("/usr/sbin/sshd -D $OPTIONS $CRYPTO_POLICY {}", options(HISTORICAL[0])),
            format!(
                "/usr/sbin/sshd -D '-oAuthorizedKeysCommand {} %%u %%f'  -o AuthorizedKeysCommandUser={USER}",
                HISTORICAL[0]
            ),
        ] {
            let whole = override_of(&exec_start);
            assert_eq!(without_options(whole.as_bytes()), Without::Nothing, "{whole}");
        }
    }

    #[test]
    fn what_somebody_has_added_to_aws_s_override_stays() {
        let pair = options(HISTORICAL[1]);
        let with_option = override_of(&format!("/usr/sbin/sshd -D {pair} -o Banner=none $SSHD_OPTS"));
        let rest = override_of("/usr/sbin/sshd -D -o Banner=none $SSHD_OPTS");
        assert_eq!(
            without_options(with_option.as_bytes()),
            Without::Rest(rest.into_bytes())
        );
        let with_line = override_of(&format!("/usr/sbin/sshd -D {pair} $SSHD_OPTS")) + "Nice=5\n";
        let rest = override_of("/usr/sbin/sshd -D $SSHD_OPTS") + "Nice=5\n";
        assert_eq!(without_options(with_line.as_bytes()), Without::Rest(rest.into_bytes()));
    }

    #[test]
    fn an_override_that_names_aws_s_program_otherwise_is_somebody_s() {
        for exec_start in [
            format!("/usr/sbin/sshd -D -o \"AuthorizedKeysCommand {} %%u\"", HISTORICAL[1]),
            format!(
                "/usr/sbin/sshd -D -o \"AuthorizedKeysCommand {} %%u %%f\" -o AuthorizedKeysCommandUser=nobody",
                HISTORICAL[1]
            ),
            format!(
                "/usr/sbin/sshd -D {}",
                options(HISTORICAL[1]).replace("%%f", "%%f --debug")
            ),
        ] {
            let whole = override_of(&exec_start);
            assert_eq!(without_options(whole.as_bytes()), Without::Edited(3), "{whole}");
        }
        assert_eq!(without_options(b"[Service]\nNice=5\n"), Without::Same);
        let comment = format!("# {}\n", HISTORICAL[1]);
        assert_eq!(without_options(comment.as_bytes()), Without::Same);
    }
}
