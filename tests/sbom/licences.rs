//! The licences as text: each linked crate, and each licence text once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::crates::{Linked, PROGRAMS};

/// The beginnings of the names of licence files in crates, in lower case.
const NAMES: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicen"];

/// The document.
pub(crate) fn document(linked: &Linked) -> Result<String, Box<dyn Error>> {
    let mut list = String::new();
    let mut users_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((name, version), one) in linked.iter().filter(|((name, _), _)| name != PROGRAMS) {
        writeln!(list, "{name} {version}: {}", one.licence)?;
        let texts = texts(&one.folder)?;
        if texts.is_empty() {
            return Err(format!("{name} {version} carries no licence text").into());
        }
        for text in texts {
            users_of.entry(text).or_default().insert(format!("{name} {version}"));
        }
    }
    let mut document = format!(
        "The programs of this package are made of the works of others as well, each under its own licence:\n\n{list}\n\
         and the Rust standard library: MIT OR Apache-2.0.\n\nThe texts they came with follow.\n"
    );
    let mut texts: Vec<(String, BTreeSet<String>)> = users_of.into_iter().collect();
    texts.sort_by(|(one, its), (other, their)| (its, one).cmp(&(their, other)));
    for (text, users) in texts {
        let users = Vec::from_iter(users).join(", ");
        write!(document, "\n{}\n{users}\n\n{text}\n", "=".repeat(100))?;
    }
    Ok(document)
}

/// The licence texts in a crate's directory, with normalised line ends and surrounding spaces.
fn texts(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).replace('\r', "");
            texts.push(text.trim_matches('\n').to_owned());
        }
    }
    Ok(texts)
}
