//! The crates linked into the programs, and what cargo knows about each.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The package whose programs are shipped.
pub(crate) const PROGRAMS: &str = "ec2-instance-connect";
/// The target for which they are built.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A crate's name and version: cargo links no two that share them.
pub(crate) type Id = (String, String);

/// The linked crates, including the programs' own package.
pub(crate) type Linked = BTreeMap<Id, Crate>;

/// One crate.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its licence, as an SPDX expression.
    pub(crate) licence: String,
    pub(crate) repository: Option<String>,
    /// The directory of its sources.
    pub(crate) folder: PathBuf,
    /// SHA-256 of its archive; the workspace's own crates have none.
    pub(crate) checksum: Option<String>,
    /// The crates that it uses.
    pub(crate) uses: BTreeSet<Id>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

/// Asks cargo.
pub(crate) fn linked() -> Result<Linked, Box<dyn Error>> {
    let checksums = checksums(&fs::read_to_string(root().join("Cargo.lock"))?);
    let mut linked = Linked::new();
    for target in TARGETS {
        let uses = uses(&cargo(&[
            "tree",
            "--package",
            PROGRAMS,
            // Crates that only run during the build are not linked.
            "--edges=normal,no-proc-macro",
            "--target",
            target,
            "--prefix=depth",
            "--no-dedupe",
            "--format= {p}",
        ])?)?;
        let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform", target])?;
        let metadata: Metadata = serde_json::from_str(&metadata)?;
        for package in metadata.packages {
            let id = (package.name, package.version);
            let Some(uses) = uses.get(&id) else { continue };
            let licence = package.license.ok_or_else(|| format!("{} names no licence", id.0))?;
            let new = || Crate {
                // An older notation.
                licence: licence.replace('/', " OR "),
                repository: package.repository,
                folder: package.manifest_path.parent().unwrap_or(Path::new("/")).to_owned(),
                checksum: checksums.get(&id).cloned(),
                uses: BTreeSet::new(),
            };
            linked
                .entry(id.clone())
                .or_insert_with(new)
                .uses
                .extend(uses.iter().cloned());
        }
        if let Some((name, version)) = uses.keys().find(|id| !linked.contains_key(*id)) {
            return Err(format!("cargo's metadata lacks {name} {version}").into());
        }
    }
    Ok(as_one(linked))
}

/// The crates of this workspace as one, under the name of the package: they have no archive.
fn as_one(linked: Linked) -> Linked {
    let (parts, mut linked): (Linked, Linked) = linked
        .into_iter()
        .partition(|((name, _), one)| one.checksum.is_none() && name != PROGRAMS);
    for one in linked.values_mut().filter(|one| one.checksum.is_none()) {
        one.uses
            .extend(parts.values().flat_map(|part| part.uses.iter().cloned()));
        one.uses.retain(|used| !parts.contains_key(used));
    }
    linked
}

/// The directory of the workspace.
fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

fn cargo(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Parses a tree: each line has a crate's depth, name and version; the last line before it with one depth less uses it.
fn uses(tree: &str) -> Result<BTreeMap<Id, BTreeSet<Id>>, Box<dyn Error>> {
    let mut uses: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut path: Vec<Id> = Vec::new();
    for line in tree.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [depth, name, version, ..] = words.as_slice() else {
            return Err(format!("cargo tree says \"{line}\"").into());
        };
        let id = ((*name).to_owned(), version.trim_start_matches('v').to_owned());
        path.truncate(depth.parse()?);
        if let Some(user) = path.last() {
            uses.entry(user.clone()).or_default().insert(id.clone());
        }
        uses.entry(id.clone()).or_default();
        path.push(id);
    }
    Ok(uses)
}

/// Parses Cargo.lock, which has one `key = "value"` per line.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    lock.split("[[package]]")
        .filter_map(|package| {
            let value = |key: &str| {
                let line = package
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
                line.map(|line| line.trim_matches('"').to_owned())
            };
            Some(((value("name")?, value("version")?), value("checksum")?))
        })
        .collect()
}
