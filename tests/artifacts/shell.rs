//! Every shell script of the repository.

use crate::tools::{command, files, lacks, read, repository, succeed};

#[test]
fn every_shell_script_passes_shellcheck() {
    if lacks("shellcheck on every script", &["shellcheck"], "shellcheck") {
        return;
    }
    let scripts: Vec<_> = files(repository())
        .into_iter()
        .filter(|path| {
            let bytes = std::fs::read(path).expect("a file can be read");
            let is_sourced = || {
                bytes
                    .split(|&byte| byte == b'\n')
                    .any(|line| line == b"# shellcheck shell=sh")
            };
            bytes.starts_with(b"#!/bin/sh") || is_sourced()
        })
        .collect();
    assert!(scripts.len() >= 4, "{scripts:?}");
    // Scripts change to the repository's root directory, and name the files that they source from there.
    succeed(
        command("shellcheck")
            .current_dir(repository())
            .arg("--external-sources")
            .args(&scripts),
    );
    for script in &scripts {
        let text = read(script);
        if !text.starts_with("#!") {
            continue;
        }
        let strict = text.lines().any(|line| line.starts_with("set -"));
        assert!(strict, "{} says no `set -e`", script.display());
    }
}
