//! What a failed test prints: the three logs of the login, side by side.

use std::time::{Duration, Instant};

use emulator::LoggedRequest;

use crate::dev_log::LogLine;

/// The width of the first two of the three columns.
const WIDTH: usize = 64;

/// sshd's lines, the program's lines and the emulator's requests in three columns, in order of time.
pub(crate) fn timeline(started: Instant, lines: &[LogLine], requests: &[LoggedRequest]) -> String {
    let mut rows: Vec<(Option<Duration>, usize, String)> = Vec::new();
    for line in lines {
        let at = line.at.map(|at| at.saturating_duration_since(started));
        let (column, text) = match (line.is_sshd(), line.is_ours()) {
            (true, _) => (0, line.text.clone()),
            (_, true) => (1, line.text.clone()),
            _ => (0, format!("{}: {}", line.tag, line.text)),
        };
        rows.push((at, column, text));
    }
    for request in requests {
        // The emulator starts together with the world, so both clocks start at the same time.
        let text = request.to_string();
        let text = text.split_once(" s  ").map_or(text.as_str(), |(_, rest)| rest);
        rows.push((Some(request.at), 2, text.to_owned()));
    }
    rows.sort_by_key(|(at, _, _)| *at);
    let mut table = row("", ["sshd", "eic_run_authorized_keys", "requests to the emulator"]);
    for (at, column, text) in rows {
        let time = at.map_or_else(String::new, |at| format!("{:.3}", at.as_secs_f64()));
        let mut pieces = wrapped(&text, if column == 2 { usize::MAX } else { WIDTH }).into_iter();
        let mut line = |time: &str, piece: &str| {
            let mut cells = [""; 3];
            cells[column] = piece;
            table.push_str(&row(time, cells));
        };
        line(&time, &pieces.next().unwrap_or_default());
        pieces.for_each(|piece| line("", &piece));
    }
    table
}

fn row(time: &str, [sshd, program, requests]: [&str; 3]) -> String {
    let line = format!("{time:>8} | {sshd:WIDTH$} | {program:WIDTH$} | {requests}");
    line.trim_end().to_owned() + "\n"
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let characters: Vec<_> = text.chars().collect();
    characters.chunks(width).map(|piece| piece.iter().collect()).collect()
}
