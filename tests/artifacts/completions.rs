//! The shell completions, as the shells themselves use them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tools::{command, lacks, read, succeed, text};

/// The files that the packages contain.
fn written() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(Command::new(env!("CARGO_BIN_EXE_completions")).arg(folder.path()));
    folder
}

#[test]
fn each_shell_gets_a_file_for_each_program_under_the_name_that_it_looks_for() {
    let folder = written();
    for file in [
        "bash/ec2-instance-connect",
        "bash/eic_run_authorized_keys",
        "zsh/_ec2-instance-connect",
        "zsh/_eic_run_authorized_keys",
        "fish/ec2-instance-connect.fish",
        "fish/eic_run_authorized_keys.fish",
    ] {
        assert!(!read(folder.path().join(file)).is_empty(), "{file}");
    }
}

/// What bash offers for the last word of a line.
fn bash(file: &Path, line: &[&str]) -> Vec<String> {
    let script = r#"
        set -eu
        source "$1"
        shift
        # "complete -F FUNCTION … NAME"
        words=($(complete -p "$1"))
        for at in "${!words[@]}"; do
            if [ "${words[at]}" = -F ]; then function=${words[at + 1]}; fi
        done
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let offered = text(
        command("bash")
            .args(["--norc", "-c", script, "bash"])
            .arg(file)
            .args(line),
    );
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_and_options() {
    if lacks("completion by bash", &["bash"], "bash") {
        return;
    }
    let folder = written();
    let file = folder.path().join("bash/ec2-instance-connect");
    assert_eq!(bash(&file, &["ec2-instance-connect", "en"]), ["enable"]);
    assert_eq!(bash(&file, &["ec2-instance-connect", "status", "--j"]), ["--json"]);
    let file = folder.path().join("bash/eic_run_authorized_keys");
    assert_eq!(bash(&file, &["eic_run_authorized_keys", "--tr"]), ["--trust-store"]);
}

#[test]
fn fish_completes_verbs_and_options() {
    if lacks("completion by fish", &["fish"], "fish") {
        return;
    }
    let folder = written();
    for (name, line, offered) in [
        ("ec2-instance-connect", "ec2-instance-connect en", "enable"),
        ("ec2-instance-connect", "ec2-instance-connect status --js", "--json"),
        (
            "eic_run_authorized_keys",
            "eic_run_authorized_keys --tr",
            "--trust-store",
        ),
    ] {
        let file = folder.path().join(format!("fish/{name}.fish"));
        succeed(command("fish").arg("--no-execute").arg(&file));
        let shown = text(
            command("fish")
                .env("HOME", folder.path())
                .args([
                    "--no-config",
                    "--command",
                    "source $argv[1]; complete --do-complete $argv[2]",
                ])
                .arg(&file)
                .arg(line),
        );
        assert!(shown.starts_with(&format!("{offered}\t")), "{line}: {shown}");
    }
}

#[test]
fn zsh_loads_the_functions() {
    if lacks("completion by zsh", &["zsh"], "zsh") {
        return;
    }
    let folder = written();
    for name in ["ec2-instance-connect", "eic_run_authorized_keys"] {
        let file = folder.path().join(format!("zsh/_{name}"));
        succeed(command("zsh").args(["--no-rcs", "-n"]).arg(&file));
        // compinit reads from the first line which command a file in fpath completes.
        let script = "fpath=($1 $fpath); autoload -Uz compinit; compinit -D; print -r -- $_comps[$2]";
        let shown = text(
            command("zsh")
                .env("HOME", folder.path())
                .args(["--no-rcs", "-c", script, "zsh"])
                .arg(folder.path().join("zsh"))
                .arg(name),
        );
        assert_eq!(shown.trim(), format!("_{name}"));
    }
}
