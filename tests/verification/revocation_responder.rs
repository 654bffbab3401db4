//! Responders to which the issuer did not delegate.

use eic_verify::{DelegationProblem, RevocationProblem, SignerRejection};
use emulator::certificate::{BasicConstraints, KeyUsage, KeyUsages, NameAttribute, RawExtension, purpose};
use emulator::staple::ResponderName;
use emulator::{Certificate, CertificateTemplate, Key, Pki, SignatureAlgorithm};

use crate::judge::{Case, DAY, ISSUING_CA, LEAF, NOW, pki, revocation, span, variant};

/// The default case with the leaf's staple signed by this responder.
fn delegated(responder: impl FnOnce(&Pki) -> Certificate) -> Case {
    let pki = pki();
    let staple = pki.staple(&pki.leaf).delegated_to(&responder(&pki));
    Case::of(&pki).stapled([&staple, &pki.staple(&pki.issuing_ca)])
}

/// A correct responder of the issuing CA, with changes.
fn changed(change: impl FnOnce(&mut CertificateTemplate)) -> Case {
    delegated(|pki| {
        let mut template = pki.responder_template();
        change(&mut template);
        template.issued_by(&pki.issuing_ca)
    })
}

/// Refused for the staple of this certificate, because its issuer did not delegate to this responder, with this message.
#[track_caller]
fn is_refused_for(case: &Case, certificate: &str, responder: &str, why: DelegationProblem, words: &str) {
    let problem = RevocationProblem::Delegation {
        responder: responder.to_owned(),
        problem: why,
    };
    let words = format!(
        "OCSP response for \"{certificate}\" is signed by responder \"{responder}\", whose certificate {words}"
    );
    case.is_refused_saying(&revocation(certificate, problem), &words);
}

#[track_caller]
fn is_refused(case: &Case, why: DelegationProblem, words: &str) {
    is_refused_for(case, LEAF, "OCSP Responder", why, words);
}

/// Refused because another CA than the issuing CA issued its certificate.
#[track_caller]
fn is_of_another(case: &Case, issuer: &str) {
    let words = format!("was issued by another CA, \"{issuer}\"");
    is_refused(case, DelegationProblem::OtherIssuer(issuer.to_owned()), &words);
}

/// Refused because its certificate names the issuing CA as its issuer, but is not signed by it.
#[track_caller]
fn is_unsigned(case: &Case) {
    is_refused(
        case,
        DelegationProblem::Signature(ISSUING_CA.into()),
        "names \"Issuing CA\" as its issuer, but is not signed by it",
    );
}

/// Refused with webpki's error of that name.
#[track_caller]
fn is_not_vouched_for(case: &Case, name: &str, words: &str) {
    match case.refusal() {
        SignerRejection::Revocation {
            problem:
                RevocationProblem::Delegation {
                    problem: why @ DelegationProblem::Path(_),
                    ..
                },
            ..
        } => {
            let DelegationProblem::Path(error) = &why else {
                unreachable!()
            };
            assert_eq!(variant(error), name);
            is_refused(case, why, words);
        }
        other => panic!("refused for another reason: {other:?}"),
    }
}

#[test]
fn a_responder_without_ocsp_no_check_is_accepted() {
    changed(|t| t.extensions.clear()).is_accepted();
}

#[test]
fn a_responder_without_key_usage_is_accepted() {
    changed(|t| t.key_usage = None).is_accepted();
}

#[test]
fn a_responder_with_further_purposes_is_accepted() {
    let both = vec![purpose::ID_KP_SERVER_AUTH, purpose::ID_KP_OCSP_SIGNING];
    changed(|t| t.extended_key_usage = Some(both)).is_accepted();
}

#[test]
fn a_responder_without_ocsp_signing_is_refused() {
    for purposes in [
        None,
        Some(vec![purpose::ID_KP_SERVER_AUTH]),
        Some(vec![purpose::ANY_EXTENDED_KEY_USAGE]),
    ] {
        is_refused(
            &changed(|t| t.extended_key_usage = purposes),
            DelegationProblem::ExtendedKeyUsage,
            "is not for OCSP signing (extendedKeyUsage)",
        );
    }
}

#[test]
fn a_responder_whose_key_usage_lacks_digital_signature_is_refused() {
    is_refused(
        &changed(|t| t.key_usage = Some(KeyUsage(KeyUsages::KeyCertSign | KeyUsages::NonRepudiation))),
        DelegationProblem::KeyUsage,
        "does not allow digital signatures (keyUsage)",
    );
}

#[test]
fn a_responder_that_is_valid_for_this_second_alone_is_accepted() {
    changed(|t| (t.not_before, t.not_after) = (NOW, NOW)).is_accepted();
}

#[test]
fn a_responder_whose_certificate_expired_is_refused_without_slack() {
    is_refused(
        &changed(|t| t.not_after = NOW - 1),
        DelegationProblem::Expired(span(1)),
        "expired 1 s ago",
    );
    is_refused(
        &changed(|t| t.not_before = NOW + 1),
        DelegationProblem::NotYetValid(span(1)),
        "becomes valid in 1 s; check the clock",
    );
}

#[test]
fn a_responder_of_another_issuer_is_refused() {
    is_of_another(&delegated(|pki| pki.responder(&pki.root)), "Root CA");
    is_of_another(&delegated(|pki| pki.responder(&pki.older_root)), "Older Root CA");
}

#[test]
fn a_responder_that_the_leaf_issued_is_refused() {
    is_of_another(&delegated(|pki| pki.responder(&pki.leaf)), LEAF);
}

#[test]
fn a_responder_that_vouches_for_itself_is_refused() {
    is_of_another(
        &delegated(|pki| pki.responder_template().self_signed()),
        "OCSP Responder",
    );
}

#[test]
fn a_responder_of_a_ca_below_the_issuer_is_refused() {
    // The issuing CA's responder must not sign staples for the issuing CA itself, which the root issued.
    let pki = pki();
    let staple = pki
        .staple(&pki.issuing_ca)
        .delegated_to(&pki.responder(&pki.issuing_ca));
    is_refused_for(
        &Case::of(&pki).stapled([&pki.staple(&pki.leaf), &staple]),
        ISSUING_CA,
        "OCSP Responder",
        DelegationProblem::OtherIssuer(ISSUING_CA.into()),
        "was issued by another CA, \"Issuing CA\"",
    );
}

#[test]
fn a_responder_signed_by_another_key_in_the_issuer_s_name_is_refused() {
    is_unsigned(&delegated(|pki| {
        let issuer = pki.issuing_ca.template().subject.clone();
        pki.responder_template()
            .signed_by(&issuer, &Key::cached("somebody else"))
    }));
}

#[test]
fn a_responder_whose_certificate_is_signed_with_sha1_is_refused() {
    is_not_vouched_for(
        &changed(|t| t.signature_algorithm = Some(SignatureAlgorithm::RsaSha1)),
        "UnsupportedSignatureAlgorithmContext",
        "is signed with an algorithm that is not accepted",
    );
}

#[test]
fn a_responder_whose_certificate_has_a_tampered_signature_is_refused() {
    is_unsigned(&changed(|t| t.tamper_signature = true));
}

#[test]
fn a_responder_with_an_unknown_critical_extension_is_refused() {
    is_not_vouched_for(
        &changed(|t| t.extensions.push(RawExtension::unknown(true))),
        "UnsupportedCriticalExtension",
        "has an unknown critical extension",
    );
}

#[test]
fn a_responder_that_is_a_ca_is_refused() {
    let ca = BasicConstraints {
        ca: true,
        path_len_constraint: None,
    };
    is_not_vouched_for(
        &changed(|t| t.basic_constraints = Some(ca)),
        "CaUsedAsEndEntity",
        "is a CA certificate",
    );
}

#[test]
fn a_responder_that_is_not_enclosed_is_foreign() {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf).delegated_to(&pki.responder(&pki.issuing_ca));
    staple.enclosed.clear();
    Case::of(&pki)
        .stapled([&staple, &pki.staple(&pki.issuing_ca)])
        .is_refused_by_staple(LEAF, RevocationProblem::UnknownResponder);
}

#[test]
fn a_responder_that_imds_serves_in_the_chain_instead_is_foreign() {
    let mut pki = pki();
    let responder = pki.responder(&pki.issuing_ca);
    let mut staple = pki.staple(&pki.leaf).delegated_to(&responder);
    staple.enclosed.clear();
    let issuing = pki.staple(&pki.issuing_ca);
    pki.chain.push(responder);
    Case::of(&pki)
        .stapled([&staple, &issuing])
        .is_refused_by_staple(LEAF, RevocationProblem::UnknownResponder);
}

#[test]
fn a_responder_that_is_enclosed_but_not_named_is_foreign() {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf).delegated_to(&pki.responder(&pki.issuing_ca));
    for name in [
        ResponderName::ByKey(vec![7; 20]),
        ResponderName::by_name_of(&pki.root),
        ResponderName::ByName(Vec::new()),
    ] {
        staple.responder_name = Some(name);
        Case::of(&pki)
            .stapled([&staple, &pki.staple(&pki.issuing_ca)])
            .is_refused_by_staple(LEAF, RevocationProblem::UnknownResponder);
    }
}

#[test]
fn the_leaf_itself_is_no_responder() {
    is_refused_for(
        &delegated(|pki| pki.leaf.clone()),
        LEAF,
        LEAF,
        DelegationProblem::ExtendedKeyUsage,
        "is not for OCSP signing (extendedKeyUsage)",
    );
}

#[test]
fn a_proper_responder_s_staple_with_a_wrong_signature_is_refused() {
    let pki = pki();
    let mut staple = pki.staple(&pki.leaf).delegated_to(&pki.responder(&pki.issuing_ca));
    staple.signing_key = Some(Key::cached("somebody else"));
    Case::of(&pki)
        .stapled([&staple, &pki.staple(&pki.issuing_ca)])
        .is_refused_by_staple(LEAF, RevocationProblem::Signature);
}

#[test]
fn a_responder_in_the_issuer_s_name_with_a_key_of_its_own_is_a_responder_all_the_same() {
    // As with some CAs: direct according to the name, but delegated in fact.
    changed(|t| {
        t.subject = vec![
            NameAttribute::organization("EC2 Instance Connect emulator"),
            NameAttribute::common_name("Issuing CA"),
        ];
    })
    .is_accepted();
}

#[test]
fn an_expired_responder_beside_a_proper_one_of_its_name_does_no_harm() {
    let pki = pki();
    let proper = pki.responder(&pki.issuing_ca);
    let mut expired = pki.responder_template();
    expired.not_after = NOW - DAY;
    let expired = expired.issued_by(&pki.issuing_ca);
    let mut staple = pki.staple(&pki.leaf).delegated_to(&proper);
    for enclosed in [[proper.clone(), expired.clone()], [expired, proper]] {
        staple.enclosed = enclosed.to_vec();
        Case::of(&pki)
            .stapled([&staple, &pki.staple(&pki.issuing_ca)])
            .is_accepted();
    }
}
