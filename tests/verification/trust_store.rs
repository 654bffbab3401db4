//! The trust store: which of its certificates can be the root of a path, whatever other text the files contain.

use eic_verify::SignerRejection;
use emulator::certificate::{BasicConstraints, DnsConstraints, KeyUsage, KeyUsages, RawExtension, Version, purpose};
use emulator::{Certificate, Key, Pki, SignatureAlgorithm, pem};

use crate::judge::{self, Case, DAY, NOW, ROOT, case_with, isolated_with, key_usage, pki, with};

/// Refused because no root of the store issued the default chain.
fn no_anchor(seen: usize) -> SignerRejection {
    judge::no_anchor(seen, "Oldest Root CA")
}

/// The default case with this text as the bundle.
fn bundle(text: impl FnOnce(&Pki) -> String) -> Case {
    let pki = pki();
    Case {
        store: vec![text(&pki).into()],
        ..Case::of(&pki)
    }
}

/// The root between these two texts.
fn among(junk: &str) -> Case {
    bundle(|pki| format!("{junk}{}{junk}", pki.root.pem()))
}

/// The changed root as the only certificate of the store.
fn root(change: impl FnOnce(&mut emulator::CertificateTemplate)) -> Case {
    case_with(|t| change(&mut t.root))
}

fn sibling(pki: &Pki, change: impl FnOnce(&mut emulator::CertificateTemplate)) -> Certificate {
    let mut template = pki.root.template().clone();
    template.serial = vec![7];
    change(&mut template);
    template.self_signed()
}

fn length(path_len_constraint: Option<u8>) -> Option<BasicConstraints> {
    Some(BasicConstraints {
        ca: true,
        path_len_constraint,
    })
}

#[test]
fn the_root_is_found_in_a_bundle_and_in_a_folder_of_a_hundred_and_fifty() {
    let pki = pki();
    let roots = emulator::instance::roots(&pki.anchors, 150);
    let case = Case::of(&pki);
    Case {
        store: vec![roots.concat().into_bytes()],
        ..case.clone()
    }
    .is_accepted();
    Case {
        store: roots.into_iter().map(String::into_bytes).collect(),
        ..case
    }
    .is_accepted();
}

#[test]
fn an_empty_store_says_how_many_it_has() {
    bundle(|_| String::new()).is_refused(&no_anchor(0));
    Case {
        store: Vec::new(),
        ..Case::of(&pki())
    }
    .is_refused(&no_anchor(0));
    let roots = emulator::instance::roots(&[], 150).concat();
    bundle(|_| roots).is_refused_saying(
        &no_anchor(150),
        "no CA in /etc/ssl/certs/ca-certificates.crt (150 certificates) issued the signer's chain (top: Oldest Root CA)",
    );
}

#[test]
fn comments_text_and_other_blocks_in_the_store_do_no_harm() {
    among("# Emulator Root CA\n").is_accepted();
    among("\n\nCertificate:\n    Data:\n        Version: 3 (0x2)\n").is_accepted();
    for label in ["TRUSTED CERTIFICATE", "X509 CRL", "PRIVATE KEY", "SOMETHING ELSE"] {
        among(&pem(label, &[0x30, 0x00])).is_accepted();
    }
}

#[test]
fn a_broken_block_in_the_store_does_no_harm() {
    among("-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n").is_accepted();
    among("-----BEGIN CERTIFICATE---\nMIIB\n-----END CERTIFICATE-----\n").is_accepted();
    among(&pem("CERTIFICATE", b"not DER")).is_accepted();
    among("-----END CERTIFICATE-----\n").is_accepted();
}

#[test]
fn a_block_in_the_store_that_never_ends_does_no_harm() {
    among("-----BEGIN CERTIFICATE-----\nMIIB\n").is_accepted();
    among("-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n").is_accepted();
}

#[test]
fn a_commented_out_root_is_no_anchor() {
    let commented = |pki: &Pki| pki.root.pem().replace("-----BEGIN", "#-----BEGIN");
    bundle(commented).is_refused(&no_anchor(0));
    let commented = |pki: &Pki| pki.root.pem().lines().map(|line| format!("# {line}\n")).collect();
    bundle(commented).is_refused(&no_anchor(0));
}

#[test]
fn a_store_with_carriage_returns_serves() {
    bundle(|pki| pki.root.pem().replace('\n', "\r\n")).is_accepted();
}

#[test]
fn a_store_with_bytes_that_are_not_utf8_serves() {
    let mut case = Case::of(&pki());
    case.store[0].splice(0..0, *b"# CA \xe9tranger\n");
    case.is_accepted();
}

#[test]
fn a_store_with_a_byte_order_mark_before_a_root_serves() {
    const MARK: &str = "\u{feff}";
    bundle(|pki| format!("{MARK}{}", pki.root.pem())).is_accepted();
    // As `cat` writes two files, each with its byte order mark.
    bundle(|pki| format!("{MARK}{}{MARK}{}", pki.oldest_root.pem(), pki.root.pem())).is_accepted();
    bundle(|pki| format!("# \u{ff}{}", pki.root.pem())).is_refused(&no_anchor(0));
    bundle(|pki| format!("#{MARK}{}", pki.root.pem())).is_refused(&no_anchor(0));
}

#[test]
fn a_store_with_the_root_twice_serves() {
    let pki = pki();
    Case::of(&pki).trusting(&[&pki.root, &pki.root]).is_accepted();
}

#[test]
fn an_expired_root_beside_a_valid_one_of_its_name_does_no_harm() {
    let pki = pki();
    let expired = sibling(&pki, |t| t.not_after = NOW - DAY);
    Case::of(&pki).trusting(&[&expired, &pki.root]).is_accepted();
    Case::of(&pki).trusting(&[&pki.root, &expired]).is_accepted();
    Case::of(&pki).trusting(&[&expired]).is_refused(&no_anchor(1));
}

#[test]
fn a_root_of_the_same_name_with_another_key_beside_it_does_no_harm() {
    let pki = pki();
    let namesake = sibling(&pki, |t| t.key = Key::cached("somebody else"));
    Case::of(&pki).trusting(&[&namesake, &pki.root]).is_accepted();
    Case::of(&pki).trusting(&[&namesake]).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn a_root_is_valid_through_its_last_second_and_not_one_longer() {
    root(|t| t.not_after = NOW).is_accepted();
    root(|t| t.not_after = NOW - 1).is_refused(&no_anchor(1));
}

#[test]
fn a_root_is_valid_from_its_first_second_and_not_one_earlier() {
    root(|t| t.not_before = NOW).is_accepted();
    root(|t| t.not_before = NOW + 1).is_refused(&no_anchor(1));
}

#[test]
fn a_root_s_own_signature_is_not_judged() {
    root(|t| t.signature_algorithm = Some(SignatureAlgorithm::RsaSha1)).is_accepted();
    root(|t| t.signature_algorithm = Some(SignatureAlgorithm::RsaMd5)).is_accepted();
    root(|t| t.tamper_signature = true).is_accepted();
}

#[test]
fn a_root_that_is_no_ca_is_no_anchor() {
    let no_ca = BasicConstraints {
        ca: false,
        path_len_constraint: None,
    };
    root(|t| t.basic_constraints = Some(no_ca)).is_refused(&no_anchor(1));
    root(|t| t.basic_constraints = None).is_refused(&no_anchor(1));
}

#[test]
fn a_root_of_version_1_is_no_anchor() {
    let pki = pki();
    let mut template = pki.root.template().clone().without_extensions();
    template.version = Version::V1;
    Case::of(&pki)
        .trusting(&[&template.self_signed()])
        .is_refused(&no_anchor(1));
}

#[test]
fn a_root_without_key_usage_is_accepted() {
    root(|t| t.key_usage = None).is_accepted();
}

#[test]
fn a_root_whose_key_usage_lacks_key_cert_sign_is_refused() {
    root(|t| t.key_usage = Some(KeyUsage(KeyUsages::CRLSign.into()))).is_refused_saying(
        &key_usage(ROOT, "keyCertSign"),
        "keyUsage of \"Root CA\" does not allow keyCertSign",
    );
}

#[test]
fn a_root_s_path_length_is_the_number_of_cas_below() {
    root(|t| t.basic_constraints = length(Some(1))).is_accepted();
    root(|t| t.basic_constraints = length(Some(0))).is_refused_saying(
        &SignerRejection::PathLength(ROOT.into()),
        "signer's chain has more CAs below \"Root CA\" than its pathLenConstraint allows",
    );
    let older = |most| {
        let pki = with(|t| t.older_root.basic_constraints = length(Some(most)));
        Case::of(&pki).trusting(&[&pki.older_root])
    };
    older(2).is_accepted();
    older(1).is_refused(&SignerRejection::PathLength("Older Root CA".into()));
}

#[test]
fn a_root_in_two_versions_is_taken_in_the_one_that_allows_the_path() {
    let pki = pki();
    let narrow = sibling(&pki, |t| t.basic_constraints = length(Some(0)));
    let mute = sibling(&pki, |t| t.key_usage = Some(KeyUsage(KeyUsages::CRLSign.into())));
    for other in [narrow, mute] {
        Case::of(&pki).trusting(&[&pki.root, &other]).is_accepted();
        Case::of(&pki).trusting(&[&other, &pki.root]).is_accepted();
    }
}

#[test]
fn a_root_whose_name_constraints_permit_the_signer_is_accepted() {
    root(|t| {
        t.name_constraints = Some(DnsConstraints {
            permitted: vec!["amazonaws.com".into(), "example.com".into()],
            excluded: vec!["x.amazonaws.com".into()],
        });
    })
    .is_accepted();
}

#[test]
fn a_root_whose_name_constraints_forbid_the_signer_is_refused() {
    let constraints = DnsConstraints {
        permitted: vec!["example.com".into()],
        excluded: Vec::new(),
    };
    root(|t| t.name_constraints = Some(constraints.clone())).is_refused_by_path(
        "NameConstraintViolation",
        "nameConstraints of one of its CAs do not permit the signer's name",
    );
    isolated_with(|t| {
        t.leaf.dns_names = None;
        t.root.name_constraints = Some(constraints.clone());
    })
    .is_refused(&SignerRejection::NameConstraint(ROOT.into()));
}

#[test]
fn a_root_with_an_unknown_critical_extension_is_accepted_as_a_name_and_a_key() {
    root(|t| t.extensions.push(RawExtension::unknown(true))).is_accepted();
}

#[test]
fn a_root_for_servers_among_others_or_for_anything_is_accepted() {
    for purposes in [
        vec![purpose::ID_KP_SERVER_AUTH],
        vec![purpose::ID_KP_EMAIL_PROTECTION, purpose::ID_KP_SERVER_AUTH],
        vec![purpose::ANY_EXTENDED_KEY_USAGE],
        vec![purpose::ID_KP_CODE_SIGNING, purpose::ANY_EXTENDED_KEY_USAGE],
    ] {
        root(|t| t.extended_key_usage = Some(purposes.clone())).is_accepted();
        isolated_with(|t| t.root.extended_key_usage = Some(purposes)).is_accepted();
    }
}

#[test]
fn a_root_for_other_purposes_ends_no_path_of_a_signer() {
    for purposes in [
        vec![purpose::ID_KP_EMAIL_PROTECTION],
        vec![purpose::ID_KP_CODE_SIGNING, purpose::ID_KP_EMAIL_PROTECTION],
        vec![purpose::ID_KP_OCSP_SIGNING],
    ] {
        root(|t| t.extended_key_usage = Some(purposes.clone())).is_refused_saying(
            &SignerRejection::ExtendedKeyUsage(ROOT.into()),
            "extendedKeyUsage of \"Root CA\" does not allow serverAuth",
        );
        isolated_with(|t| t.root.extended_key_usage = Some(purposes))
            .is_refused(&SignerRejection::ExtendedKeyUsage(ROOT.into()));
    }
    root(|t| t.extended_key_usage = Some(vec![purpose::ID_KP_CLIENT_AUTH]))
        .is_refused(&SignerRejection::ExtendedKeyUsage(ROOT.into()));
}

#[test]
fn a_root_for_other_purposes_beside_one_for_servers_does_no_harm() {
    let pki = pki();
    let other = sibling(&pki, |t| {
        t.extended_key_usage = Some(vec![purpose::ID_KP_EMAIL_PROTECTION])
    });
    Case::of(&pki).trusting(&[&other, &pki.root]).is_accepted();
    Case::of(&pki).trusting(&[&pki.root, &other]).is_accepted();
    // The path then continues through the cross-signed root, if another root issued that one.
    Case::of(&pki).trusting(&[&other, &pki.older_root]).is_accepted();
}

#[test]
fn the_leaf_in_the_store_is_no_anchor() {
    let pki = pki();
    Case::of(&pki).trusting(&[&pki.leaf]).is_refused(&no_anchor(1));
    Case::of(&pki).trusting(&[&pki.leaf, &pki.root]).is_accepted();
}

#[test]
fn a_self_signed_leaf_in_the_store_is_no_anchor() {
    let mut pki = pki();
    let lone = pki.leaf.template().clone().self_signed();
    pki.replace_leaf(lone);
    Case::of(&pki)
        .trusting(&[&pki.leaf])
        .is_refused(&judge::no_anchor(1, judge::LEAF));
}

#[test]
fn a_self_signed_ca_of_the_signer_s_name_in_the_store_is_no_signer() {
    let mut pki = pki();
    let lone = pki.leaf.template().clone().for_ca(None).self_signed();
    pki.replace_leaf(lone);
    Case::of(&pki)
        .trusting(&[&pki.leaf])
        .is_refused_by_path("CaUsedAsEndEntity", "the signer certificate is a CA certificate");
}

#[test]
fn an_intermediate_in_the_store_is_no_anchor() {
    let pki = pki();
    Case::of(&pki).trusting(&[&pki.issuing_ca]).is_refused(&no_anchor(1));
    Case::of(&pki).trusting(&[&pki.root_cross]).is_refused(&no_anchor(1));
    Case::of(&pki)
        .trusting(&[&pki.issuing_ca, &pki.root_cross, &pki.root])
        .is_accepted();
}

#[test]
fn a_root_with_bytes_behind_it_is_no_anchor() {
    bundle(|pki| pem("CERTIFICATE", &[pki.root.der(), &[0]].concat())).is_refused(&no_anchor(1));
}
