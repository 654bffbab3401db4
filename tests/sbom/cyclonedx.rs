//! The SBOM in CycloneDX 1.5 (the predecessor of ECMA-424), as JSON.

use std::error::Error;
use std::time::Duration;

use der::DateTime;
use serde_json::{Value, json};

use crate::crates::{Crate, Id, Linked, PROGRAMS};

const SCOPE: &str = "The crates that are linked into the programs for x86_64 and aarch64 Linux. Left out: what runs only while \
                     building (build scripts, procedural macros and what these use), and the Rust standard library.";

/// The document; `date` is in seconds since the epoch. It has no serial number, which would have to be random.
pub(crate) fn document(linked: &Linked, date: Option<u64>) -> Result<String, Box<dyn Error>> {
    let (ours, others): (Vec<_>, Vec<_>) = linked.iter().partition(|((name, _), _)| name == PROGRAMS);
    let [(id, programs)] = ours.as_slice() else {
        return Err("the programs are not among what they link".into());
    };
    let mut metadata = json!({
        "lifecycles": [{ "phase": "build" }],
        "component": component("application", id, programs),
        "properties": [{ "name": "ec2-instance-connect:scope", "value": SCOPE }],
    });
    if let Some(seconds) = date {
        let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(|_| "no such date")?;
        metadata["timestamp"] = date.to_string().into();
    }
    let dependency = |(id, one): (&Id, &Crate)| {
        let uses: Vec<String> = one.uses.iter().map(package_url).collect();
        json!({ "ref": package_url(id), "dependsOn": uses })
    };
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": metadata,
        "components": others.iter().map(|(id, one)| component("library", id, one)).collect::<Vec<_>>(),
        "dependencies": linked.iter().map(dependency).collect::<Vec<_>>(),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

fn component(kind: &str, id: &Id, one: &Crate) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": package_url(id),
        "name": id.0,
        "version": id.1,
        "licenses": [{ "expression": one.licence }],
        "purl": package_url(id),
    });
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn package_url((name, version): &Id) -> String {
    // This package is in no registry: a look-up there would find somebody else's.
    let kind = if name == PROGRAMS { "generic" } else { "cargo" };
    // `+` separates build metadata, and must be encoded.
    format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B"))
}
