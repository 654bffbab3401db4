//! Writes the completions of both programs for bash, zsh and fish to `packaging/completions`, for `make completions`.
//!
//! `completions DIR` writes `DIR/{bash,zsh,fish}`, each file under the name that its shell looks for.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::{Generator, Shell, generate};
use eic_authorized_keys::Options;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: completions DIR");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("completions: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    for command in [Options::command(), ec2_instance_connect::Options::command()] {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let folder = folder.join(shell.to_string());
            fs::create_dir_all(&folder)?;
            let name = command.get_name().to_owned();
            generate(
                shell,
                &mut command.clone(),
                &name,
                &mut File::create(folder.join(file_name(shell, &command)))?,
            );
        }
    }
    Ok(())
}

/// bash-completion looks for a file with the name of the command; the generator would use another name.
fn file_name(shell: Shell, command: &Command) -> String {
    match shell {
        Shell::Bash => command.get_name().to_owned(),
        other => other.file_name(command.get_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_the_programs_options_are_now() {
        let written = tempfile::tempdir().unwrap();
        write(written.path()).unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/completions");
        for shell in fs::read_dir(written.path()).unwrap() {
            for file in fs::read_dir(shell.unwrap().path()).unwrap() {
                let file = file.unwrap().path();
                let kept = kept.join(file.strip_prefix(written.path()).unwrap());
                assert!(
                    fs::read(&kept).ok() == fs::read(&file).ok(),
                    "{} is old: `make completions`",
                    kept.display()
                );
            }
        }
    }
}
