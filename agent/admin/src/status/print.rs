//! What `status` prints: JSON, or for people the state in one word, then a row for each fact, which begins with its name.

use std::io::{self, Write};
use std::process::ExitCode;

use super::findings::{self, Line, MatchStatus, Status};
use crate::host::root_directory::RootDirectory;
use crate::options;
use crate::service::listeners::{Listener, State};

/// The longest line; longer values continue on the next line, indented.
const COLUMNS: usize = 100;

/// Prints the state, and returns the exit status.
pub(crate) fn status(options: &options::Status) -> ExitCode {
    let status = findings::find(&RootDirectory::new(&options.root), options.run_sshd);
    let mut stdout = io::stdout().lock();
    // A closed stdout is no error.
    let _ = if options.json {
        serde_json::to_writer(&mut stdout, &status)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout))
    } else {
        stdout.write_all(text(&status).as_bytes())
    };
    status.state.exit_code()
}

fn text(status: &Status) -> String {
    let mut text = Text::default();
    text.row("", &status.state.to_string());
    text.command_and_user("  ", &status.command, &status.user);
    for block in &status.matches {
        text.match_block(block);
    }
    for problem in &status.problems {
        text.row("  problem: ", &format!("{}: {}", problem.kind, problem.what));
        text.row("    remedy: ", &problem.remedy);
    }
    match status.listeners.as_deref() {
        None => {}
        Some([]) => text.row("  sshd: ", "none is listening"),
        Some(listeners) => listeners.iter().for_each(|listener| text.listener(listener)),
    }
    for note in &status.notes {
        text.row("  note: ", note);
    }
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    /// Adds a row: its name and value, wrapped at [`COLUMNS`].
    fn row(&mut self, name: &str, value: &str) {
        let indent = name.len() - name.trim_start().len() + 4;
        let mut width = name.len();
        self.0.push_str(name);
        let mut is_first = true;
        for word in value.split_whitespace() {
            if !is_first && width + 1 + word.len() > COLUMNS {
                self.0.push('\n');
                self.0.push_str(&" ".repeat(indent));
                width = indent;
            } else if !is_first {
                self.0.push(' ');
                width += 1;
            }
            self.0.push_str(word);
            width += word.len();
            is_first = false;
        }
        self.0.push('\n');
    }

    fn command_and_user(&mut self, indent: &str, command: &Option<Line>, user: &Option<Line>) {
        for (name, line) in [("command", command), ("user", user)] {
            if let Some(line) = line {
                self.row(&format!("{indent}{name}: "), &line.value);
                self.row(&format!("{indent}  from: "), &line.place);
            }
        }
    }

    fn match_block(&mut self, block: &MatchStatus) {
        self.row("  match: ", &block.criteria);
        self.row("    from: ", &block.place);
        if block.command.is_none() {
            self.row("    command: ", "none");
        }
        self.command_and_user("    ", &block.command, &block.user);
    }

    fn listener(&mut self, listener: &Listener) {
        let configured = match (listener.state, listener.configured) {
            (State::NotJudged, _) | (_, None) => String::new(),
            (_, Some(configured)) => format!(", {configured}"),
        };
        let unit = listener.unit.as_ref().map_or(String::new(), |unit| format!(", {unit}"));
        self.row(
            "  sshd: ",
            &format!("pid {}, {}{configured}{unit}", listener.pid, listener.state),
        );
        self.row("    command-line: ", &listener.command_line);
        if let Some(configuration) = &listener.configuration {
            self.row("    configuration: ", configuration);
        }
        if let Some(reason) = &listener.reason {
            self.row("    reason: ", reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::State as Found;
    use super::*;
    use crate::service::listeners::Configured;
    use crate::service::problems::{Kind, Problem};

    const PAGE: &str = include_str!("../../../../packaging/man/ec2-instance-connect.8");

    #[test]
    fn each_word_of_the_json_is_in_the_manual_page() {
        use Configured::{AnotherCommand, Hooked, HookedByAws, NotHooked};
        let found = [AnotherCommand, Hooked, HookedByAws, NotHooked].map(|its| (its.to_string(), Found::from(its)));
        let mut words: Vec<String> = found.iter().map(|(word, _)| word.clone()).collect();
        words.extend(found.iter().map(|(_, state)| state.to_string()));
        words.extend([Found::Broken, Found::Unknown].map(|its| its.to_string()));
        words.extend([State::UpToDate, State::Stale, State::OtherOptions, State::NotJudged].map(|its| its.to_string()));
        words.extend(Kind::ALL.map(|its| its.to_string()));
        for word in words {
            assert!(word.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{word}");
            let documented = PAGE.lines().any(|line| {
                let mut parts = line.split(' ').filter(|part| !matches!(*part, ".It" | ".Cm" | "Cm"));
                line.starts_with(".It Cm ") | line.starts_with(".Cm ") && parts.any(|part| part == word)
            });
            assert!(documented, "{word}");
        }
    }

    #[test]
    fn rows_begin_with_their_name_and_fit_a_terminal() {
        let status = Status {
            state: Found::Broken,
            problems: vec![Problem::new(Kind::UserMissing, "word ".repeat(40), "x".repeat(120))],
            notes: vec!["a b".to_owned()],
            ..Status::default()
        };
        let text = text(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"broken"));
        assert!(text.contains("\n  problem: user-missing: word word"));
        assert!(text.contains("\n      word word"));
        assert!(
            text.contains(&format!("\n    remedy: {}\n", "x".repeat(120))),
            "a word stays whole"
        );
        assert_eq!(lines.last(), Some(&"  note: a b"));
        assert!(lines.iter().all(|line| line.len() <= COLUMNS || line.contains("xxx")));
    }
}
