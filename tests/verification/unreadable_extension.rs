//! An extension that cannot be read is never treated as if it were absent.

use eic_verify::{DelegationProblem, RevocationProblem, SignerRejection};
use emulator::CertificateTemplate;
use emulator::certificate::{ObjectIdentifier, RawExtension};

use crate::judge::{Case, ISSUING_CA, LEAF, ROOT, case_with, isolated_with, key_usage, pki};

const KEY_USAGE: &str = "2.5.29.15";
const ALTERNATIVE_NAMES: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const PURPOSES: &str = "2.5.29.37";
const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// Values that are invalid for all extensions here: empty, NULL, truncated, text.
const UNREADABLE: [&[u8]; 4] = [&[], &[0x05, 0x00], &[0x30, 0x09, 0x30], b"text"];

fn extension(oid: &str, value: &[u8]) -> RawExtension {
    RawExtension {
        oid: ObjectIdentifier::new_unwrap(oid),
        critical: false,
        value: value.to_vec(),
    }
}

/// Replaces its keyUsage by one with that value.
fn with_key_usage(template: &mut CertificateTemplate, value: &[u8]) {
    template.key_usage = None;
    template.extensions.push(extension(KEY_USAGE, value));
}

#[test]
fn a_leaf_whose_key_usage_cannot_be_read_is_refused() {
    // digitalSignature, encoded by hand.
    case_with(|t| with_key_usage(&mut t.leaf, &[0x03, 0x02, 0x07, 0x80])).is_accepted();
    for value in UNREADABLE {
        case_with(|t| with_key_usage(&mut t.leaf, value)).is_refused(&key_usage(LEAF, "digitalSignature"));
    }
}

#[test]
fn a_ca_whose_key_usage_cannot_be_read_is_refused() {
    // keyCertSign, encoded by hand.
    case_with(|t| with_key_usage(&mut t.issuing_ca, &[0x03, 0x02, 0x02, 0x04])).is_accepted();
    for value in UNREADABLE {
        case_with(|t| with_key_usage(&mut t.issuing_ca, value)).is_refused(&key_usage(ISSUING_CA, "keyCertSign"));
        case_with(|t| with_key_usage(&mut t.root, value)).is_refused(&key_usage(ROOT, "keyCertSign"));
    }
}

#[test]
fn a_responder_whose_key_usage_cannot_be_read_is_refused() {
    let pki = pki();
    for value in UNREADABLE {
        let mut responder = pki.responder_template();
        with_key_usage(&mut responder, value);
        let staple = pki
            .staple(&pki.leaf)
            .delegated_to(&responder.issued_by(&pki.issuing_ca));
        Case::of(&pki)
            .stapled([&staple, &pki.staple(&pki.issuing_ca)])
            .is_refused_by_staple(
                LEAF,
                RevocationProblem::Delegation {
                    responder: "OCSP Responder".into(),
                    problem: DelegationProblem::KeyUsage,
                },
            );
    }
}

#[test]
fn a_leaf_whose_alternative_names_cannot_be_read_is_refused() {
    for value in UNREADABLE {
        case_with(|t| {
            t.leaf.dns_names = None;
            t.leaf.extensions.push(extension(ALTERNATIVE_NAMES, value));
        })
        .is_refused(&SignerRejection::AlternativeName);
    }
}

#[test]
fn a_certificate_whose_purposes_cannot_be_read_is_refused() {
    // A list with an invalid purpose.
    let no_purpose: &[u8] = &[0x30, 0x02, 0x05, 0x00];
    for value in UNREADABLE.into_iter().chain([no_purpose]) {
        let unreadable = |template: &mut CertificateTemplate| {
            template.extended_key_usage = None;
            template.extensions.push(extension(PURPOSES, value));
        };
        for case in [
            case_with(|t| unreadable(&mut t.leaf)),
            case_with(|t| unreadable(&mut t.issuing_ca)),
            case_with(|t| unreadable(&mut t.root)),
            isolated_with(|t| unreadable(&mut t.leaf)),
            isolated_with(|t| unreadable(&mut t.issuing_ca)),
            isolated_with(|t| unreadable(&mut t.root)),
        ] {
            case.refusal();
        }
    }
    case_with(|t| t.root.extensions.push(extension(PURPOSES, no_purpose)))
        .is_refused(&SignerRejection::ExtendedKeyUsage(ROOT.into()));
}

#[test]
fn a_ca_whose_basic_constraints_cannot_be_read_is_refused() {
    for value in UNREADABLE {
        let refusal = |case: Case| case.refusal();
        refusal(case_with(|t| {
            t.issuing_ca.basic_constraints = None;
            t.issuing_ca.extensions.push(extension(BASIC_CONSTRAINTS, value));
        }));
        let root = refusal(case_with(|t| {
            t.root.basic_constraints = None;
            t.root.extensions.push(extension(BASIC_CONSTRAINTS, value));
        }));
        assert!(matches!(root, SignerRejection::NoAnchor { .. }), "{root:?}");
    }
}

#[test]
fn a_ca_whose_name_constraints_cannot_be_read_is_refused() {
    // permittedSubtrees with an invalid subtree, and one with a minimum of 1 (RFC 5280 requires 0).
    let no_subtree: &[u8] = &[0x30, 0x06, 0xa0, 0x04, 0x30, 0x02, 0x05, 0x00];
    let minimum: &[u8] = &[
        0x30, 0x0c, 0xa0, 0x0a, 0x30, 0x08, 0x82, 0x03, b'c', b'o', b'm', 0x80, 0x01, 0x01,
    ];
    for value in UNREADABLE.into_iter().chain([no_subtree, minimum]) {
        case_with(|t| t.issuing_ca.extensions.push(extension(NAME_CONSTRAINTS, value))).refusal();
        constrained(value).refusal();
    }
}

/// DER of one short value.
fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).expect("short");
    assert!(length < 0x80);
    [&[tag, length], contents].concat()
}

/// nameConstraints with these subtrees, each a list of GeneralNames; `None` for an absent list.
fn constraints(permitted: Option<&[Vec<u8>]>, excluded: Option<&[Vec<u8>]>) -> Vec<u8> {
    let list = |tag: u8, names: Option<&[Vec<u8>]>| match names {
        Some(names) => value(
            tag,
            &names.iter().flat_map(|name| value(0x30, name)).collect::<Vec<_>>(),
        ),
        None => Vec::new(),
    };
    value(0x30, &[list(0xa0, permitted), list(0xa1, excluded)].concat())
}

/// A signer without alternative names, so that path building applies no constraint to it, below a CA with this one.
fn constrained(value: &[u8]) -> Case {
    isolated_with(|t| {
        t.leaf.dns_names = None;
        t.issuing_ca.extensions.push(extension(NAME_CONSTRAINTS, value));
    })
}

#[test]
fn name_constraints_put_together_by_hand_hold_as_others_do() {
    let here = [value(0x82, b"c2s.ic.gov")];
    let elsewhere = [value(0x82, b"example.com")];
    constrained(&constraints(Some(&here), Some(&elsewhere))).is_accepted();
    for forbidding in [
        constraints(Some(&elsewhere), None),
        constraints(None, Some(&here)),
        constraints(Some(&here), Some(&here)),
    ] {
        constrained(&forbidding).is_refused(&SignerRejection::NameConstraint(ISSUING_CA.into()));
    }
}

#[test]
fn an_empty_list_of_subtrees_does_not_hide_the_other_list() {
    let here = [value(0x82, b"c2s.ic.gov")];
    constrained(&constraints(Some(&[]), Some(&here))).is_refused(&SignerRejection::NameConstraint(ISSUING_CA.into()));
}

#[test]
fn a_subtree_whose_name_cannot_be_read_forbids_everything() {
    let not_text = [value(0x82, b"\xffexample.com")];
    for constraints in [constraints(Some(&not_text), None), constraints(None, Some(&not_text))] {
        constrained(&constraints).is_refused(&SignerRejection::NameConstraint(ISSUING_CA.into()));
    }
}
