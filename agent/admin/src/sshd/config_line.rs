//! One line of an sshd_config: its keyword and arguments, split as sshd does (`strdelim` and `argv_split` in misc.c).
//!
//! The crates `shlex` and `shell-words` do not fit: they drop the backslash in `Match User CORP\ann`, which sshd keeps.

use std::fmt;

/// White space between a keyword and its arguments.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The keyword of a line, and the rest of the line.
///
/// `None` for an empty line, a comment, and a quote in the keyword that is never closed: sshd ignores such a line.
pub(crate) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start_matches([' ', '\t', '\r']);
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']);
    let (mut word, mut rest) = delimited(line)?;
    if word.is_empty() {
        (word, rest) = delimited(rest)?;
    }
    (!word.is_empty() && !word.starts_with('#')).then_some((word, rest))
}

/// The first word, which ends at white space, at a closing quote, or at one `=`, and the rest.
fn delimited(text: &str) -> Option<(String, &str)> {
    let is_end = |c: char| WHITE_SPACE.contains(&c) || c == '"' || c == '=';
    let Some((word, rest)) = text.find(is_end).and_then(|end| text.split_at_checked(end)) else {
        return Some((text.to_owned(), ""));
    };
    if let Some(quoted) = rest.strip_prefix('"') {
        let (inside, rest) = quoted.split_once('"')?;
        return Some((format!("{word}{inside}"), rest.trim_start_matches(WHITE_SPACE)));
    }
    let by_equals = rest.starts_with('=');
    let mut rest = rest.get(1..).unwrap_or_default().trim_start_matches(WHITE_SPACE);
    if let Some(after) = rest.strip_prefix('=').filter(|_| !by_equals) {
        rest = after.trim_start_matches(WHITE_SPACE);
    }
    Some((word.to_owned(), rest))
}

/// The arguments after a keyword, up to a comment, without quotes and escapes; `None` if a quote is never closed.
pub(crate) fn arguments(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|&c| c == ' ' || c == '\t').is_some() {}
        match rest.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = rest.next_if(|&c| quote.is_some() || (c != ' ' && c != '\t')) {
            match (c, quote) {
                ('\\', _) => match rest.next_if(|&c| matches!(c, '\'' | '"' | '\\') || (c == ' ' && quote.is_none())) {
                    Some(escaped) => word.push(escaped),
                    None => word.push('\\'),
                },
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

/// The keywords that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// AuthorizedKeysCommand.
    Command,
    /// AuthorizedKeysCommandUser.
    User,
    /// PubkeyAuthentication.
    Pubkey,
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "AuthorizedKeysCommand",
            Self::User => "AuthorizedKeysCommandUser",
            Self::Pubkey => "PubkeyAuthentication",
        })
    }
}

/// The offset of the first Match line, in bytes.
pub(crate) fn first_match(config: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in config.split_inclusive(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if keyword(&text).is_some_and(|(keyword, _)| keyword.eq_ignore_ascii_case("match")) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// The keyword and value of a line that sets AuthorizedKeysCommand or its user.
pub(crate) fn command_or_user(line: &[u8]) -> Option<(Keyword, String)> {
    let text = String::from_utf8_lossy(line);
    let (keyword, rest) = keyword(&text)?;
    match keyword.to_ascii_lowercase().as_str() {
        "authorizedkeyscommand" => Some((Keyword::Command, rest.trim().to_owned())),
        "authorizedkeyscommanduser" => Some((Keyword::User, arguments(rest)?.into_iter().next()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_ends_at_white_space_a_quote_or_one_equals_sign() {
        for (line, word, rest) in [
            ("Port 22", "Port", "22"),
            ("  \tPort\t22  ", "Port", "22"),
            ("Port=22", "Port", "22"),
            ("Port = 22", "Port", "22"),
            ("Port == 22", "Port", "= 22"),
            ("\"Port\" 22", "Port", "22"),
            ("Po\"rt\"22", "Port", "22"),
            ("=Port 22", "Port", "22"),
            ("Port", "Port", ""),
        ] {
            assert_eq!(keyword(line), Some((word.to_owned(), rest)), "{line:?}");
        }
        for line in ["", "   ", "# Port 22", "  #", "\"Port 22"] {
            assert_eq!(keyword(line), None, "{line:?}");
        }
    }

    #[test]
    fn arguments_are_unquoted_and_end_at_a_comment() {
        for (text, words) in [
            ("a b\tc", &["a", "b", "c"][..]),
            ("\"a b\" 'c d'", &["a b", "c d"]),
            ("a\\ b", &["a b"]),
            ("\"a\\\"b\"", &["a\"b"]),
            ("a # b", &["a"]),
            ("a#b", &["a#b"]),
            ("\"\" a", &["", "a"]),
            ("a\\nb", &["a\\nb"]),
            ("User CORP\\ann", &["User", "CORP\\ann"]),
            ("a\\#b \\# a\\\\b", &["a\\#b", "\\#", "a\\b"]),
            ("\"a\\ b\"c a\\", &["a\\ bc", "a\\"]),
            ("", &[]),
        ] {
            assert_eq!(arguments(text).unwrap(), words, "{text:?}");
        }
        assert_eq!(arguments("\"a"), None);
        assert_eq!(arguments("a 'b"), None);
    }
}
