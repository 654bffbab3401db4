//! Writes what bash, zsh and fish complete of both programs' command lines, for the packages to install.
//!
//! `completions DIR` makes `DIR/{bash,zsh,fish}`, each file under the name that its shell looks for.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::{Generator, Shell, generate};
use ec2_instance_connect::{Options, admin};

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

fn write(folder: &std::path::Path) -> io::Result<()> {
    for command in [Options::command(), admin::Options::command()] {
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

/// bash-completion looks for the bare name of the command, whatever the generator would call the file.
fn file_name(shell: Shell, command: &Command) -> String {
    match shell {
        Shell::Bash => command.get_name().to_owned(),
        other => other.file_name(command.get_name()),
    }
}
