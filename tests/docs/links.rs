//! Every link within the repository leads to a file that is there, and to a heading that it has.

use crate::blocks::{documents, read, repository};

/// What follows `](` up to the closing parenthesis.
fn links(text: &str) -> Vec<&str> {
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0)).collect()
}

/// The anchors that GitHub makes of a file's headings.
fn anchors(file: &str) -> Vec<String> {
    let text = read(file);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for file in documents() {
        for link in links(&read(&file)) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
            let target = match path {
                "" => file.clone(),
                path => match path.strip_prefix("../") {
                    Some(above) => above.to_owned(),
                    None if directory.is_empty() => path.to_owned(),
                    None => format!("{directory}/{path}"),
                },
            };
            assert!(repository().join(&target).exists(), "{file}: there is no {link}");
            let found = anchor.is_empty() || anchors(&target).iter().any(|heading| heading == anchor);
            assert!(found, "{file}: {target} has no heading for {link}");
        }
    }
    assert!(seen > 20, "{seen}");
}
