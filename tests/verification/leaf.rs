//! The signer's own certificate: its name, key, purposes, validity and extensions.

use eic_verify::SignerRejection;
use emulator::certificate::{
    BasicConstraints, KeyUsage, KeyUsages, NameAttribute, ObjectIdentifier, RawExtension, Version, purpose,
};
use emulator::name::Tag;
use emulator::pki::{Templates, signer_name};
use emulator::{Key, SignatureAlgorithm};

use crate::judge::{
    Case, DOMAIN, HOUR, ISSUING_CA, LEAF, NOW, REGION, case_with, isolated_with, key_usage, no_anchor, pki, position,
    span,
};

fn named(names: &[NameAttribute]) -> Case {
    case_with(|t| t.leaf.subject = names.to_vec())
}

fn purposes(purposes: &[ObjectIdentifier]) -> Case {
    case_with(|t| t.leaf.extended_key_usage = Some(purposes.to_vec()))
}

#[test]
fn the_default_signer_is_accepted_and_bears_the_name_that_tests_expect() {
    assert_eq!(signer_name(REGION, DOMAIN), LEAF);
    Case::of(&pki()).is_accepted();
}

#[test]
fn a_leaf_with_other_attributes_beside_its_common_name_is_accepted() {
    named(&[
        NameAttribute::organization("Somebody"),
        NameAttribute::common_name(LEAF),
        NameAttribute::organizational_unit("Something"),
    ])
    .is_accepted();
}

#[test]
fn a_leaf_whose_common_name_is_a_utf8_string_is_accepted() {
    let mut name = NameAttribute::common_name(LEAF);
    name.tag = Tag::Utf8String;
    named(&[name]).is_accepted();
}

#[test]
fn a_leaf_with_two_common_names_is_refused() {
    let other = NameAttribute::common_name("example.com");
    let this = NameAttribute::common_name(LEAF);
    for names in [[this.clone(), other.clone()], [other, this]] {
        named(&names).is_refused_saying(
            &SignerRejection::CommonNames(2),
            "signer certificate has 2 common names instead of one",
        );
    }
}

#[test]
fn a_leaf_with_two_common_names_in_one_relative_name_is_refused() {
    let mut other = NameAttribute::common_name("example.com");
    other.joined = true;
    named(&[NameAttribute::common_name(LEAF), other]).is_refused(&SignerRejection::CommonNames(2));
}

#[test]
fn a_leaf_with_the_right_common_name_twice_is_refused() {
    let name = NameAttribute::common_name(LEAF);
    named(&[name.clone(), name]).is_refused(&SignerRejection::CommonNames(2));
}

#[test]
fn a_leaf_without_a_common_name_is_refused() {
    named(&[NameAttribute::organization(LEAF)]).is_refused(&SignerRejection::CommonNames(0));
}

#[test]
fn a_signer_of_another_region_is_refused() {
    let reason = SignerRejection::OtherRegion {
        signer: "us-east-1.amazonaws.com".into(),
        here: "us-west-2.amazonaws.com".into(),
    };
    let name = signer_name("us-east-1", DOMAIN);
    case_with(|t| {
        t.leaf.subject = vec![NameAttribute::common_name(&name)];
        t.leaf.dns_names = Some(vec![name.clone()]);
    })
    .is_refused_saying(
        &reason,
        "signer certificate is for us-east-1.amazonaws.com, but this is us-west-2.amazonaws.com",
    );
}

#[test]
fn the_right_alternative_name_does_not_make_up_for_another_common_name() {
    named(&[NameAttribute::common_name(&signer_name("us-east-1", DOMAIN))]).is_refused(&SignerRejection::OtherRegion {
        signer: "us-east-1.amazonaws.com".into(),
        here: "us-west-2.amazonaws.com".into(),
    });
}

#[test]
fn a_signer_under_somebody_else_s_domain_is_refused() {
    named(&[NameAttribute::common_name("managed-ssh-signer.us-west-2.example.com")]).is_refused(
        &SignerRejection::OtherRegion {
            signer: "us-west-2.example.com".into(),
            here: "us-west-2.amazonaws.com".into(),
        },
    );
}

#[test]
fn a_leaf_that_is_no_signer_s_is_refused() {
    named(&[NameAttribute::common_name("www.example.com")]).is_refused_saying(
        &SignerRejection::OtherName("www.example.com".into()),
        "signer certificate is for \"www.example.com\", which is not a signer of EC2 Instance Connect",
    );
}

#[test]
fn a_common_name_that_merely_resembles_the_signer_s_is_refused() {
    for near in [
        "managed-ssh-signer.us-west-2.amazonaws.com.",
        "managed-ssh-signer.us-west-2.amazonaws.com\0",
        "managed-ssh-signer.us-west-2.amazonaws.com ",
        "managed-ssh-signer.us-west-2.amazonaws.comm",
        "managed-ssh-signer.us-west-2.amazonaws.co",
        "managed-ssh-signer.*.amazonaws.com",
        "managed-ssh-signer.US-WEST-2.amazonaws.com",
    ] {
        let mut name = NameAttribute::common_name(near);
        name.tag = Tag::Utf8String;
        let refusal = named(&[name]).refusal();
        assert!(
            matches!(refusal, SignerRejection::OtherRegion { .. }),
            "{near:?}: {refusal:?}"
        );
        assert!(refusal.to_string().bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
    }
    for other in [" ", "x", "MANAGED-SSH-SIGNER.us-west-2.amazonaws.com"] {
        let name = if other.len() > 1 {
            other.to_owned()
        } else {
            format!("{other}{LEAF}")
        };
        named(&[NameAttribute::common_name(&name)]).is_refused(&SignerRejection::OtherName(name.clone()));
    }
}

#[test]
fn a_common_name_of_another_string_type_is_refused_whatever_its_bytes() {
    let wide: Vec<u8> = LEAF.bytes().flat_map(|byte| [0, byte]).collect();
    for (tag, value, kind) in [
        (Tag::BmpString, wide, "BmpString"),
        (Tag::BmpString, LEAF.into(), "BmpString"),
        (Tag::TeletexString, LEAF.into(), "TeletexString"),
        (Tag::Ia5String, LEAF.into(), "Ia5String"),
        (Tag::OctetString, LEAF.into(), "OctetString"),
    ] {
        let mut name = NameAttribute::common_name("");
        (name.tag, name.value) = (tag, value);
        named(&[name]).is_refused_saying(
            &SignerRejection::CommonNameType(kind.to_owned()),
            &format!("signer certificate's common name has the type {kind} instead of PrintableString or UTF8String"),
        );
    }
}

/// The default case with these bytes put into the leaf's subject, at the end of one of its layers: the Name (1), its
/// RelativeDistinguishedName (2), the attribute (3).
fn with_junk_in_subject(junk: &[u8], layer: usize) -> Case {
    let pki = pki();
    let mut case = Case::of(&pki);
    let mut der = pki.leaf.der().to_vec();
    let name = pki.leaf.subject_der();
    let place = position(&der, &name);
    let mut subject = [name.as_slice(), junk].concat();
    // Each layer is a tag and a length, then the next one.
    for length in subject.iter_mut().skip(1).step_by(2).take(layer) {
        *length += u8::try_from(junk.len()).expect("short");
    }
    der.splice(place, subject);
    // So are the certificate and its signed part, with lengths of two bytes.
    for at in [3, 7] {
        let length = u16::from_be_bytes([der[at - 1], der[at]]) + u16::try_from(junk.len()).expect("short");
        der[at - 1..=at].copy_from_slice(&length.to_be_bytes());
    }
    let chain = String::from_utf8(case.chain).expect("PEM");
    case.chain = chain
        .replace(&pki.leaf.pem(), &emulator::pem("CERTIFICATE", &der))
        .into();
    case
}

#[test]
fn a_leaf_with_junk_within_its_subject_is_refused() {
    with_junk_in_subject(&[], 3).is_accepted();
    for junk in [&[0x05, 0x00][..], &[0x30, 0x00], b"xy"] {
        for layer in 1..=3 {
            let refusal = with_junk_in_subject(junk, layer).refusal();
            assert!(
                matches!(refusal, SignerRejection::SubjectMalformed | SignerRejection::Malformed),
                "{junk:?} in layer {layer}: {refusal:?}"
            );
        }
    }
    with_junk_in_subject(&[0x05, 0x00], 1).is_refused_saying(
        &SignerRejection::SubjectMalformed,
        "signer certificate's subject is malformed",
    );
}

#[test]
fn a_leaf_without_alternative_names_is_accepted_only_where_signers_come_from_private_cas() {
    case_with(|t| t.leaf.dns_names = None).is_refused_saying(
        &SignerRejection::AlternativeName,
        "signer certificate's subjectAltName does not contain its common name",
    );
    isolated_with(|t| t.leaf.dns_names = None).is_accepted();
    isolated_with(|t| t.leaf.dns_names = Some(vec!["example.com".into()]))
        .is_refused(&SignerRejection::AlternativeName);
}

#[test]
fn a_leaf_with_the_name_among_its_alternative_names_in_any_case_is_accepted() {
    let names = ["example.com".to_owned(), LEAF.to_ascii_uppercase()];
    case_with(|t| t.leaf.dns_names = Some(names.to_vec())).is_accepted();
}

#[test]
fn a_leaf_whose_alternative_names_lack_its_common_name_is_refused() {
    for names in [
        vec!["example.com".to_owned()],
        vec!["*.us-west-2.amazonaws.com".to_owned()],
        vec![signer_name("us-east-1", DOMAIN)],
        vec![],
    ] {
        case_with(|t| t.leaf.dns_names = Some(names.clone())).is_refused_saying(
            &SignerRejection::AlternativeName,
            "signer certificate's subjectAltName does not contain its common name",
        );
    }
}

#[test]
fn a_leaf_whose_alternative_names_stand_twice_is_refused() {
    let name = [&[0x82, 42][..], LEAF.as_bytes()].concat();
    let names = RawExtension {
        oid: ObjectIdentifier::new_unwrap("2.5.29.17"),
        critical: false,
        value: [&[0x30, 44][..], &name].concat(),
    };
    case_with(|t| {
        t.leaf.dns_names = None;
        t.leaf.extensions.push(names.clone());
    })
    .is_accepted();
    case_with(|t| t.leaf.extensions.push(names)).is_refused(&SignerRejection::AlternativeName);
}

#[test]
fn a_leaf_for_servers_is_accepted() {
    purposes(&[purpose::ID_KP_SERVER_AUTH]).is_accepted();
    purposes(&[purpose::ID_KP_CODE_SIGNING, purpose::ID_KP_SERVER_AUTH]).is_accepted();
    isolated_with(|t| t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH])).is_accepted();
}

#[test]
fn a_leaf_for_clients_alone_or_without_purposes_is_accepted_only_where_signers_come_from_private_cas() {
    for purposes in [
        None,
        Some(vec![purpose::ID_KP_CLIENT_AUTH]),
        Some(vec![purpose::ID_KP_CODE_SIGNING, purpose::ID_KP_CLIENT_AUTH]),
    ] {
        case_with(|t| t.leaf.extended_key_usage = purposes.clone()).is_refused_saying(
            &SignerRejection::ExtendedKeyUsage(LEAF.into()),
            "extendedKeyUsage of \"managed-ssh-signer.us-west-2.amazonaws.com\" does not allow serverAuth",
        );
        isolated_with(|t| t.leaf.extended_key_usage = purposes).is_accepted();
    }
}

#[test]
fn a_leaf_for_servers_below_a_ca_for_clients_is_for_neither() {
    let crossed = |t: &mut Templates| {
        t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH]);
        t.issuing_ca.extended_key_usage = Some(vec![purpose::ID_KP_CLIENT_AUTH]);
    };
    case_with(crossed).is_refused(&SignerRejection::ExtendedKeyUsage(ISSUING_CA.into()));
    isolated_with(crossed).is_refused(&SignerRejection::ExtendedKeyUsage(ISSUING_CA.into()));
}

#[test]
fn a_leaf_for_neither_servers_nor_clients_is_refused() {
    for other in [
        purpose::ID_KP_CODE_SIGNING,
        purpose::ID_KP_OCSP_SIGNING,
        purpose::ANY_EXTENDED_KEY_USAGE,
    ] {
        purposes(&[other]).is_refused(&SignerRejection::ExtendedKeyUsage(LEAF.into()));
        let refusal = isolated_with(|t| t.leaf.extended_key_usage = Some(vec![other])).refusal();
        assert!(matches!(refusal, SignerRejection::ExtendedKeyUsage(_)), "{refusal:?}");
    }
}

#[test]
fn a_leaf_without_key_usage_is_accepted() {
    case_with(|t| t.leaf.key_usage = None).is_accepted();
}

#[test]
fn a_leaf_that_may_only_sign_is_accepted() {
    case_with(|t| t.leaf.key_usage = Some(KeyUsage(KeyUsages::DigitalSignature.into()))).is_accepted();
}

#[test]
fn a_leaf_that_may_not_sign_is_refused() {
    let usage = KeyUsages::KeyEncipherment | KeyUsages::NonRepudiation | KeyUsages::KeyCertSign;
    case_with(|t| t.leaf.key_usage = Some(KeyUsage(usage))).is_refused_saying(
        &key_usage(LEAF, "digitalSignature"),
        "keyUsage of \"managed-ssh-signer.us-west-2.amazonaws.com\" does not allow digitalSignature",
    );
}

#[test]
fn a_leaf_whose_key_usage_stands_twice_is_refused() {
    let usage = RawExtension {
        oid: ObjectIdentifier::new_unwrap("2.5.29.15"),
        critical: true,
        value: vec![0x03, 0x02, 0x07, 0x80],
    };
    case_with(|t| t.leaf.extensions.push(usage)).is_refused(&key_usage(LEAF, "digitalSignature"));
}

#[test]
fn a_leaf_of_3072_bits_is_accepted() {
    case_with(|t| t.leaf.key = Key::cached_rsa("large leaf", 3072)).is_accepted();
}

#[test]
fn a_leaf_with_an_rsa_key_under_2048_bits_is_refused() {
    for bits in [1024, 2047] {
        let case = case_with(|t| t.leaf.key = Key::cached_rsa("small leaf", bits));
        case.is_refused_saying(
            &SignerRejection::RsaBits(bits),
            &format!("signer's RSA key has {bits} bits, fewer than 2048"),
        );
    }
}

#[test]
fn a_leaf_with_an_elliptic_curve_key_is_refused() {
    case_with(|t| t.leaf.key = Key::p256())
        .is_refused_saying(&SignerRejection::NotRsa, "signer's key is not an RSA key");
}

#[test]
fn a_leaf_is_valid_through_its_last_second_and_not_one_longer() {
    case_with(|t| t.leaf.not_after = NOW).is_accepted();
    case_with(|t| t.leaf.not_after = NOW - 1).is_refused(&SignerRejection::Expired(span(1)));
    case_with(|t| t.leaf.not_after = NOW - 3 * HOUR).is_refused_saying(
        &SignerRejection::Expired(span(3 * HOUR)),
        "a certificate of the signer's chain expired 3 h ago",
    );
}

#[test]
fn a_leaf_is_valid_from_its_first_second_and_not_one_earlier() {
    case_with(|t| t.leaf.not_before = NOW).is_accepted();
    case_with(|t| t.leaf.not_before = NOW + 1).is_refused_saying(
        &SignerRejection::NotYetValid(span(1)),
        "a certificate of the signer's chain becomes valid in 1 s; check the clock",
    );
}

#[test]
fn a_leaf_that_is_a_ca_is_refused() {
    let ca = BasicConstraints {
        ca: true,
        path_len_constraint: None,
    };
    case_with(|t| t.leaf.basic_constraints = Some(ca))
        .is_refused_by_path("CaUsedAsEndEntity", "the signer certificate is a CA certificate");
}

#[test]
fn a_leaf_without_basic_constraints_is_accepted() {
    case_with(|t| t.leaf.basic_constraints = None).is_accepted();
}

#[test]
fn a_leaf_with_an_unknown_extension_is_accepted_unless_it_is_critical() {
    case_with(|t| t.leaf.extensions.push(RawExtension::unknown(false))).is_accepted();
    case_with(|t| t.leaf.extensions.push(RawExtension::unknown(true))).is_refused_by_path(
        "UnsupportedCriticalExtension",
        "one of its certificates has an unknown critical extension",
    );
}

#[test]
fn serial_numbers_of_every_length_and_sign_bit_are_matched() {
    for serial in [vec![1], vec![0x7f], vec![0x80, 1], vec![0xff; 19], vec![0x01; 20]] {
        case_with(|t| t.leaf.serial = serial.clone()).is_accepted();
    }
}

#[test]
fn a_leaf_of_version_1_is_refused() {
    let mut pki = pki();
    let mut template = pki.leaf.template().clone().without_extensions();
    template.version = Version::V1;
    pki.replace_leaf(template.issued_by(&pki.issuing_ca));
    Case::of(&pki).is_refused(&SignerRejection::AlternativeName);
    // If it needs no extension, only its version matters.
    isolated_with(|t| {
        t.leaf = t.leaf.clone().without_extensions();
        t.leaf.version = Version::V1;
    })
    .is_refused_by_path(
        "UnsupportedCertVersion",
        "one of its certificates is not of X.509 version 3",
    );
}

#[test]
fn a_leaf_signed_with_sha384_is_accepted() {
    case_with(|t| t.leaf.signature_algorithm = Some(SignatureAlgorithm::RsaSha384)).is_accepted();
}

#[test]
fn a_leaf_signed_with_sha1_or_md5_is_refused() {
    for weak in [SignatureAlgorithm::RsaSha1, SignatureAlgorithm::RsaMd5] {
        case_with(|t| t.leaf.signature_algorithm = Some(weak)).is_refused_by_path(
            "UnsupportedSignatureAlgorithmContext",
            "one of its certificates is signed with an algorithm that is not accepted",
        );
    }
}

#[test]
fn a_leaf_that_claims_another_algorithm_than_it_is_signed_with_is_refused() {
    case_with(|t| t.leaf.claimed_algorithm = Some(SignatureAlgorithm::RsaSha384)).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
    let refusal = case_with(|t| t.leaf.outer_algorithm = Some(SignatureAlgorithm::RsaSha384)).refusal();
    assert!(refusal.to_string().contains("SignatureAlgorithmMismatch"), "{refusal}");
}

#[test]
fn a_leaf_with_a_tampered_signature_is_refused() {
    case_with(|t| t.leaf.tamper_signature = true).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn a_leaf_that_was_changed_after_it_was_signed_is_refused() {
    let pki = pki();
    let mut der = pki.leaf.der().to_vec();
    // A later year.
    let year = der
        .windows(2)
        .position(|w| w == b"26")
        .expect("notAfter is a year after 2025");
    der[year + 1] = b'7';
    let mut case = Case::of(&pki);
    let chain = String::from_utf8(case.chain).expect("PEM");
    case.chain = chain
        .replace(&pki.leaf.pem(), &emulator::pem("CERTIFICATE", &der))
        .into();
    case.is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn a_leaf_signed_by_another_key_in_its_issuer_s_name_is_refused() {
    let mut pki = pki();
    let issuer = pki.issuing_ca.template().subject.clone();
    let forged = pki
        .leaf
        .template()
        .clone()
        .signed_by(&issuer, &Key::cached("somebody else"));
    pki.replace_leaf(forged);
    Case::of(&pki).is_refused_by_path(
        "InvalidSignatureForPublicKey",
        "one of its certificates has an invalid signature",
    );
}

#[test]
fn a_leaf_that_nobody_but_itself_vouches_for_is_refused() {
    let mut pki = pki();
    let lone = pki.leaf.template().clone().self_signed();
    pki.replace_leaf(lone);
    Case::of(&pki).is_refused_saying(
        &no_anchor(1, LEAF),
        "no CA in /etc/ssl/certs/ca-certificates.crt (1 certificates) issued the signer's chain \
         (top: managed-ssh-signer.us-west-2.amazonaws.com)",
    );
}
