//! Glob patterns, as glob(3) matches them: sshd's Include and systemd's EnvironmentFile take them.
#![deny(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use super::files::Files;

/// The files that match an absolute pattern, in the order of glob(3).
///
/// The directories on whose entries the result depends are added to `searched`.
pub(crate) fn files_matching(files: &dyn Files, pattern: &str, searched: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let Some(parts) = pattern.strip_prefix('/') else {
        return Vec::new();
    };
    let mut found = vec![PathBuf::from("/")];
    for part in parts.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if is_pattern(part) {
                let names = files.names(&directory).into_iter();
                let matching = names.filter(|name| name_matches(part, name));
                next.extend(matching.map(|name| directory.join(name)));
                searched.push(directory);
            } else {
                next.push(directory.join(part));
            }
        }
        found = next;
    }
    let missing = found.iter().filter(|path| !files.has_name(path));
    searched.extend(missing.filter_map(|path| path.parent()).map(Path::to_owned));
    found.retain(|path| files.has_name(path));
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    found
}

/// Whether a path matches a pattern: each part of one matches the same part of the other.
pub(crate) fn path_matches(pattern: &str, path: &Path) -> bool {
    fn parts(text: &str) -> Vec<&str> {
        text.split('/').filter(|part| !part.is_empty()).collect()
    }
    let Some(names) = path.to_str().map(parts) else {
        return false;
    };
    let patterns = parts(pattern);
    let mut pairs = patterns.iter().zip(&names);
    patterns.len() == names.len() && pairs.all(|(pattern, name)| name_matches(pattern, name))
}

/// Whether a text contains wildcards or escapes.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether a file name matches a pattern, neither of which contains a slash.
///
/// As in glob(3), a leading dot must match explicitly, and a bracket that is never closed is an ordinary character.
fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') && !pattern.starts_with("\\.") {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches(&pattern, &name)
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        (['*', rest @ ..], _) => (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| matches(rest, name))),
        (['?', rest @ ..], [_, after @ ..]) => matches(rest, after),
        (['\\', c, rest @ ..], [first, after @ ..]) => c == first && matches(rest, after),
        (['[', inside @ ..], [first, after @ ..]) => match bracket(inside, *first) {
            Some((is_in, rest)) => is_in && matches(rest, after),
            None => *first == '[' && matches(inside, after),
        },
        ([c, rest @ ..], [first, after @ ..]) => c == first && matches(rest, after),
        (_, []) => false,
    }
}

/// Whether a bracket contains `c`, and the pattern after the bracket; `None` if the bracket is never closed.
fn bracket(inside: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match inside {
        ['!', rest @ ..] => (true, rest),
        _ => (false, inside),
    };
    let mut is_in = false;
    let mut first = true;
    loop {
        match rest {
            [] => return None,
            [']', after @ ..] if !first => return Some((is_in != negated, after)),
            [from, '-', to, after @ ..] if *to != ']' => {
                is_in |= (*from..=*to).contains(&c);
                rest = after;
            }
            [one, after @ ..] => {
                is_in |= *one == c;
                rest = after;
            }
        }
        first = false;
    }
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
}
