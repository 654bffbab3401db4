//! Writes the list of the linked crates (CycloneDX 1.5, JSON) and their licences as text.
//!
//! `sbom LIST LICENCES EXPRESSION`: EXPRESSION gets one line, the SPDX expression that covers everything. The same sources
//! give the same bytes; `SOURCE_DATE_EPOCH` sets the date of the list. cargo resolves the features only for the programs.
//! The usual tools read `cargo metadata` instead, and so also list crates that only the tests link.

mod crates;
mod cyclonedx;
mod expression;
mod licences;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [list, texts, expression] = arguments.as_slice() else {
        eprintln!("usage: sbom LIST LICENCES EXPRESSION");
        return ExitCode::from(2);
    };
    match write(list, texts, expression) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sbom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(list: &PathBuf, texts: &PathBuf, expression: &PathBuf) -> Result<(), Box<dyn Error>> {
    let linked = crates::linked()?;
    let date = env::var("SOURCE_DATE_EPOCH")
        .ok()
        .map(|seconds| seconds.parse())
        .transpose()?;
    fs::write(list, cyclonedx::document(&linked, date)?)?;
    fs::write(texts, licences::document(&linked)?)?;
    fs::write(expression, expression::of(&linked) + "\n")?;
    Ok(())
}
