//! Pattern lists, as Match lines use them (ssh_config(5), PATTERNS): `match_pattern_list` of OpenSSH's match.c.
//!
//! The crate `wildmatch` agrees with sshd on ASCII only: its `?` matches a character, sshd's a byte.

/// Whether a text matches a list of patterns, separated by commas, each of which may be negated with `!`.
pub(crate) fn matches(list: &str, text: &str) -> bool {
    let mut positive = false;
    for pattern in list.split_terminator(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if pattern_matches(pattern, text) {
            if negated {
                return false;
            }
            positive = true;
        }
    }
    positive
}

/// Whether a text matches one pattern with the wildcards `*` and `?`.
pub(crate) fn pattern_matches(pattern: &str, text: &str) -> bool {
    fn rest_matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => {
                (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| rest_matches(rest, text)))
            }
            ([b'?', rest @ ..], [_, after @ ..]) => rest_matches(rest, after),
            ([byte, rest @ ..], [first, after @ ..]) => byte == first && rest_matches(rest, after),
            (_, []) => false,
        }
    }
    rest_matches(pattern.as_bytes(), text.as_bytes())
}

/// A text that matches a list: the first pattern that is not negated, with its wildcards filled in. `None` if that does not
/// match.
pub(crate) fn example(list: &str) -> Option<String> {
    let positive = list.split(',').filter(|pattern| !pattern.starts_with('!'));
    positive
        .flat_map(|pattern| ["x", "any", "zz9"].map(|fill| pattern.replace('*', fill).replace('?', "x")))
        .find(|text| !text.is_empty() && matches(list, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_match_as_in_openssh() {
        for (list, text, expected) in [
            ("a,b", "b", true),
            ("*,!root", "root", false),
            ("!root", "a", false),
            ("dev?", "dev1", true),
            ("a*b*c", "axxbyyc", true),
            ("CORP\\ann", "CORP\\ann", true),
            ("[a]", "a", false),
            ("a[", "a[", true),
            ("?", "\u{e9}", false),
            ("??", "\u{e9}", true),
            ("a,", "", false),
        ] {
            assert_eq!(matches(list, text), expected, "{list} {text}");
        }
        assert_eq!(example("*,!x"), Some("any".to_owned()));
        assert_eq!(example("git"), Some("git".to_owned()));
        assert_eq!(example("!git"), None);
    }
}
