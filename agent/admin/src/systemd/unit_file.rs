//! The syntax of unit files (systemd.syntax(7)).

use super::exec_start::WHITE_SPACE;

/// The settings of the `[Service]` section, each with the number of its first line. A line that ends with a backslash continues
/// on the next one.
pub(crate) fn service_settings(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut in_service = false;
    let mut add = |first: usize, whole: &str| {
        let whole = whole.trim_matches(WHITE_SPACE);
        if whole.starts_with('[') {
            in_service = whole == "[Service]";
        } else if let Some((key, value)) = whole.split_once('=').filter(|_| in_service) {
            let [key, value] = [key, value].map(|part| part.trim_matches(WHITE_SPACE).to_owned());
            found.push((first, key, value));
        }
    };
    let mut continued: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches(WHITE_SPACE);
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (first, mut whole) = continued.take().unwrap_or((number + 1, String::new()));
        whole.push_str(line);
        // Of two backslashes, the first escapes the second.
        let backslashes = whole.chars().rev().take_while(|c| *c == '\\').count();
        if backslashes % 2 == 0 {
            add(first, &whole);
        } else {
            whole.pop();
            whole.push(' ');
            continued = Some((first, whole));
        }
    }
    if let Some((first, whole)) = continued {
        add(first, &whole);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_lines_are_joined_and_comments_ignored() {
        let text = "[Unit]\nExecStart=/no\n[Service]\n# x\nExecStart=/a \\\n  -b\n; y\nKillMode = process\n";
        let lines = service_settings(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], (5, "ExecStart".to_owned(), "/a  -b".to_owned()));
        assert_eq!(lines[1].2, "process");
        for (text, value) in [
            ("ExecStart=a \\\n# x\n\tb\\\n", "a  b"),
            ("ExecStart=a\\\\\nb\n", "a\\\\"),
            ("ExecStart=a\\ \nb\n", "a\\"),
            ("ExecStart=a\\\n\nb\n", "a"),
        ] {
            let lines = service_settings(&format!("[Service]\n{text}"));
            assert_eq!(lines, [(2, "ExecStart".to_owned(), value.to_owned())], "{text:?}");
        }
    }
}
