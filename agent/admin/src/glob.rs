//! Glob patterns, as sshd's Include matches them: OpenSSH has a glob(3) of its own (openbsd-compat/glob.c).
//!
//! No crate agrees with it: `glob` has no escapes or classes and rejects an unclosed bracket, which sshd takes literally;
//! `globset`, `fast-glob` and `fnmatch-regex` expand `{a,b}`.
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
/// A leading dot must match explicitly, and an unclosed bracket is an ordinary character. Bytes are compared, not characters.
fn name_matches(pattern: &str, name: &str) -> bool {
    let Some(parts) = parse(pattern.as_bytes()) else {
        return false;
    };
    let is_hidden = name.starts_with('.') && !matches!(parts.first(), Some(Part::Byte(b'.')));
    !is_hidden && match_whole(&parts, name.as_bytes())
}

/// A part of a pattern, which matches one byte, or any number of them.
enum Part {
    /// This byte.
    Byte(u8),
    /// `?`
    Any,
    /// `*`
    AnyNumber,
    /// A bracket expression.
    Bracket { negated: bool, members: Vec<Member> },
}

/// A member of a bracket expression.
enum Member {
    /// From the first byte to the second.
    Range(u8, u8),
    /// A class such as `[:digit:]`.
    Class(fn(u8) -> bool),
}

impl Part {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Byte(only) => *only == byte,
            Self::Any => true,
            Self::AnyNumber => false,
            Self::Bracket { negated, members } => {
                let is_member = members.iter().any(|member| match member {
                    Member::Range(from, to) => (*from..=*to).contains(&byte),
                    Member::Class(contains) => contains(byte),
                });
                is_member != *negated
            }
        }
    }
}

/// Whether the parts match the whole text.
fn match_whole(mut parts: &[Part], mut text: &[u8]) -> bool {
    // What follows the last `*`, and the text to which it was last applied.
    let mut last = None;
    loop {
        match (parts, text) {
            ([Part::AnyNumber, rest @ ..], _) => {
                parts = rest;
                last = Some((rest, text));
            }
            ([part, rest @ ..], [byte, after @ ..]) if part.matches(*byte) => (parts, text) = (rest, after),
            ([], []) => return true,
            _ => match last {
                Some((rest, [_, after @ ..])) => {
                    (parts, text) = (rest, after);
                    last = Some((rest, after));
                }
                _ => return false,
            },
        }
    }
}

/// A byte of a pattern, and whether it may be special: after a backslash, it is not.
type Character = (u8, bool);

/// The parts of a pattern; `None` if it contains an unknown class: then no name matches.
fn parse(pattern: &[u8]) -> Option<Vec<Part>> {
    let mut characters: Vec<Character> = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        characters.push(match byte {
            b'\\' => (*bytes.next().unwrap_or(&byte), false),
            _ => (byte, true),
        });
    }
    let mut parts = Vec::new();
    let mut rest = characters.as_slice();
    while let [(byte, is_special), after @ ..] = rest {
        rest = after;
        parts.push(match byte {
            b'*' if *is_special => Part::AnyNumber,
            b'?' if *is_special => Part::Any,
            b'[' if *is_special && is_closed(after) => {
                let (bracket, after) = bracket(after)?;
                rest = after;
                bracket
            }
            _ => Part::Byte(*byte),
        });
    }
    Some(parts)
}

/// Whether a bracket is closed. A `]` that comes first is a member.
fn is_closed(inside: &[Character]) -> bool {
    let members = inside.strip_prefix(&[(b'!', true)]).unwrap_or(inside);
    members.iter().skip(1).any(|character| *character == (b']', true))
}

/// A bracket expression from what follows its `[`, and the rest of the pattern.
fn bracket(inside: &[Character]) -> Option<(Part, &[Character])> {
    let (negated, mut rest) = match inside {
        [(b'!', true), rest @ ..] => (true, rest),
        _ => (false, inside),
    };
    let mut members = Vec::new();
    loop {
        let member;
        (member, rest) = match (class_name(rest), rest) {
            (Some((name, after)), _) => (Member::Class(class(&name)?), after),
            (None, [(from, _), (b'-', true), to, after @ ..]) if *to != (b']', true) => {
                (Member::Range(*from, to.0), after)
            }
            (None, [(only, _), after @ ..]) => (Member::Range(*only, *only), after),
            (None, []) => return None,
        };
        members.push(member);
        if let [(b']', true), after @ ..] = rest {
            return Some((Part::Bracket { negated, members }, after));
        }
    }
}

/// The name in a `[:name:]` at the start, and what follows it.
fn class_name(text: &[Character]) -> Option<(Vec<u8>, &[Character])> {
    let [(b'[', true), (b':', true), named @ ..] = text else {
        return None;
    };
    let end = named.iter().position(|character| *character == (b':', true))?;
    let (name, after) = named.split_at_checked(end)?;
    let [_, (b']', true), after @ ..] = after else {
        return None;
    };
    Some((name.iter().map(|(byte, _)| *byte).collect(), after))
}

/// The bytes in a class, in the C locale.
fn class(name: &[u8]) -> Option<fn(u8) -> bool> {
    let contains: fn(u8) -> bool = match name {
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"digit" => |byte| byte.is_ascii_digit(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"print" => |byte| byte == b' ' || byte.is_ascii_graphic(),
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"space" => |byte| byte.is_ascii_whitespace() || byte == b'\x0b',
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    Some(contains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_glob() {
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
            ("\\.*", ".a", true),
            ("[.]*", ".a", false),
            ("a*b*c", "axbxbxc", true),
            ("a*b*c", "axbxbx", false),
            ("[a", "a", false),
            ("[]", "[]", true),
            ("[!]", "[!]", true),
            ("[]-a]", "^", true),
            ("[a-]", "-", true),
            ("[z-a]", "m", false),
            ("[^a]", "b", false),
            ("[\\]]", "]", true),
            ("[a\\-z]", "m", false),
            ("[\\!a]", "!", true),
            ("a\\", "a\\", true),
            ("{a,b}", "a", false),
            ("[[:digit:]]*.conf", "50-x.conf", true),
            ("[[:digit:]]*.conf", "x.conf", false),
            ("[![:digit:]_]", "5", false),
            ("[[:digit:][:upper:]-]", "X", true),
            ("[[:digit:]-z]", "m", false),
            ("[[:space:]]", "\u{b}", true),
            ("[[:digits:]]*", "5", false),
            ("[[:digit]", ":", true),
            ("?", "\u{e9}", false),
            ("??", "\u{e9}", true),
        ] {
            assert_eq!(name_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
