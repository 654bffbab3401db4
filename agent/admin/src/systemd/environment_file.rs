//! Reads an `EnvironmentFile=` as systemd does (systemd.exec(5), `parse_env_file`): shell-like assignments.

use std::iter::Peekable;
use std::str::Chars;

use super::exec_start::WHITE_SPACE;

const LINE_ENDS: [char; 2] = ['\n', '\r'];

/// The characters that a backslash escapes in double quotes (`SHELL_NEED_ESCAPE`).
const ESCAPED_IN_QUOTES: [char; 4] = ['"', '\\', '`', '$'];

/// The names and values, in order.
pub(crate) fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if WHITE_SPACE.contains(&first) {
            continue;
        }
        if matches!(first, '#' | ';') {
            skip_comment(&mut rest);
            continue;
        }
        let mut name = String::from(first);
        while let Some(c) = rest.next_if(|c| *c != '=' && !LINE_ENDS.contains(c)) {
            name.push(c);
        }
        if rest.next() == Some('=') {
            found.push((name.trim_end_matches(WHITE_SPACE).to_owned(), value(&mut rest)));
        }
    }
    found
}

/// A comment that ends with a backslash continues on the next line.
fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.next().filter(|c| !LINE_ENDS.contains(c)) {
        if c == '\\' {
            rest.next();
        }
    }
}

/// A value: quoted parts, then an unquoted part, in which quotes are ordinary characters.
fn value(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    let mut is_unquoted = false;
    // White space beyond this length is trailing.
    let mut kept = 0;
    while let Some(c) = rest.next().filter(|c| !LINE_ENDS.contains(c)) {
        match c {
            '\\' => {
                is_unquoted = true;
                value.extend(rest.next().filter(|c| !LINE_ENDS.contains(c)));
            }
            '\'' if !is_unquoted => value.extend(rest.by_ref().take_while(|c| *c != '\'')),
            '"' if !is_unquoted => double_quoted(rest, &mut value),
            _ if WHITE_SPACE.contains(&c) => {
                if is_unquoted {
                    value.push(c);
                }
                continue;
            }
            _ => {
                is_unquoted = true;
                value.push(c);
            }
        }
        kept = value.len();
    }
    value.truncate(kept);
    value
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, value: &mut String) {
    while let Some(c) = rest.next().filter(|c| *c != '"') {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match rest.next() {
            Some('\n') | None => {}
            Some(c) if ESCAPED_IN_QUOTES.contains(&c) => value.push(c),
            Some(c) => value.extend(['\\', c]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_environment_files_are_unquoted() {
        let text = "# x\nSSHD_OPTS=\"-o Banner=none\"\nOPTIONS='-u0'\n A = b \n";
        let read: Vec<_> = assignments(text);
        assert_eq!(read[0].1, "-o Banner=none");
        assert_eq!(read[1].1, "-u0");
        assert_eq!(read[2], ("A".to_owned(), "b".to_owned()));
    }

    #[test]
    fn a_value_is_read_as_systemd_reads_it() {
        for (text, expected) in [
            ("A=-4 # no comment \n", "-4 # no comment"),
            ("A=\"-4\" -6", "-4-6"),
            ("A=-o \"B C\"", "-o \"B C\""),
            ("A=a\\ b\\\n c\\ ", "a b c "),
            ("A=\"a\\\"b\\d\\$\\\nc\nd\"", "a\"b\\d$c\nd"),
            ("A='a\\'\n", "a\\"),
            ("A='a\nb'", "a\nb"),
            ("A=\"not closed\n", "not closed\n"),
            ("no name\n; x\\\nA=skipped\nA=", ""),
            ("#\r\n\r\n\tA\t=\tb\t\r\n", "b"),
        ] {
            assert_eq!(assignments(text), [("A".to_owned(), expected.to_owned())], "{text:?}");
        }
    }
}
