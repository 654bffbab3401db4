//! The SBOM lists exactly the crates that the compiler linked.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::tools::{read, repository, succeed, text};

struct Written {
    list: String,
    licences: String,
    expression: String,
}

fn written() -> Written {
    let folder = tempfile::tempdir().unwrap();
    let [list, licences, expression] = ["list", "licences", "expression"].map(|name| folder.path().join(name));
    succeed(
        Command::new(env!("CARGO_BIN_EXE_sbom"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            // The result must not depend on the working directory.
            .current_dir(folder.path())
            .args([&list, &licences, &expression]),
    );
    Written {
        list: read(list),
        licences: read(licences),
        expression: read(expression),
    }
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The libraries that the compiler built for the target, according to cargo's messages.
fn compiled() -> BTreeSet<(String, String)> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    // <target>/<profile>/deps/<test>-<hash>
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("sbom");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(repository())
        .args(["check", "--quiet", "--locked", "--package", "ec2-instance-connect"]);
    // With --target, cargo puts what runs during the build into another directory.
    cargo
        .args(["--target", TARGET, "--message-format=json", "--target-dir"])
        .arg(target);
    let messages = text(&mut cargo);
    messages
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["filenames"].to_string().contains(&format!("/{TARGET}/")))
        .filter_map(|message| {
            // registry+https://…#name@version. The workspace's own crates, path+file://…, link them.
            let (_, id) = string(&message, "package_id")
                .strip_prefix("registry+")?
                .rsplit_once('#')?;
            let (name, version) = id.split_once('@')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

#[test]
fn the_list_has_each_crate_that_is_linked_and_no_other() {
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        println!("SKIPPED: SBOM against the compiler: this is not x86_64 Linux");
        return;
    }
    let list: Value = serde_json::from_str(&written().list).unwrap();
    let listed: BTreeSet<_> = list["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (string(one, "name").to_owned(), string(one, "version").to_owned()))
        .collect();
    let compiled = compiled();
    assert!(compiled.len() > 50, "{compiled:?}");
    assert_eq!(listed, compiled);
}

#[test]
fn each_component_has_what_a_reader_of_cyclonedx_looks_for() {
    let list: Value = serde_json::from_str(&written().list).unwrap();
    assert_eq!(
        (string(&list, "bomFormat"), string(&list, "specVersion")),
        ("CycloneDX", "1.5")
    );
    assert_eq!(string(&list["metadata"], "timestamp"), "2023-11-14T22:13:20Z");
    let programs = &list["metadata"]["component"];
    assert_eq!(
        (string(programs, "type"), string(programs, "version")),
        ("application", env!("CARGO_PKG_VERSION"))
    );

    let components = list["components"].as_array().unwrap();
    let mut known = BTreeMap::from([(string(programs, "bom-ref"), programs)]);
    for one in components {
        assert!(string(one, "purl").starts_with("pkg:cargo/"), "{one}");
        assert!(!string(&one["licenses"][0], "expression").contains('/'), "{one}");
        let hash = &one["hashes"][0];
        assert_eq!(
            (string(hash, "alg"), string(hash, "content").len()),
            ("SHA-256", 64),
            "{one}"
        );
        assert!(known.insert(string(one, "bom-ref"), one).is_none(), "twice: {one}");
    }
    let dependencies = list["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), known.len());
    // Every crate can be reached from the programs.
    let mut reached = BTreeSet::new();
    let mut next = vec![string(programs, "bom-ref")];
    while let Some(one) = next.pop() {
        if reached.insert(one) {
            let of_one = dependencies.iter().find(|entry| entry["ref"] == one).unwrap();
            next.extend(
                of_one["dependsOn"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|used| used.as_str().unwrap()),
            );
        }
    }
    assert_eq!(reached, known.into_keys().collect());
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let (one, other) = (written(), written());
    assert_eq!(one.list, other.list);
    assert_eq!(one.licences, other.licences);
    let here = repository().to_str().unwrap();
    assert!(!one.list.contains(here) && !one.licences.contains(here));
}

#[test]
fn each_licence_is_one_that_the_project_takes_and_its_text_is_there() {
    let written = written();
    let list: Value = serde_json::from_str(&written.list).unwrap();
    let deny = fs::read_to_string(repository().join("deny.toml")).unwrap();
    for one in list["components"].as_array().unwrap() {
        let (name, version) = (string(one, "name"), string(one, "version"));
        let expression = string(&one["licenses"][0], "expression");
        assert!(
            written
                .licences
                .contains(&format!("\n{name} {version}: {expression}\n")),
            "{name}"
        );
        let with_text = written
            .licences
            .lines()
            .filter(|line| line.split(", ").any(|user| user == format!("{name} {version}")))
            .count();
        assert!(with_text > 0, "{name}");
        // `A OR B` is acceptable if either is, `A AND B` if both are.
        let taken = expression.split(" OR ").any(|choice| {
            choice
                .split(" AND ")
                .all(|licence| deny.contains(&format!("\"{licence}\"")))
        });
        assert!(taken, "{name}: {expression}");
        for licence in expression.split(" AND ").flat_map(|part| part.split(" OR ")) {
            let licence = licence.trim_matches(['(', ')']);
            assert!(written.expression.contains(licence), "{name}: {expression}");
        }
    }
}
