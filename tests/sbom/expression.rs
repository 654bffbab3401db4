//! The licence of the shipped files, including the linked crates, as one SPDX expression for the packages' licence field.

use std::collections::BTreeSet;

use crate::crates::Linked;

/// The licence of the Rust standard library, which is linked as well.
const STANDARD_LIBRARY: &str = "MIT OR Apache-2.0";

/// All of them apply; if one offers a choice, the whole does too.
pub(crate) fn of(linked: &Linked) -> String {
    let licences = linked.values().map(|one| one.licence.as_str());
    joined(licences.chain([STANDARD_LIBRARY]))
}

/// Each part once, sorted, with choices in parentheses.
fn joined<'a>(expressions: impl Iterator<Item = &'a str>) -> String {
    let parts: BTreeSet<String> = expressions.flat_map(parts).collect();
    Vec::from_iter(parts).join(" AND ")
}

/// The parts of an expression that apply together. AND binds more tightly than OR.
fn parts(expression: &str) -> Vec<String> {
    let choices = BTreeSet::from_iter(split(expression, " OR "));
    if choices.len() > 1 {
        // Independent of the order in which it was written.
        return vec![format!("({})", Vec::from_iter(choices).join(" OR "))];
    }
    let parts = split(expression, " AND ");
    if parts.len() > 1 {
        return parts.iter().flat_map(|part| self::parts(part)).collect();
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => self::parts(inner),
        None => vec![expression.to_owned()],
    }
}

/// Splits at an operator, outside parentheses.
fn split(expression: &str, operator: &str) -> Vec<String> {
    let is_open = |part: &str| part.matches('(').count() > part.matches(')').count();
    let mut parts: Vec<String> = Vec::new();
    for piece in expression.split(operator) {
        match parts.last_mut() {
            Some(last) if is_open(last) => *last = [last.as_str(), piece].join(operator),
            _ => parts.push(piece.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn each_licence_is_there_once_and_a_choice_stays_one() {
        let given = [
            "MIT OR Apache-2.0",
            "Apache-2.0 AND ISC",
            "Apache-2.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT",
            "BSD-3-Clause OR MIT AND ISC",
        ];
        assert_eq!(
            joined(given.into_iter()),
            "(Apache-2.0 OR MIT) AND (BSD-3-Clause OR MIT AND ISC) AND Apache-2.0 AND ISC AND MIT AND Unicode-3.0"
        );
    }
}
