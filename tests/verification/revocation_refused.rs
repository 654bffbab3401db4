//! Staples that are refused, each for one reason.

use eic_verify::{OcspParseError, RevocationProblem};
use emulator::certificate::{ObjectIdentifier, RawExtension};
use emulator::staple::{CertIdHash, OcspResponseStatus, ResponderName, SingleTemplate, Status};
use emulator::{Key, Pki, SignatureAlgorithm, StapleTemplate};

use crate::judge::{Case, DAY, HOUR, ISSUING_CA, LEAF, MISSING, NOW, pki, revocation, served, span};

/// The default case with this staple for the leaf in place of the good one.
fn leaf_staple(change: impl FnOnce(&Pki, &mut StapleTemplate)) -> Case {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf);
    change(&pki, &mut staple);
    Case::of(&pki).stapled([&staple, &pki.staple(&pki.issuing_ca)])
}

fn unreadable(why: OcspParseError) -> RevocationProblem {
    RevocationProblem::Missing { unparsed: Some(why) }
}

#[track_caller]
fn refused(change: impl FnOnce(&Pki, &mut StapleTemplate), problem: RevocationProblem, words: &str) {
    leaf_staple(change).is_refused_saying(
        &revocation(LEAF, problem),
        &format!("OCSP response for \"{LEAF}\" {words}"),
    );
}

#[test]
fn a_signer_without_any_staple_is_refused() {
    Case::of(&pki()).stapled([]).is_refused_saying(
        &revocation(LEAF, MISSING),
        "OCSP response for \"managed-ssh-signer.us-west-2.amazonaws.com\" is missing",
    );
}

#[test]
fn a_staple_that_ended_is_refused() {
    let pki = pki();
    let mut staple = pki.staple(&pki.issuing_ca);
    staple.single().this_update = NOW - DAY;
    staple.single().next_update = Some(NOW - 3 * HOUR);
    Case::of(&pki)
        .stapled([&pki.staple(&pki.leaf), &staple])
        .is_refused_saying(
            &revocation(ISSUING_CA, RevocationProblem::Expired(span(3 * HOUR))),
            "OCSP response for \"Issuing CA\" expired 3 h ago",
        );
}

#[test]
fn a_staple_of_the_future_is_refused() {
    refused(
        |_, staple| staple.single().this_update = NOW + 3 * HOUR,
        RevocationProblem::NotYetValid(span(3 * HOUR)),
        "becomes valid in 3 h; check the clock",
    );
}

#[test]
fn a_staple_that_ends_before_it_begins_is_refused() {
    refused(
        |_, staple| staple.single().next_update = Some(NOW - 2 * HOUR),
        RevocationProblem::NextUpdateBeforeThisUpdate,
        "has a nextUpdate before its thisUpdate",
    );
}

#[test]
fn a_revoked_leaf_is_refused() {
    refused(
        |_, staple| staple.single().status = Status::Revoked(NOW - 3 * HOUR),
        RevocationProblem::Revoked(span(3 * HOUR)),
        "reports that the certificate was revoked 3 h ago",
    );
}

#[test]
fn a_leaf_that_is_revoked_from_tomorrow_on_is_refused_today() {
    refused(
        |_, staple| staple.single().status = Status::Revoked(NOW + DAY),
        RevocationProblem::Revoked(span(0)),
        "reports that the certificate was revoked 0 s ago",
    );
}

#[test]
fn a_revoked_issuing_ca_is_refused() {
    let pki = pki();
    let revoked = pki.staple(&pki.issuing_ca).with_status(Status::Revoked(NOW - DAY));
    Case::of(&pki)
        .stapled([&pki.staple(&pki.leaf), &revoked])
        .is_refused_by_staple(ISSUING_CA, RevocationProblem::Revoked(span(DAY)));
}

#[test]
fn a_current_revoked_beside_a_good_one_is_refused_whichever_comes_first() {
    let pki = pki();
    for certificate in [&pki.leaf, &pki.issuing_ca] {
        let called = if certificate.der() == pki.leaf.der() {
            LEAF
        } else {
            ISSUING_CA
        };
        let revoked = pki.staple(certificate).with_status(Status::Revoked(NOW - DAY));
        let case = Case::of(&pki);
        for place in 0..=case.staples.len() {
            let mut case = case.clone();
            case.staples.insert(place, served(&revoked));
            case.is_refused_by_staple(called, RevocationProblem::Revoked(span(DAY)));
        }
    }
}

#[test]
fn a_revoked_staple_is_believed_though_the_good_one_is_newer() {
    let pki = pki();
    let mut revoked = pki.staple(&pki.leaf).with_status(Status::Revoked(NOW - DAY));
    revoked.single().this_update = NOW - DAY;
    let mut case = Case::of(&pki);
    case.staples.push(served(&revoked));
    case.is_refused_by_staple(LEAF, RevocationProblem::Revoked(span(DAY)));
}

#[test]
fn good_and_revoked_in_one_staple_is_revoked() {
    for first in [0, 1] {
        let case = leaf_staple(|_, staple| {
            let revoked = SingleTemplate {
                status: Status::Revoked(NOW - DAY),
                ..staple.single().clone()
            };
            staple.singles.insert(first, revoked);
        });
        case.is_refused_by_staple(LEAF, RevocationProblem::Revoked(span(DAY)));
    }
}

#[test]
fn a_revoked_staple_of_a_delegated_responder_is_believed() {
    let pki = pki();
    let revoked = pki
        .staple(&pki.leaf)
        .with_status(Status::Revoked(NOW - DAY))
        .delegated_to(&pki.responder(&pki.issuing_ca));
    let mut case = Case::of(&pki);
    case.staples.push(served(&revoked));
    case.is_refused_by_staple(LEAF, RevocationProblem::Revoked(span(DAY)));
}

#[test]
fn a_staple_that_does_not_know_the_certificate_is_refused() {
    refused(
        |_, staple| staple.single().status = Status::Unknown,
        RevocationProblem::Unknown,
        "has the status unknown: the responder does not know the certificate",
    );
}

#[test]
fn a_staple_for_another_serial_number_is_none() {
    refused(
        |_, staple| staple.single().serial = vec![1, 2, 3],
        MISSING,
        "is missing",
    );
    refused(
        |pki, staple| {
            let mut longer = pki.leaf.serial().to_vec();
            longer.push(0);
            staple.single().serial = longer;
        },
        MISSING,
        "is missing",
    );
}

#[test]
fn a_staple_for_the_same_serial_number_under_another_issuer_is_none() {
    for hash in [CertIdHash::Sha1, CertIdHash::Sha256] {
        // Of a CA with another name and key, and signed by that CA.
        let case = leaf_staple(|pki, staple| {
            let namesake = pki.leaf.template().clone().issued_by(&pki.root);
            *staple = StapleTemplate::good(&namesake, &pki.root, NOW).identified_by(hash, &namesake, &pki.root);
        });
        case.is_refused_by_staple(LEAF, MISSING);
    }
}

#[test]
fn a_staple_that_names_the_issuer_s_name_but_not_its_key_is_none() {
    refused(
        |pki, staple| {
            let other = pki.staple(&pki.issuing_ca).single().issuer_key_hash.clone();
            staple.single().issuer_key_hash = other;
        },
        MISSING,
        "is missing",
    );
}

#[test]
fn a_staple_that_names_the_issuer_s_key_but_not_its_name_is_none() {
    refused(
        |pki, staple| {
            let other = pki.staple(&pki.issuing_ca).single().issuer_name_hash.clone();
            staple.single().issuer_name_hash = other;
        },
        MISSING,
        "is missing",
    );
}

#[test]
fn a_staple_whose_hashes_are_not_of_the_kind_it_says_is_none() {
    refused(
        |_, staple| staple.single().hash = CertIdHash::Sha256,
        MISSING,
        "is missing",
    );
    refused(
        |_, staple| staple.single().issuer_name_hash = Vec::new(),
        MISSING,
        "is missing",
    );
    refused(
        |_, staple| staple.single().issuer_key_hash.truncate(19),
        MISSING,
        "is missing",
    );
}

#[test]
fn a_staple_of_another_issuer_for_this_certificate_is_foreign() {
    refused(
        |pki, staple| staple.responder = pki.root.clone(),
        RevocationProblem::UnknownResponder,
        "is signed neither by the certificate's issuer nor by a responder whose certificate it includes",
    );
    refused(
        |pki, staple| staple.responder = pki.leaf.clone(),
        RevocationProblem::UnknownResponder,
        "is signed neither by the certificate's issuer nor by a responder whose certificate it includes",
    );
}

#[test]
fn a_staple_in_the_name_of_nobody_is_foreign() {
    refused(
        |_, staple| staple.responder_name = Some(ResponderName::ByName(Vec::new())),
        RevocationProblem::UnknownResponder,
        "is signed neither by the certificate's issuer nor by a responder whose certificate it includes",
    );
    for key in [vec![7; 20], Vec::new()] {
        refused(
            |_, staple| staple.responder_name = Some(ResponderName::ByKey(key)),
            RevocationProblem::UnknownResponder,
            "is signed neither by the certificate's issuer nor by a responder whose certificate it includes",
        );
    }
}

#[test]
fn a_staple_signed_by_another_key_in_the_issuer_s_name_is_refused() {
    refused(
        |_, staple| staple.signing_key = Some(Key::cached("somebody else")),
        RevocationProblem::Signature,
        "has an invalid signature",
    );
}

#[test]
fn a_staple_with_a_tampered_signature_is_refused() {
    refused(
        |_, staple| staple.tamper_signature = true,
        RevocationProblem::Signature,
        "has an invalid signature",
    );
}

#[test]
fn a_staple_that_encloses_its_issuer_is_judged_by_it_all_the_same() {
    refused(
        |pki, staple| {
            staple.enclosed = vec![pki.issuing_ca.clone()];
            staple.tamper_signature = true;
        },
        RevocationProblem::Signature,
        "has an invalid signature",
    );
}

#[test]
fn a_staple_that_was_changed_after_it_was_signed_is_refused() {
    let pki = pki();
    let revoked = pki.staple(&pki.leaf).with_status(Status::Unknown).sign();
    // [2] unknown becomes [0] good; both are an empty value after the serial number.
    let mut der = revoked.der().to_vec();
    let serial = crate::judge::position(&der, pki.leaf.serial());
    assert_eq!(der[serial.end..serial.end + 2], [0x82, 0x00]);
    der[serial.end] = 0x80;
    let mut case = Case::of(&pki);
    case.staples[0] = emulator::base64_lines(&der, None).into();
    case.is_refused_by_staple(LEAF, RevocationProblem::Signature);
}

#[test]
fn a_staple_signed_with_sha1_or_md5_is_refused() {
    for weak in [SignatureAlgorithm::RsaSha1, SignatureAlgorithm::RsaMd5] {
        refused(
            |_, staple| staple.signature_algorithm = Some(weak),
            RevocationProblem::Algorithm,
            "is signed with an algorithm that is not accepted",
        );
    }
}

#[test]
fn a_staple_that_claims_another_algorithm_than_it_is_signed_with_is_refused() {
    refused(
        |_, staple| staple.claimed_algorithm = Some(SignatureAlgorithm::RsaSha384),
        RevocationProblem::Signature,
        "has an invalid signature",
    );
    refused(
        |_, staple| {
            staple.signature_algorithm = Some(SignatureAlgorithm::RsaSha1);
            staple.claimed_algorithm = Some(SignatureAlgorithm::RsaSha256);
        },
        RevocationProblem::Signature,
        "has an invalid signature",
    );
    for other in [SignatureAlgorithm::EcdsaSha256, SignatureAlgorithm::Ed25519] {
        refused(
            |_, staple| staple.claimed_algorithm = Some(other),
            RevocationProblem::Algorithm,
            "is signed with an algorithm that is not accepted",
        );
    }
}

#[test]
fn a_staple_with_bytes_behind_it_is_refused() {
    let words = "is missing (IMDS returned one that cannot be parsed: extra bytes after a value)";
    refused(
        |_, staple| staple.trailing = vec![0],
        unreadable(OcspParseError::TrailingBytes),
        words,
    );
    refused(
        |_, staple| staple.trailing = vec![0x05, 0x00],
        unreadable(OcspParseError::TrailingBytes),
        words,
    );
}

#[test]
fn a_staple_with_bytes_behind_its_basic_response_is_refused() {
    for inner in [vec![0], vec![0x05, 0x00]] {
        refused(
            |_, staple| staple.inner_trailing = inner,
            unreadable(OcspParseError::TrailingBytes),
            "is missing (IMDS returned one that cannot be parsed: extra bytes after a value)",
        );
    }
}

#[test]
fn a_staple_with_an_unknown_critical_extension_is_refused() {
    let words = "is missing (IMDS returned one that cannot be parsed: unknown critical extension)";
    refused(
        |_, staple| staple.extensions.push(RawExtension::unknown(true)),
        unreadable(OcspParseError::CriticalExtension),
        words,
    );
    refused(
        |_, staple| staple.single().extensions.push(RawExtension::unknown(true)),
        unreadable(OcspParseError::CriticalExtension),
        words,
    );
}

#[test]
fn an_answer_that_is_no_status_is_refused() {
    for (status, number) in [
        (OcspResponseStatus::MalformedRequest, 1),
        (OcspResponseStatus::InternalError, 2),
        (OcspResponseStatus::TryLater, 3),
        (OcspResponseStatus::SigRequired, 5),
        (OcspResponseStatus::Unauthorized, 6),
    ] {
        refused(
            |_, staple| staple.response_status = status,
            unreadable(OcspParseError::Status(number)),
            &format!(
                "is missing (IMDS returned one that cannot be parsed: the responder returned error status {number})"
            ),
        );
    }
}

#[test]
fn an_answer_of_another_type_is_refused() {
    refused(
        |_, staple| staple.response_type = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.99"),
        unreadable(OcspParseError::NotBasic),
        "is missing (IMDS returned one that cannot be parsed: not a basic OCSP response)",
    );
}

#[test]
fn an_answer_about_nothing_is_refused() {
    refused(|_, staple| staple.singles.clear(), MISSING, "is missing");
}

#[test]
fn a_staple_that_is_not_base64_is_refused_with_that_reason() {
    let mut case = Case::of(&pki());
    case.staples[0] = b"<html>".to_vec();
    case.is_refused_by_staple(LEAF, unreadable(OcspParseError::Base64));
    case.staples[0] = b"MAA=".to_vec();
    case.is_refused_by_staple(LEAF, unreadable(OcspParseError::Malformed));
}
