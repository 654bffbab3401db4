//! Removes each check that refuses from a copy of the project, one at a time, and confirms that the named test fails.
//!
//! If the test still passes, the check is not tested. If the original of a mutation is no longer in the source, the
//! mutation is out of date. In either case the run fails.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use emulator::kept_keys::EMULATOR_KEYS;

/// The checks, as hunks: `@ file target test`, the original lines after `-`, the changed lines after `+`.
const CHECKS: [&str; 3] = [
    include_str!("verify.txt"),
    include_str!("program.txt"),
    include_str!("hook.txt"),
];

/// One check, the change that removes it, and the test that must then fail.
struct Mutation {
    /// The file, below `agent`.
    file: &'static str,
    /// The original text, which occurs exactly once.
    original: String,
    /// The changed text: code that builds, and does not refuse.
    replacement: String,
    /// Where the test is.
    target: Target,
    /// The test, or a part of the name that several tests share.
    test: &'static str,
}

impl Mutation {
    fn parse(hunk: &'static str) -> Option<Self> {
        let mut lines = hunk.trim().lines();
        let mut head = lines.next()?.split(' ');
        let side = |sign: char| {
            lines
                .clone()
                .filter_map(|line| line.strip_prefix(sign))
                .collect::<Vec<_>>()
                .join("\n")
        };
        Some(Self {
            file: head.next()?,
            target: Target::named(head.next()?)?,
            test: head.next()?,
            original: side('-'),
            replacement: side('+'),
        })
    }
}

/// Where a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// In the same crate as the code.
    Unit,
    /// `tests/verification`.
    Verification,
    /// `tests/program`.
    Program,
    /// `tests/hook`, in containers: for checks that only a whole system can test.
    Hook,
}

impl Target {
    fn named(name: &str) -> Option<Self> {
        match name {
            "unit" => Some(Self::Unit),
            "verification" => Some(Self::Verification),
            "program" => Some(Self::Program),
            "hook" => Some(Self::Hook),
            _ => None,
        }
    }

    /// cargo's arguments to run it.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Unit => &[
                "--package",
                "eic-verify",
                "--package",
                "eic-authorized-keys",
                "--package",
                "ec2-instance-connect",
                "--lib",
            ],
            Self::Verification => &["--package", "ec2-instance-connect-tests", "--test", "verification"],
            Self::Program => &["--package", "ec2-instance-connect-tests", "--test", "program"],
            Self::Hook => &[
                "--package",
                "ec2-instance-connect-tests",
                "--features",
                "root",
                "--test",
                "hook",
            ],
        }
    }
}

fn main() -> io::Result<ExitCode> {
    let only = env::args().nth(1);
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let scratch = Scratch {
        tree: project.join("target/mutate/tree"),
        build: project.join("target/mutate/build"),
    };
    scratch.lay(&project)?;

    let mutations = mutations()?;
    let is_chosen = |mutation: &&Mutation| {
        only.as_ref()
            .is_none_or(|only| mutation.file.contains(only) || mutation.test.contains(only))
    };
    let chosen: Vec<&Mutation> = mutations.iter().filter(is_chosen).collect();
    let mut ran: Vec<(Target, Ran)> = Vec::new();
    for target in [Target::Unit, Target::Verification, Target::Program, Target::Hook] {
        let of_target = chosen.iter().filter(|mutation| mutation.target == target);
        let tests: BTreeSet<&str> = of_target.map(|mutation| mutation.test).collect();
        if !tests.is_empty() {
            ran.push((target, scratch.with_every_check(target, &tests)?));
        }
    }
    let mut wrong = 0;
    let (mut tried, mut skipped) = (0, 0);
    for mutation in chosen {
        let with_every_check = ran.iter().find(|(target, _)| *target == mutation.target);
        let ends_here = |tests: &BTreeSet<String>| tests.iter().any(|test| test.contains(mutation.test));
        if with_every_check.is_some_and(|(_, ran)| ends_here(&ran.skipped)) {
            skipped += 1;
            println!(
                "SKIPPED: without the check {}, its test does not run here",
                mutation.test
            );
            continue;
        }
        tried += 1;
        let verdict = if with_every_check.is_some_and(|(_, ran)| ends_here(&ran.green)) {
            scratch.try_out(mutation)?
        } else {
            Verdict::NoTest
        };
        if verdict != Verdict::Red {
            wrong += 1;
        }
        let first_line = mutation.original.trim().lines().next().unwrap_or_default();
        println!(
            "{:<12} {:<28} {}\n             {first_line}",
            verdict.word(),
            mutation.file,
            mutation.test
        );
    }
    println!("\n{} passed, {wrong} failed, {skipped} skipped", tried - wrong);
    Ok(if wrong == 0 && tried > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The result of a mutation.
#[derive(PartialEq, Eq)]
enum Verdict {
    /// The test failed, as it must.
    Red,
    /// The test passed without the check.
    Survived,
    /// The original does not occur in the file exactly once.
    OutOfDate,
    /// The changed code does not build.
    NoBuild,
    /// No test has that name, or it already fails with the check in place.
    NoTest,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Survived => "SURVIVED",
            Self::OutOfDate => "OUT OF DATE",
            Self::NoBuild => "NO BUILD",
            Self::NoTest => "NO TEST",
        }
    }
}

/// The result of a test run.
#[derive(Default)]
struct Ran {
    /// Those that passed.
    green: BTreeSet<String>,
    /// Those that printed `SKIPPED: …`, and passed without having tested anything.
    skipped: BTreeSet<String>,
}

impl Ran {
    /// From cargo's output with `--show-output`.
    fn read(said: &str) -> Self {
        let mut ran = Self::default();
        let mut section = "";
        for line in said.lines() {
            if let Some(test) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... ok")) {
                ran.green.insert(test.to_owned());
            } else if let Some(test) = line
                .strip_prefix("---- ")
                .and_then(|line| line.strip_suffix(" stdout ----"))
            {
                section = test;
            } else if line.starts_with("SKIPPED: ") && ran.green.remove(section) {
                ran.skipped.insert(section.to_owned());
            }
        }
        ran
    }
}

/// All checks, in the order of their files.
fn mutations() -> io::Result<Vec<Mutation>> {
    let hunks = CHECKS
        .iter()
        .flat_map(|checks| checks.trim().trim_start_matches("@ ").split("\n@ "));
    hunks
        .map(|hunk| Mutation::parse(hunk).ok_or_else(|| io::Error::other(format!("no hunk: {hunk}"))))
        .collect()
}

/// A copy of the project to change, with its own build directory.
struct Scratch {
    tree: PathBuf,
    build: PathBuf,
}

impl Scratch {
    /// Brings the copy up to date; what has not changed keeps its time, so that it is not built again.
    fn lay(&self, project: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.tree)?;
        for name in ["Cargo.toml", "Cargo.lock", "agent", "packaging/man", "systemd", "tests"] {
            copy_changed(&project.join(name), &self.tree.join(name))?;
        }
        Ok(())
    }

    /// Runs these tests of a target with every check in place.
    fn with_every_check(&self, target: Target, tests: &BTreeSet<&str>) -> io::Result<Ran> {
        let named: Vec<&str> = ["--no-fail-fast", "--", "--show-output"]
            .into_iter()
            .chain(tests.iter().copied())
            .collect();
        let said = self.cargo(target, &named)?.1;
        let ran = Ran::read(&said);
        if ran.green.is_empty() && ran.skipped.is_empty() {
            return Err(io::Error::other(format!(
                "nothing passes with every check in place:\n{said}"
            )));
        }
        Ok(ran)
    }

    fn try_out(&self, mutation: &Mutation) -> io::Result<Verdict> {
        let path = self.tree.join("agent").join(mutation.file);
        let whole = fs::read_to_string(&path)?;
        if whole.matches(&mutation.original).count() != 1 {
            return Ok(Verdict::OutOfDate);
        }
        fs::write(&path, whole.replace(&mutation.original, &mutation.replacement))?;
        let verdict = if !self.cargo(mutation.target, &["--no-run"])?.0 {
            Verdict::NoBuild
        } else if self.cargo(mutation.target, &[mutation.test])?.0 {
            Verdict::Survived
        } else {
            Verdict::Red
        };
        fs::write(&path, whole)?;
        Ok(verdict)
    }

    /// Runs `cargo test` on a target; returns whether it succeeded, and its output.
    fn cargo(&self, target: Target, arguments: &[&str]) -> io::Result<(bool, String)> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--locked"])
            .args(target.arguments())
            .args(arguments)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build)
            .env(EMULATOR_KEYS, self.build.join("tmp/keys"))
            // Removing a check leaves unused code.
            .env("RUSTFLAGS", "-Awarnings")
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

fn copy_changed(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_changed(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    let bytes = fs::read(from)?;
    if fs::read(to).ok().as_ref() != Some(&bytes) {
        fs::write(to, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source files below a directory, in one text.
    fn sources(directory: &Path) -> String {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| match path.extension() {
                _ if path.is_dir() => sources(&path),
                Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
                _ => String::new(),
            })
            .collect()
    }

    #[test]
    fn every_check_to_take_out_is_in_the_code_once_and_its_test_is_there() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let everything = sources(&project.join("agent")) + &sources(&project.join("tests"));
        let mut wrong = Vec::new();
        for Mutation {
            file, original, test, ..
        } in mutations().unwrap()
        {
            let code = fs::read_to_string(project.join("agent").join(file)).unwrap_or_default();
            let times = code.matches(&original).count();
            if times != 1 {
                wrong.push(format!("{file} has {times} times: {original}"));
            }
            let name = test.rsplit("::").next().unwrap_or(test);
            if !everything.contains(name) {
                wrong.push(format!("there is no test {test}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
