//! Splits an `ExecStart=` into words as systemd does (`extract_first_word`), then replaces specifiers and variables.
//!
//! The crates `shlex` and `shell-words` do not fit: they do not know C-style escapes (`\x2d`), they drop the backslash of an
//! unknown escape, which systemd keeps, and they take a word that begins with `#` for a comment.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// What separates words (`WHITESPACE`).
pub(crate) const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// What a backslash does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// It begins a C-style escape, and is kept if that is unknown (`EXTRACT_CUNESCAPE`). Quotes must be closed.
    Escape,
    /// It is dropped. Quotes need not be closed (`EXTRACT_RELAX`).
    Drop,
}

/// The words of a text; `None` if a quote is not closed.
pub(crate) fn words(text: &str, backslash: Backslash) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| WHITE_SPACE.contains(c)).is_some() {}
        if rest.peek().is_none() {
            return Some(words);
        }
        words.push(word(&mut rest, backslash)?);
    }
}

fn word(rest: &mut Peekable<Chars<'_>>, backslash: Backslash) -> Option<String> {
    let mut word = Vec::new();
    let mut quote = None;
    while let Some(c) = rest.next_if(|c| quote.is_some() || !WHITE_SPACE.contains(c)) {
        match (c, quote) {
            ('\\', _) if backslash == Backslash::Escape => match escaped(rest) {
                Some(bytes) => word.extend(bytes),
                None => {
                    word.push(b'\\');
                    push(&mut word, rest.next());
                }
            },
            ('\\', _) => push(&mut word, rest.next()),
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => push(&mut word, Some(c)),
        }
    }
    let is_whole = quote.is_none() || backslash == Backslash::Drop;
    is_whole.then(|| String::from_utf8_lossy(&word).into_owned())
}

fn push(word: &mut Vec<u8>, c: Option<char>) {
    word.extend(c.map(String::from).unwrap_or_default().into_bytes());
}

/// The bytes that a C-style escape stands for (`cunescape_one`); `None` if it is unknown: then nothing is taken from `rest`.
fn escaped(rest: &mut Peekable<Chars<'_>>) -> Option<Vec<u8>> {
    let mut ahead = rest.clone();
    let byte = |byte: u8| Some(vec![byte]);
    let bytes = match ahead.next()? {
        'a' => byte(0x07),
        'b' => byte(0x08),
        'f' => byte(0x0c),
        'n' => byte(b'\n'),
        'r' => byte(b'\r'),
        't' => byte(b'\t'),
        'v' => byte(0x0b),
        's' => byte(b' '),
        '\\' => byte(b'\\'),
        '"' => byte(b'"'),
        '\'' => byte(b'\''),
        'x' => byte(number(&mut ahead, 2, 16)?.try_into().ok()?),
        'u' => character(number(&mut ahead, 4, 16)?),
        'U' => character(number(&mut ahead, 8, 16)?),
        '0'..='7' => {
            ahead = rest.clone();
            byte(number(&mut ahead, 3, 8)?.try_into().ok()?)
        }
        _ => None,
    }?;
    *rest = ahead;
    Some(bytes)
}

/// A number with exactly this many digits; `None` for 0, which would end a C string.
fn number(rest: &mut Peekable<Chars<'_>>, digits: usize, base: u32) -> Option<u32> {
    let mut number = 0_u32;
    for _ in 0..digits {
        number = number.checked_mul(base)?.checked_add(rest.next()?.to_digit(base)?)?;
    }
    (number != 0).then_some(number)
}

fn character(number: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(number)?.to_string().into_bytes())
}

/// A word with `%%` replaced by `%`; `None` if it contains another specifier (systemd.unit(5)), whose value only systemd knows.
pub(crate) fn without_specifiers(word: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        text.push('%');
        if after.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        rest = after.strip_prefix('%').unwrap_or(after);
    }
    text.push_str(rest);
    Some(text)
}

/// Replaces variables (`replace_env_argv`): a word `$NAME` becomes the words of the value, `${NAME}` within a word becomes the
/// value, and `$$` becomes `$`.
pub(crate) fn with_variables(words: Vec<String>, environment: &BTreeMap<String, String>) -> Vec<String> {
    let value = |name: &str| environment.get(name).map(String::as_str).unwrap_or_default();
    let replaced = words.into_iter().map(|word| {
        let name = word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$']));
        match name {
            Some(name) => self::words(value(name), Backslash::Drop).unwrap_or_default(),
            None => vec![with_variables_in(&word, value)],
        }
    });
    replaced.flatten().collect()
}

fn with_variables_in<'a>(word: &str, value: impl Fn(&str) -> &'a str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = inside.find(['}', ':']).unwrap_or(inside.len());
            let (name, after) = inside.split_at_checked(end).unwrap_or((inside, ""));
            match after.strip_prefix('}') {
                Some(after) => {
                    text.push_str(value(name));
                    rest = after;
                }
                // systemd leaves `${NAME:-default}` unchanged.
                None => {
                    text.push_str("${");
                    text.push_str(name);
                    rest = after;
                }
            }
        } else {
            text.push('$');
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_quotes_and_escapes_in_c_s_style() {
        for (text, expected) in [
            ("a  b\tc ", &["a", "b", "c"][..]),
            ("", &[]),
            ("\"\" ''", &["", ""]),
            ("\"a b\"'c d'e", &["a bc de"]),
            ("'a\"b' \"c'd\"", &["a\"b", "c'd"]),
            ("a#b #c ; d", &["a#b", "#c", ";", "d"]),
            ("\\x2d\\055\\u002d\\U0000002d", &["----"]),
            ("\\303\\251 '\\x41' é", &["é", "A", "é"]),
            (
                "a\\sb a\\tb \\a\\b\\f\\n\\r\\v",
                &["a b", "a\tb", "\u{7}\u{8}\u{c}\n\r\u{b}"],
            ),
            ("\\\\ \\\" \\'", &["\\", "\"", "'"]),
            (
                "\\d \\x0 \\x00 \\400 \\08 \\; \\ a",
                &["\\d", "\\x0", "\\x00", "\\400", "\\08", "\\;", "\\ a"],
            ),
            ("a\\", &["a\\"]),
            ("a\u{a0}b", &["a\u{a0}b"]),
        ] {
            assert_eq!(words(text, Backslash::Escape).unwrap(), expected, "{text:?}");
        }
        for text in ["\"a", "a 'b", "'a\\'", "\"a\\"] {
            assert_eq!(words(text, Backslash::Escape), None, "{text:?}");
        }
    }

    #[test]
    fn a_value_loses_each_backslash_and_may_leave_a_quote_open() {
        for (text, expected) in [
            (" -o a\\ b\\n ", &["-o", "a bn"][..]),
            ("'a b", &["a b"]),
            ("a\\", &["a"]),
            ("#a é", &["#a", "é"]),
        ] {
            assert_eq!(words(text, Backslash::Drop).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_doubled_per_cent_sign_is_no_specifier() {
        for (word, expected) in [
            ("%%u %% %", Some("%u % %")),
            ("%%%%u", Some("%%u")),
            ("%/%.", Some("%/%.")),
            ("/x %u", None),
            ("%%%i", None),
            ("a%1", None),
        ] {
            assert_eq!(without_specifiers(word).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn variables_become_words_or_parts_of_words() {
        let environment = [("A", "x 'y z' "), ("P", "%%u"), ("E", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (word, expected) in [
            ("$A", &["x", "y z"][..]),
            ("${A}", &["x 'y z' "]),
            ("-o${P}=$A", &["-o%%u=$A"]),
            ("$E", &[]),
            ("${E}", &[""]),
            ("$NONE", &[]),
            ("a${NONE}b", &["ab"]),
            ("$A-b", &[]),
            ("$$A", &["$A"]),
            ("a$$${P}$", &["a$%%u$"]),
            ("${A:-b}${P}", &["${A:-b}%%u"]),
            ("${A", &["${A"]),
            ("$", &[]),
        ] {
            let words = with_variables(vec![word.to_owned()], &environment.clone().into());
            assert_eq!(words, expected, "{word}");
        }
    }
}
