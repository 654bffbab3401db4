//! Staples that are accepted: matched by their content, in every legitimate form.

use eic_verify::RevocationProblem;
use emulator::certificate::RawExtension;
use emulator::staple::{CertIdHash, ResponderName, SingleTemplate, Status};
use emulator::{Certificate, Key, Pki, SignatureAlgorithm, StapleTemplate};

use crate::judge::{Case, DAY, HOUR, ISSUING_CA, LEAF, NOW, good, pki, served, span, with};

/// The default case with this staple for the leaf in place of the good one.
fn leaf_staple(change: impl FnOnce(&Pki, &mut StapleTemplate)) -> Case {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf);
    change(&pki, &mut staple);
    Case::of(&pki).stapled([&staple, &pki.staple(&pki.issuing_ca)])
}

/// The default case with these staples in addition to its good ones, before and after them.
fn beside(junk: impl Fn(&Pki) -> Vec<u8>) {
    let pki = pki();
    for at_front in [true, false] {
        let mut case = Case::of(&pki);
        let place = if at_front { 0 } else { case.staples.len() };
        case.staples.insert(place, junk(&pki));
        case.is_accepted();
    }
}

fn by_key(certificate: &Certificate) -> Option<ResponderName> {
    Some(ResponderName::by_key_of(certificate))
}

#[test]
fn staples_may_come_in_any_order() {
    let mut case = Case::of(&pki());
    case.staples.reverse();
    case.is_accepted();
    case.staples.rotate_left(1);
    case.is_accepted();
}

#[test]
fn staples_may_come_twice() {
    let mut case = Case::of(&pki());
    case.staples.extend(case.staples.clone());
    case.is_accepted();
}

#[test]
fn a_staple_may_be_wrapped_or_not_and_end_in_a_newline_or_not() {
    let pki = pki();
    let staple = pki.staple(&pki.leaf).sign();
    let issuing = good(&pki, &pki.issuing_ca);
    let text = staple.imds_text(None);
    for text in [
        text.clone(),
        text.trim_end().to_owned(),
        staple.imds_text(Some(64)),
        staple.imds_text(Some(76)).replace('\n', "\r\n"),
    ] {
        Case {
            staples: vec![text.into(), issuing.clone()],
            ..Case::of(&pki)
        }
        .is_accepted();
    }
}

#[test]
fn certificates_are_identified_by_sha1_or_by_sha256() {
    let pki = pki();
    let staples = |hash| {
        [(&pki.leaf, &pki.issuing_ca), (&pki.issuing_ca, &pki.root)]
            .map(|(certificate, issuer)| pki.staple(certificate).identified_by(hash, certificate, issuer))
    };
    for hash in [CertIdHash::Sha1, CertIdHash::Sha256] {
        Case::of(&pki).stapled(&staples(hash)).is_accepted();
    }
    let [leaf, _] = staples(CertIdHash::Sha256);
    let [_, issuing] = staples(CertIdHash::Sha1);
    Case::of(&pki).stapled([&leaf, &issuing]).is_accepted();
}

#[test]
fn one_staple_may_speak_of_several_certificates() {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf);
    let stranger = SingleTemplate {
        serial: vec![1, 2, 3],
        ..SingleTemplate::good(CertIdHash::Sha1, &pki.leaf, &pki.issuing_ca, NOW)
    };
    staple.singles.insert(0, stranger.clone());
    staple.singles.push(SingleTemplate {
        status: Status::Revoked(NOW - DAY),
        ..stranger
    });
    Case::of(&pki)
        .stapled([&staple, &pki.staple(&pki.issuing_ca)])
        .is_accepted();
}

#[test]
fn a_staple_of_the_issuer_may_enclose_the_issuer_s_certificate() {
    leaf_staple(|pki, staple| staple.enclosed = vec![pki.issuing_ca.clone()]).is_accepted();
    leaf_staple(|pki, staple| staple.enclosed = pki.chain.clone()).is_accepted();
    leaf_staple(|pki, staple| staple.enclosed = vec![pki.responder(&pki.issuing_ca)]).is_accepted();
}

#[test]
fn a_staple_of_the_issuer_may_name_it_by_its_key() {
    leaf_staple(|pki, staple| staple.responder_name = by_key(&pki.issuing_ca)).is_accepted();
    leaf_staple(|pki, staple| {
        staple.responder_name = by_key(&pki.issuing_ca);
        staple.enclosed = vec![pki.issuing_ca.clone()];
    })
    .is_accepted();
}

#[test]
fn a_delegated_responder_may_be_named_by_name_or_by_key() {
    leaf_staple(|pki, staple| *staple = staple.clone().delegated_to(&pki.responder(&pki.issuing_ca))).is_accepted();
    leaf_staple(|pki, staple| {
        let responder = pki.responder(&pki.issuing_ca);
        *staple = staple.clone().delegated_to(&responder);
        staple.responder_name = by_key(&responder);
    })
    .is_accepted();
}

#[test]
fn a_delegated_responder_may_stand_among_other_enclosed_certificates() {
    leaf_staple(|pki, staple| {
        let responder = pki.responder(&pki.issuing_ca);
        *staple = staple.clone().delegated_to(&responder);
        staple.enclosed = vec![pki.issuing_ca.clone(), pki.leaf.clone(), responder];
    })
    .is_accepted();
}

#[test]
fn a_cross_signed_root_may_be_stapled_by_a_responder_of_the_older_root() {
    let pki = pki();
    let staple = pki
        .staple(&pki.root_cross)
        .delegated_to(&pki.responder(&pki.older_root));
    Case::of(&pki)
        .trusting(&[&pki.older_root])
        .stapled([&pki.staple(&pki.leaf), &pki.staple(&pki.issuing_ca), &staple])
        .is_accepted();
}

#[test]
fn a_staple_with_an_elliptic_curve_signature_is_accepted() {
    let pki = with(|t| t.issuing_ca.key = Key::p256());
    Case::of(&pki).is_accepted();
    leaf_staple(|pki, staple| {
        let mut responder = pki.responder_template();
        responder.key = Key::p256();
        *staple = staple.clone().delegated_to(&responder.issued_by(&pki.issuing_ca));
    })
    .is_accepted();
}

#[test]
fn a_staple_signed_with_sha384_is_accepted() {
    leaf_staple(|_, staple| staple.signature_algorithm = Some(SignatureAlgorithm::RsaSha384)).is_accepted();
}

#[test]
fn a_staple_with_extensions_that_are_not_critical_is_accepted() {
    leaf_staple(|_, staple| staple.extensions.push(RawExtension::unknown(false))).is_accepted();
    leaf_staple(|_, staple| staple.single().extensions.push(RawExtension::unknown(false))).is_accepted();
}

#[test]
fn a_staple_counts_from_300_seconds_before_it_begins() {
    leaf_staple(|_, staple| staple.single().this_update = NOW + 300).is_accepted();
    leaf_staple(|_, staple| staple.single().this_update = NOW + 301)
        .is_refused_by_staple(LEAF, RevocationProblem::NotYetValid(span(301)));
}

#[test]
fn a_staple_counts_until_300_seconds_after_it_ended() {
    leaf_staple(|_, staple| staple.single().next_update = Some(NOW - 300)).is_accepted();
    leaf_staple(|_, staple| staple.single().next_update = Some(NOW - 301))
        .is_refused_by_staple(LEAF, RevocationProblem::Expired(span(301)));
}

#[test]
fn a_staple_may_be_months_old_while_it_has_not_ended() {
    leaf_staple(|_, staple| {
        staple.single().this_update = NOW - 200 * DAY;
        staple.single().next_update = Some(NOW + DAY);
    })
    .is_accepted();
}

#[test]
fn a_staple_that_names_no_end_counts_for_ten_days_and_300_seconds() {
    let without_end = |since| {
        leaf_staple(|_, staple| {
            staple.single().this_update = since;
            staple.single().next_update = None;
        })
    };
    without_end(NOW - HOUR).is_accepted();
    without_end(NOW - 10 * DAY - 300).is_accepted();
    without_end(NOW - 10 * DAY - 301).is_refused_by_staple(LEAF, RevocationProblem::Expired(span(301)));
    without_end(NOW + 301).is_refused_by_staple(LEAF, RevocationProblem::NotYetValid(span(301)));
}

#[test]
fn a_staple_may_begin_and_end_in_the_same_second() {
    leaf_staple(|_, staple| {
        staple.single().this_update = NOW;
        staple.single().next_update = Some(NOW);
    })
    .is_accepted();
}

#[test]
fn junk_beside_good_staples_does_no_harm() {
    for junk in [&b""[..], b"\n", b"<html>", b"****", b"MAMKAQM=", b"MAA=", b"\xff\xfe"] {
        beside(|_| junk.to_vec());
    }
}

#[test]
fn staples_of_other_certificates_beside_good_ones_do_no_harm() {
    let stranger = pki();
    beside(|_| good(&stranger, &stranger.leaf));
    beside(|_| served(&stranger.staple(&stranger.leaf).with_status(Status::Revoked(NOW - DAY))));
    beside(|_| {
        served(
            &stranger
                .staple(&stranger.issuing_ca)
                .with_status(Status::Revoked(NOW - DAY)),
        )
    });
}

#[test]
fn a_bad_staple_beside_a_good_one_does_no_harm() {
    type Change = fn(&Pki, &mut StapleTemplate);
    let changes: [Change; 9] = [
        |_, staple| staple.single().next_update = Some(NOW - DAY),
        |_, staple| staple.single().this_update = NOW + DAY,
        |_, staple| staple.tamper_signature = true,
        |_, staple| staple.signature_algorithm = Some(SignatureAlgorithm::RsaSha1),
        |_, staple| staple.single().status = Status::Unknown,
        |_, staple| staple.trailing = vec![0],
        |_, staple| staple.extensions.push(RawExtension::unknown(true)),
        |pki, staple| *staple = staple.clone().delegated_to(&pki.leaf),
        |pki, staple| *staple = staple.clone().delegated_to(&pki.responder(&pki.root)),
    ];
    for change in changes {
        beside(|pki| {
            let mut staple = pki.staple(&pki.leaf);
            change(pki, &mut staple);
            served(&staple)
        });
    }
}

#[test]
fn a_revoked_staple_that_nobody_signed_does_no_harm_beside_a_good_one() {
    let revoked = |pki: &Pki| pki.staple(&pki.leaf).with_status(Status::Revoked(NOW - DAY));
    beside(|pki| {
        let mut staple = revoked(pki);
        staple.tamper_signature = true;
        served(&staple)
    });
    beside(|pki| {
        let mut staple = revoked(pki);
        staple.signing_key = Some(Key::cached("somebody else"));
        served(&staple)
    });
    beside(|pki| served(&revoked(pki).delegated_to(&pki.leaf)));
}

#[test]
fn a_revoked_staple_of_another_time_does_no_harm_beside_a_good_one() {
    // A response that is not current has no effect, such as one about a hold that was lifted.
    beside(|pki| {
        let mut staple = pki.staple(&pki.leaf).with_status(Status::Revoked(NOW - DAY));
        staple.single().next_update = Some(NOW - 301);
        served(&staple)
    });
}

#[test]
fn only_the_path_s_certificates_need_staples() {
    let pki = pki();
    let case = Case::of(&pki).stapled([&pki.staple(&pki.leaf), &pki.staple(&pki.issuing_ca)]);
    case.is_accepted();
    for (left, missing) in [(&pki.leaf, ISSUING_CA), (&pki.issuing_ca, LEAF)] {
        Case::of(&pki)
            .stapled([&pki.staple(left)])
            .is_refused_by_staple(missing, crate::judge::MISSING);
    }
}
