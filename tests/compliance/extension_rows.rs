//! Rows of the table of chains: policies, directory names and self-issued CAs.

use emulator::certificate::{ObjectIdentifier, RawExtension};
use emulator::{Key, Pki};

use crate::chain_rows::{Row, made, row, with};
use crate::differences::Verdict::{Accepted, AcceptedHere, Refused, RefusedHere};

const POLICIES: &str = "policies are not evaluated, nor does OpenSSL evaluate them by default: a signer's name identifies it under any policy (RFC 5280 6.1.1 c)";
const CRITICAL_POLICIES: &str = "policies are not evaluated, so critical ones must be refused (RFC 5280 4.2); public CAs must not mark them critical";
const DIRECTORY: &str =
    "directory names are not compared, so any constraint on them forbids everything (RFC 5280 4.2.1.10)";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = policy_rows();
    rows.extend(name_rows());
    rows.extend(self_issued_rows());
    rows
}

/// certificatePolicies with only anyPolicy.
fn policies(critical: bool) -> RawExtension {
    RawExtension {
        oid: ObjectIdentifier::new_unwrap("2.5.29.32"),
        critical,
        value: vec![0x30, 0x08, 0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x20, 0x00],
    }
}

/// policyConstraints: from here on, each certificate must have an acceptable policy.
fn explicit_policy() -> RawExtension {
    RawExtension {
        oid: ObjectIdentifier::new_unwrap("2.5.29.36"),
        critical: false,
        value: vec![0x30, 0x03, 0x80, 0x01, 0x00],
    }
}

fn policy_rows() -> Vec<Row> {
    let requiring = || with(|t| t.issuing_ca.extensions.push(explicit_policy()));
    vec![
        row("an issuing CA with certificatePolicies", Accepted, || {
            with(|t| t.issuing_ca.extensions.push(policies(false)))
        }),
        row(
            "an issuing CA with critical certificatePolicies",
            RefusedHere(CRITICAL_POLICIES),
            || with(|t| t.issuing_ca.extensions.push(policies(true))),
        ),
        row("an issuing CA that requires a policy", Accepted, requiring),
        Row {
            options: &["-purpose", "sslserver", "-policy_check"],
            ..row(
                "an issuing CA that requires a policy, under -policy_check",
                AcceptedHere(POLICIES),
                requiring,
            )
        },
    ]
}

/// DER of one short value.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).expect("short");
    assert!(length < 0x80);
    [&[tag, length], contents].concat()
}

/// A Name of one attribute.
fn attribute(kind: u8, text: &str) -> Vec<u8> {
    let value = [der(0x06, &[0x55, 0x04, kind]), der(0x13, text.as_bytes())].concat();
    der(0x30, &der(0x31, &der(0x30, &value)))
}

/// nameConstraints with this directoryName in the list with that tag: permitted (0xa0) or excluded (0xa1) subtrees.
fn directory(list: u8, name: &[u8]) -> RawExtension {
    RawExtension {
        oid: ObjectIdentifier::new_unwrap("2.5.29.30"),
        critical: true,
        value: der(0x30, &der(list, &der(0x30, &der(0xa4, name)))),
    }
}

/// The subject of the leaf.
fn signer() -> Vec<u8> {
    attribute(0x03, "managed-ssh-signer.us-west-2.amazonaws.com")
}

fn constrained(list: u8, name: &[u8]) -> Pki {
    with(|t| t.issuing_ca.extensions.push(directory(list, name)))
}

fn name_rows() -> Vec<Row> {
    vec![
        row(
            "directory-name constraints that permit the signer",
            RefusedHere(DIRECTORY),
            || constrained(0xa0, &signer()),
        ),
        row("directory-name constraints that permit others", Refused, || {
            constrained(0xa0, &attribute(0x0a, "Somebody else"))
        }),
        row("directory-name constraints that exclude the signer", Refused, || {
            constrained(0xa1, &signer())
        }),
        row(
            "directory-name constraints that exclude others",
            RefusedHere(DIRECTORY),
            || constrained(0xa1, &attribute(0x0a, "Somebody else")),
        ),
    ]
}

/// The issuing CA certifies its own new key with its old one. The old certificate has a path length of 0.
fn rolled_over() -> Pki {
    made(|pki| {
        let mut new = pki.issuing_ca.template().clone();
        new.serial = vec![7];
        new.key = Key::cached("somebody else");
        let new = new.issued_by(&pki.issuing_ca);
        let leaf = pki.leaf.template().clone().issued_by(&new);
        pki.chain.insert(1, new.clone());
        pki.issuing_ca = new;
        pki.replace_leaf(leaf);
    })
}

fn self_issued_rows() -> Vec<Row> {
    vec![row(
        "a self-issued CA below a CA with a path length of 0",
        RefusedHere("every CA counts, as in browsers; RFC 5280 4.2.1.9 does not count self-issued CAs"),
        rolled_over,
    )]
}
