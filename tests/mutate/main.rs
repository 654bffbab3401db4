//! Takes each check that refuses out of a copy of the project, one at a time, and sees the named test go red.
//!
//! A check whose test stays green without it is not tested; a mutation whose original is no longer in the code is out
//! of date. Either fails the run.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The checks, as hunks: `@ file target test`, what stands there behind `-`, what it becomes behind `+`.
const CHECKS: [&str; 2] = [include_str!("verify.txt"), include_str!("program.txt")];

/// One check, how to take it out, and the test that must notice.
struct Mutation {
    /// The file, below `agent/src`.
    file: &'static str,
    /// What stands there, exactly once.
    original: String,
    /// What it becomes: code that builds, and does not refuse.
    replacement: String,
    /// Where the test is.
    target: Target,
    /// The test, or the part of its name that several share.
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
    /// Beside the code.
    Unit,
    /// `tests/verification`.
    Verification,
    /// `tests/program`.
    Program,
}

impl Target {
    fn named(name: &str) -> Option<Self> {
        match name {
            "unit" => Some(Self::Unit),
            "verification" => Some(Self::Verification),
            "program" => Some(Self::Program),
            _ => None,
        }
    }

    /// What tells cargo to run it.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Unit => &["--package", "ec2-instance-connect", "--lib"],
            Self::Verification => &["--package", "ec2-instance-connect-tests", "--test", "verification"],
            Self::Program => &["--package", "ec2-instance-connect-tests", "--test", "program"],
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

    let mut green: Vec<(Target, Vec<String>)> = Vec::new();
    for target in [Target::Unit, Target::Verification, Target::Program] {
        green.push((target, scratch.green(target)?));
    }
    let mut wrong = 0;
    let mutations = CHECKS
        .iter()
        .flat_map(|checks| checks.trim().trim_start_matches("@ ").split("\n@ "))
        .map(|hunk| Mutation::parse(hunk).ok_or_else(|| io::Error::other(format!("no hunk: {hunk}"))))
        .collect::<io::Result<Vec<_>>>()?;
    let chosen = mutations.iter().filter(|mutation| {
        only.as_ref()
            .is_none_or(|only| mutation.file.contains(only) || mutation.test.contains(only))
    });
    let mut tried = 0;
    for mutation in chosen {
        tried += 1;
        let is_tested = green
            .iter()
            .any(|(target, tests)| *target == mutation.target && tests.iter().any(|test| test.contains(mutation.test)));
        let verdict = if is_tested {
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
    println!("\n{} passed, {wrong} failed", tried - wrong);
    Ok(if wrong == 0 && tried > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What became of a mutation.
#[derive(PartialEq, Eq)]
enum Verdict {
    /// The test failed, as it must.
    Red,
    /// The test passed without the check.
    Survived,
    /// The original does not stand in the file exactly once.
    OutOfDate,
    /// What it becomes does not build.
    NoBuild,
    /// No test has that name, or it fails with the check in place.
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

/// A copy of the project that may be spoiled, with its own build folder.
struct Scratch {
    tree: PathBuf,
    build: PathBuf,
}

impl Scratch {
    /// Brings the copy up to date; what has not changed keeps its time, so that it is not built again.
    fn lay(&self, project: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.tree)?;
        for name in ["Cargo.toml", "Cargo.lock", "agent", "systemd", "tests"] {
            copy_changed(&project.join(name), &self.tree.join(name))?;
        }
        Ok(())
    }

    /// The tests of a target that pass with every check in place.
    fn green(&self, target: Target) -> io::Result<Vec<String>> {
        let said = self.cargo(target, &["--no-fail-fast"])?.1;
        let passed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... ok")?.to_owned());
        let green: Vec<String> = said.lines().filter_map(passed).collect();
        if green.is_empty() {
            return Err(io::Error::other(format!(
                "nothing passes with every check in place:\n{said}"
            )));
        }
        Ok(green)
    }

    fn try_out(&self, mutation: &Mutation) -> io::Result<Verdict> {
        let path = self.tree.join("agent/src").join(mutation.file);
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

    /// Runs `cargo test` on a target; whether it succeeded, and what it said.
    fn cargo(&self, target: Target, arguments: &[&str]) -> io::Result<(bool, String)> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--locked"])
            .args(target.arguments())
            .args(arguments)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build)
            // Unused code is what taking a check out leaves.
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
