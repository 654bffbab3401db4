//! Runs a command and writes its peak memory to a file: `peak FILE COMMAND [ARGUMENT]...`. The unit is KiB of resident memory
//! (getrusage(2), ru_maxrss).

use std::env;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(file), Some(command)) = (arguments.next(), arguments.next()) else {
        return Err("usage: peak FILE COMMAND [ARGUMENT]...".into());
    };
    let status = Command::new(command).args(arguments).status()?;
    fs::write(file, getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().to_string())?;
    // A signal has no exit status.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
