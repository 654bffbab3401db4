//! The table of the results, `<target>/packages-matrix.md`: one line for each cell, then one for each step.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use crate::surroundings::target;

const CELLS: &str = "\
Whom sshd asks, and whether a pushed key gets its owner in:

| cell | at first | then | open connection | files at the end besides the package's |
|---|---|---|---|---|
";

const STEPS: &str = "
| cell | step | before | after | open connection | files besides the package's |
|---|---|---|---|---|---|
";

/// One step of one cell.
pub(crate) struct Row {
    pub(crate) cell: String,
    pub(crate) step: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) open: Option<bool>,
    pub(crate) files: Vec<String>,
}

/// Adds a row, and writes what there is.
pub(crate) fn record(row: Row) {
    static CELLS_SO_FAR: Mutex<BTreeMap<String, Vec<Row>>> = Mutex::new(BTreeMap::new());
    let mut cells = CELLS_SO_FAR.lock().unwrap_or_else(PoisonError::into_inner);
    cells.entry(row.cell.clone()).or_default().push(row);
    let mut table = CELLS.to_owned();
    for (name, rows) in cells.iter() {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            continue;
        };
        let then: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.step, row.after)).collect();
        let open: Vec<bool> = rows.iter().filter_map(|row| row.open).collect();
        let open = (!open.is_empty()).then(|| open.iter().all(|goes_on| *goes_on));
        let (then, open, files) = (then.join("<br>"), words(open), list(&last.files));
        table.push_str(&format!("| {name} | {} | {then} | {open} | {files} |\n", first.before));
    }
    table.push_str(STEPS);
    for row in cells.values().flatten() {
        let (open, files) = (words(row.open), list(&row.files));
        let cells = [&row.cell, &row.step, &row.before, &row.after, open, &files];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    fs::write(target().join("packages-matrix.md"), table).expect("the folder is ours");
}

fn words(open: Option<bool>) -> &'static str {
    match open {
        Some(true) => "goes on",
        Some(false) => "ENDED",
        None => "–",
    }
}

fn list(files: &[String]) -> String {
    match files {
        [] => "none".to_owned(),
        files => files.join("<br>"),
    }
}
