//! The CAs between the signer and its root: the conditions under which they may issue certificates.

use eic_verify::SignerRejection;
use emulator::certificate::{BasicConstraints, DnsConstraints, KeyUsage, KeyUsages, RawExtension, Version, purpose};
use emulator::{Key, Pki, SignatureAlgorithm};

use crate::judge::{Case, HOUR, ISSUING_CA, LEAF, NOW, ROOT, case_with, isolated_with, key_usage, pki, span, with};

fn length(path_len_constraint: Option<u8>) -> Option<BasicConstraints> {
    Some(BasicConstraints {
        ca: true,
        path_len_constraint,
    })
}

/// The path that goes through the cross-signed root: only the older root is trusted.
fn long_path(mut pki: Pki) -> Case {
    pki.anchors = vec![pki.older_root.clone()];
    Case::of(&pki)
}

fn permitting(names: &[&str]) -> Option<DnsConstraints> {
    Some(DnsConstraints {
        permitted: names.iter().map(|&name| name.to_owned()).collect(),
        excluded: Vec::new(),
    })
}

fn excluding(names: &[&str]) -> Option<DnsConstraints> {
    Some(DnsConstraints {
        permitted: Vec::new(),
        excluded: names.iter().map(|&name| name.to_owned()).collect(),
    })
}

#[test]
fn a_leaf_that_issues_another_is_refused() {
    let mut pki = pki();
    let honest = pki.leaf.clone();
    let mut forged = honest.template().clone();
    forged.key = Key::cached("somebody else");
    forged.serial = vec![1];
    let forged = forged.issued_by(&honest);
    pki.leaf = forged.clone();
    pki.chain.insert(0, forged);
    Case::of(&pki).is_refused(&SignerRejection::NotCa(LEAF.into()));
}

#[test]
fn a_certificate_that_is_no_ca_s_issues_nothing() {
    let no_ca = BasicConstraints {
        ca: false,
        path_len_constraint: None,
    };
    for constraints in [None, Some(no_ca)] {
        case_with(|t| t.issuing_ca.basic_constraints = constraints.clone()).is_refused_saying(
            &SignerRejection::NotCa(ISSUING_CA.into()),
            "\"Issuing CA\" issued a certificate of the signer's chain, but is not a CA (basicConstraints)",
        );
    }
}

#[test]
fn an_issuing_ca_without_key_usage_is_accepted() {
    case_with(|t| t.issuing_ca.key_usage = None).is_accepted();
}

#[test]
fn an_issuing_ca_that_may_do_nothing_but_issue_is_accepted() {
    case_with(|t| t.issuing_ca.key_usage = Some(KeyUsage(KeyUsages::KeyCertSign.into()))).is_accepted();
}

#[test]
fn an_issuing_ca_whose_key_usage_lacks_key_cert_sign_is_refused() {
    let usage = KeyUsage(KeyUsages::DigitalSignature | KeyUsages::CRLSign);
    case_with(|t| t.issuing_ca.key_usage = Some(usage)).is_refused_saying(
        &key_usage(ISSUING_CA, "keyCertSign"),
        "keyUsage of \"Issuing CA\" does not allow keyCertSign",
    );
}

#[test]
fn a_cross_signed_root_whose_key_usage_lacks_key_cert_sign_is_refused() {
    long_path(pki()).is_accepted();
    let usage = KeyUsage(KeyUsages::CRLSign.into());
    long_path(with(|t| t.root_cross.key_usage = Some(usage))).is_refused(&key_usage(ROOT, "keyCertSign"));
}

#[test]
fn an_issuing_ca_may_limit_its_purposes_to_servers_or_not_at_all() {
    for purposes in [
        None,
        Some(vec![purpose::ID_KP_SERVER_AUTH]),
        Some(vec![purpose::ID_KP_CODE_SIGNING, purpose::ID_KP_SERVER_AUTH]),
    ] {
        case_with(|t| t.issuing_ca.extended_key_usage = purposes.clone()).is_accepted();
        isolated_with(|t| t.issuing_ca.extended_key_usage = purposes).is_accepted();
    }
}

#[test]
fn an_issuing_ca_for_clients_alone_serves_only_where_signers_come_from_private_cas() {
    let clients = || Some(vec![purpose::ID_KP_CLIENT_AUTH]);
    case_with(|t| t.issuing_ca.extended_key_usage = clients())
        .is_refused(&SignerRejection::ExtendedKeyUsage(ISSUING_CA.into()));
    isolated_with(|t| t.issuing_ca.extended_key_usage = clients()).is_accepted();
}

#[test]
fn an_issuing_ca_for_neither_servers_nor_clients_is_refused() {
    let signing_code = || Some(vec![purpose::ID_KP_CODE_SIGNING]);
    for case in [
        case_with(|t| t.issuing_ca.extended_key_usage = signing_code()),
        isolated_with(|t| t.issuing_ca.extended_key_usage = signing_code()),
    ] {
        case.is_refused_saying(
            &SignerRejection::ExtendedKeyUsage(ISSUING_CA.into()),
            "extendedKeyUsage of \"Issuing CA\" does not allow serverAuth",
        );
    }
}

#[test]
fn a_path_length_is_the_number_of_cas_below() {
    long_path(with(|t| t.root_cross.basic_constraints = length(Some(1)))).is_accepted();
    long_path(with(|t| t.root_cross.basic_constraints = length(Some(0)))).is_refused_by_path(
        "PathLenConstraintViolated",
        "it is longer than the pathLenConstraint of one of its CAs allows",
    );
}

#[test]
fn an_issuing_ca_is_valid_through_its_last_second_and_not_one_longer() {
    case_with(|t| t.issuing_ca.not_after = NOW).is_accepted();
    case_with(|t| t.issuing_ca.not_after = NOW - 1).is_refused(&SignerRejection::Expired(span(1)));
    case_with(|t| t.issuing_ca.not_after = NOW - 3 * HOUR).is_refused_saying(
        &SignerRejection::Expired(span(3 * HOUR)),
        "a certificate of the signer's chain expired 3 h ago",
    );
}

#[test]
fn an_issuing_ca_is_valid_from_its_first_second_and_not_one_earlier() {
    case_with(|t| t.issuing_ca.not_before = NOW).is_accepted();
    case_with(|t| t.issuing_ca.not_before = NOW + 1).is_refused(&SignerRejection::NotYetValid(span(1)));
}

#[test]
fn a_cross_signed_root_that_expired_is_refused_where_the_path_needs_it() {
    long_path(with(|t| t.root_cross.not_after = NOW)).is_accepted();
    long_path(with(|t| t.root_cross.not_after = NOW - 1)).is_refused(&SignerRejection::Expired(span(1)));
}

#[test]
fn an_issuing_ca_with_an_unknown_extension_is_accepted_unless_it_is_critical() {
    case_with(|t| t.issuing_ca.extensions.push(RawExtension::unknown(false))).is_accepted();
    case_with(|t| t.issuing_ca.extensions.push(RawExtension::unknown(true))).is_refused_by_path(
        "UnsupportedCriticalExtension",
        "one of its certificates has an unknown critical extension",
    );
}

#[test]
fn an_issuing_ca_of_version_1_is_refused() {
    let pki = pki();
    let mut template = pki.issuing_ca.template().clone().without_extensions();
    template.version = Version::V1;
    let old = template.issued_by(&pki.root);
    Case::of(&pki).serving(&[&pki.leaf, &old]).is_refused_by_path(
        "UnsupportedCertVersion",
        "one of its certificates is not of X.509 version 3",
    );
}

#[test]
fn an_issuing_ca_signed_with_sha1_or_md5_is_refused() {
    for weak in [SignatureAlgorithm::RsaSha1, SignatureAlgorithm::RsaMd5] {
        case_with(|t| t.issuing_ca.signature_algorithm = Some(weak)).is_refused_by_path(
            "UnsupportedSignatureAlgorithmContext",
            "one of its certificates is signed with an algorithm that is not accepted",
        );
    }
}

#[test]
fn an_issuing_ca_with_a_tampered_signature_is_refused() {
    case_with(|t| t.issuing_ca.tamper_signature = true).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn an_issuing_ca_with_an_rsa_key_under_2048_bits_is_refused() {
    case_with(|t| t.issuing_ca.key = Key::cached_rsa("small issuing CA", 1024)).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn an_issuing_ca_with_an_elliptic_curve_key_is_accepted() {
    case_with(|t| t.issuing_ca.key = Key::p256()).is_accepted();
}

#[test]
fn a_root_with_an_elliptic_curve_key_is_accepted() {
    case_with(|t| {
        t.root.key = Key::p256();
        t.root_cross.key = t.root.key.clone();
    })
    .is_accepted();
}

#[test]
fn what_strict_readers_of_rfc_5280_would_want_more_is_not_asked_for() {
    // Real cross-signed roots lack key identifiers, or leave constraints uncritical.
    case_with(|t| {
        for template in [&mut t.issuing_ca, &mut t.root, &mut t.root_cross, &mut t.older_root] {
            template.critical.clear();
            template.key_identifiers = false;
        }
    })
    .is_accepted();
    long_path(with(|t| {
        for template in [&mut t.issuing_ca, &mut t.root_cross, &mut t.older_root] {
            template.critical.clear();
            template.key_identifiers = false;
        }
    }))
    .is_accepted();
}

#[test]
fn name_constraints_hold_though_they_are_not_critical() {
    for has_alternative_names in [false, true] {
        let refusal = isolated_with(|t| {
            if !has_alternative_names {
                t.leaf.dns_names = None;
            }
            t.issuing_ca.name_constraints = excluding(&["ic.gov"]);
            t.issuing_ca.critical.clear();
        })
        .refusal();
        assert!(refusal.to_string().contains("nameConstraints"), "{refusal}");
    }
}

#[test]
fn an_issuing_ca_whose_name_constraints_permit_the_signer_is_accepted() {
    for base in [
        "amazonaws.com",
        ".amazonaws.com",
        "us-west-2.amazonaws.com",
        "AMAZONAWS.com",
        "com",
    ] {
        case_with(|t| t.issuing_ca.name_constraints = permitting(&["example.com", base])).is_accepted();
    }
    case_with(|t| t.issuing_ca.name_constraints = excluding(&["example.com", "x.amazonaws.com"])).is_accepted();
}

#[test]
fn an_issuing_ca_whose_name_constraints_forbid_the_signer_is_refused() {
    for constraints in [
        permitting(&["example.com"]),
        permitting(&["us-east-1.amazonaws.com"]),
        permitting(&["west-2.amazonaws.com"]),
        excluding(&["amazonaws.com"]),
    ] {
        case_with(|t| t.issuing_ca.name_constraints = constraints.clone()).is_refused_by_path(
            "NameConstraintViolation",
            "nameConstraints of one of its CAs do not permit the signer's name",
        );
    }
}

#[test]
fn name_constraints_hold_for_the_common_name_of_a_leaf_without_alternative_names() {
    let with_constraints = |constraints: Option<DnsConstraints>| {
        isolated_with(|t| {
            t.leaf.dns_names = None;
            t.issuing_ca.name_constraints = constraints;
        })
    };
    with_constraints(permitting(&["c2s.ic.gov"])).is_accepted();
    with_constraints(permitting(&["example.com", "c2s.ic.gov"])).is_accepted();
    with_constraints(excluding(&["example.com"])).is_accepted();
    for constraints in [
        permitting(&["example.com"]),
        permitting(&["east-1.c2s.ic.gov"]),
        excluding(&["C2S.ic.gov"]),
        excluding(&["us-iso-east-1.c2s.ic.gov"]),
        excluding(&[".c2s.ic.gov"]),
    ] {
        with_constraints(constraints).is_refused_saying(
            &SignerRejection::NameConstraint(ISSUING_CA.into()),
            "nameConstraints of \"Issuing CA\" do not permit the signer's name",
        );
    }
}

#[test]
fn name_constraints_on_other_forms_of_names_do_not_concern_the_signer() {
    // permittedSubtrees with one rfc822Name, "example.com".
    let base = [&[0x81, 11][..], b"example.com"].concat();
    let subtree = [&[0x30, 13][..], &base].concat();
    let permitted = [&[0xa0, 15][..], &subtree].concat();
    let constraints = RawExtension {
        oid: emulator::certificate::ObjectIdentifier::new_unwrap("2.5.29.30"),
        critical: true,
        value: [&[0x30, 17][..], &permitted].concat(),
    };
    case_with(|t| t.issuing_ca.extensions.push(constraints.clone())).is_accepted();
    isolated_with(|t| {
        t.leaf.dns_names = None;
        t.issuing_ca.extensions.push(constraints.clone());
    })
    .is_accepted();
}
