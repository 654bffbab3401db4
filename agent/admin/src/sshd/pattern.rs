//! The two kinds of patterns that an sshd_config has: file names after Include (glob(7)), and lists after Match.

/// Whether a file's name, without folders, matches a glob pattern without slashes.
///
/// As glob(3): a leading dot must be given, a bracket that is never closed stands for itself.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') && !pattern.starts_with("\\.") {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    glob(&pattern, &name)
}

/// Whether a pattern has anything but characters that stand for themselves.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

fn glob(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        (['*', rest @ ..], _) => (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| glob(rest, name))),
        (['?', rest @ ..], [_, behind @ ..]) => glob(rest, behind),
        (['\\', c, rest @ ..], [first, behind @ ..]) => c == first && glob(rest, behind),
        (['[', inside @ ..], [first, behind @ ..]) => match bracket(inside, *first) {
            Some((holds, rest)) => holds && glob(rest, behind),
            None => *first == '[' && glob(inside, behind),
        },
        ([c, rest @ ..], [first, behind @ ..]) => c == first && glob(rest, behind),
        (_, []) => false,
    }
}

/// Whether `c` is among those of a bracket, and the pattern behind it; `None` where the bracket is never closed.
fn bracket(inside: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match inside {
        ['!', rest @ ..] => (true, rest),
        _ => (false, inside),
    };
    let mut holds = false;
    let mut first = true;
    loop {
        match rest {
            [] => return None,
            [']', behind @ ..] if !first => return Some((holds != negated, behind)),
            [from, '-', to, behind @ ..] if *to != ']' => {
                holds |= (*from..=*to).contains(&c);
                rest = behind;
            }
            [one, behind @ ..] => {
                holds |= *one == c;
                rest = behind;
            }
        }
        first = false;
    }
}

/// Whether a text matches one of OpenSSH's lists: patterns of `*` and `?` between commas, each perhaps negated by `!`.
pub(crate) fn list_matches(list: &str, text: &str) -> bool {
    let mut positive = false;
    for pattern in list.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if matches(pattern, text) {
            if negated {
                return false;
            }
            positive = true;
        }
    }
    positive
}

/// Whether a text matches one pattern of `*` and `?`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    fn go(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| go(rest, text))),
            (['?', rest @ ..], [_, behind @ ..]) => go(rest, behind),
            ([c, rest @ ..], [first, behind @ ..]) => c == first && go(rest, behind),
            (_, []) => false,
        }
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    go(&pattern, &text)
}

/// A text that matches a list, where one is easily made: the first positive pattern, its wildcards filled in.
pub(crate) fn example(list: &str) -> Option<String> {
    let positive = list.split(',').filter(|pattern| !pattern.starts_with('!'));
    positive
        .flat_map(|pattern| ["x", "any", "zz9"].map(|fill| pattern.replace('*', fill).replace('?', "x")))
        .find(|text| !text.is_empty() && list_matches(list, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_glob_has_it() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            (".*.conf", ".a.conf", true),
            ("*.conf", "a.conf.new", false),
            ("[0-9]*.conf", "5x.conf", true),
            ("[!0-9]*.conf", "5x.conf", false),
            ("[]a]", "]", true),
            ("[ab", "[ab", true),
            ("?.conf", "a.conf", true),
            ("?.conf", "ab.conf", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(name_matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn lists_match_as_openssh_has_it() {
        for (list, text, expected) in [
            ("a,b", "b", true),
            ("*,!root", "root", false),
            ("!root", "a", false),
            ("dev?", "dev1", true),
            ("a*b*c", "axxbyyc", true),
        ] {
            assert_eq!(list_matches(list, text), expected, "{list} {text}");
        }
        assert_eq!(example("*,!x"), Some("any".to_owned()));
        assert_eq!(example("git"), Some("git".to_owned()));
        assert_eq!(example("!git"), None);
    }
}
