//! Path building: in whatever order the certificates are served, and together with whatever others, the path to a root in
//! the trust store is found, and no served certificate is ever that root.

use eic_verify::{RevocationProblem, SignerRejection};
use emulator::certificate::NameAttribute;
use emulator::staple::Status;
use emulator::{Certificate, Key, Pki, StapleTemplate};

use crate::judge::{Case, DAY, HOUR, ISSUING_CA, LEAF, MISSING, NOW, ROOT, no_anchor, pki, served, span, with};

/// Another version of a CA: the same name and key, another serial number.
fn version_of(certificate: &Certificate, serial: u8, issuer: &Certificate) -> Certificate {
    let mut template = certificate.template().clone();
    template.serial = vec![serial];
    template.issued_by(issuer)
}

/// A PKI whose issuing CA has two certificates, both served, this one first; staples only for the leaf.
fn with_two_versions() -> (Pki, Certificate, Case) {
    let pki = pki();
    let other = version_of(&pki.issuing_ca, 7, &pki.root);
    let case = Case::of(&pki)
        .serving(&[&pki.leaf, &other, &pki.issuing_ca, &pki.root_cross])
        .stapled([&pki.staple(&pki.leaf)]);
    (pki, other, case)
}

fn good_for(pki: &Pki, certificate: &Certificate, issuer: &Certificate) -> StapleTemplate {
    StapleTemplate::good(certificate, issuer, pki.now)
}

#[test]
fn the_served_certificates_may_stand_in_any_order() {
    let pki = pki();
    let case = Case::of(&pki);
    let chain: Vec<&Certificate> = pki.chain.iter().collect();
    for a in 0..4 {
        for b in (0..4).filter(|&b| b != a) {
            for c in (0..4).filter(|&c| c != a && c != b) {
                let d = 6 - a - b - c;
                case.clone()
                    .serving(&[chain[a], chain[b], chain[c], chain[d]])
                    .is_accepted();
            }
        }
    }
}

#[test]
fn the_chain_may_come_with_or_without_its_root() {
    let pki = pki();
    let case = Case::of(&pki);
    case.clone().serving(&[&pki.leaf, &pki.issuing_ca]).is_accepted();
    case.clone()
        .serving(&[&pki.leaf, &pki.issuing_ca, &pki.root])
        .is_accepted();
    case.serving(&[&pki.leaf, &pki.issuing_ca, &pki.root, &pki.root_cross, &pki.older_root])
        .is_accepted();
}

#[test]
fn certificates_may_be_served_twice() {
    let pki = pki();
    Case::of(&pki)
        .serving(&[&pki.leaf, &pki.leaf, &pki.issuing_ca, &pki.issuing_ca, &pki.root_cross])
        .is_accepted();
}

#[test]
fn unrelated_certificates_among_them_do_no_harm() {
    let pki = pki();
    let strangers = with(|t| {
        t.leaf.subject = vec![NameAttribute::common_name("www.example.com")];
        t.leaf.dns_names = None;
        t.issuing_ca.subject = vec![NameAttribute::common_name("Another CA")];
        t.root.subject = vec![NameAttribute::common_name("Another Root CA")];
    });
    Case::of(&pki)
        .serving(&[
            &strangers.leaf,
            &strangers.root,
            &pki.leaf,
            &strangers.issuing_ca,
            &pki.issuing_ca,
            &strangers.root_cross,
        ])
        .is_accepted();
}

#[test]
fn a_ca_of_the_same_name_with_another_key_does_no_harm() {
    let pki = pki();
    let namesake = with(|t| {
        t.issuing_ca.key = Key::cached("somebody else");
        t.issuing_ca.serial = vec![9];
    });
    Case::of(&pki)
        .serving(&[&pki.leaf, &namesake.issuing_ca, &pki.issuing_ca])
        .is_accepted();
}

#[test]
fn without_the_issuing_ca_there_is_no_path() {
    let pki = pki();
    Case::of(&pki)
        .serving(&[&pki.leaf, &pki.root_cross, &pki.older_root_cross])
        .is_refused(&no_anchor(1, ISSUING_CA));
}

#[test]
fn the_path_stops_at_the_first_local_root_and_needs_no_staple_above_it() {
    let pki = pki();
    Case::of(&pki)
        .stapled([&pki.staple(&pki.leaf), &pki.staple(&pki.issuing_ca)])
        .is_accepted();
}

#[test]
fn what_stands_above_the_first_local_root_is_not_judged() {
    let pki = with(|t| {
        t.root_cross.not_after = NOW - DAY;
        t.older_root_cross.tamper_signature = true;
    });
    let mut case = Case::of(&pki);
    case.is_accepted();
    let revoked = pki.staple(&pki.root_cross).with_status(Status::Revoked(NOW - DAY));
    case.staples.push(served(&revoked));
    case.is_accepted();
}

#[test]
fn a_store_with_only_an_older_root_is_reached_through_the_cross_signed_one() {
    let pki = pki();
    Case::of(&pki).trusting(&[&pki.older_root]).is_accepted();
    Case::of(&pki).trusting(&[&pki.oldest_root]).is_accepted();
}

#[test]
fn a_cross_signed_root_on_the_path_needs_its_staple() {
    let pki = pki();
    let stapled = |certificates: &[&Certificate]| {
        let staples: Vec<_> = certificates.iter().map(|certificate| pki.staple(certificate)).collect();
        Case::of(&pki).stapled(&staples)
    };
    let without = stapled(&[&pki.leaf, &pki.issuing_ca, &pki.older_root_cross]);
    without
        .clone()
        .trusting(&[&pki.older_root])
        .is_refused_by_staple(ROOT, MISSING);
    // If the store has both roots, the shorter path is used, whichever root comes first.
    without.clone().trusting(&[&pki.older_root, &pki.root]).is_accepted();
    without.trusting(&[&pki.root, &pki.older_root]).is_accepted();
    stapled(&[&pki.leaf, &pki.issuing_ca, &pki.root_cross])
        .trusting(&[&pki.oldest_root])
        .is_refused_by_staple("Older Root CA", MISSING);
}

#[test]
fn a_root_that_only_imds_serves_is_no_anchor() {
    let pki = pki();
    Case::of(&pki)
        .serving(&[&pki.leaf, &pki.issuing_ca, &pki.root])
        .trusting(&[])
        .is_refused_saying(
            &no_anchor(0, ROOT),
            "trust store /etc/ssl/certs/ca-certificates.crt contains no certificates",
        );
}

#[test]
fn a_served_root_of_a_local_root_s_name_is_no_anchor() {
    let pki = pki();
    // The same names throughout, other keys: what an attacker who spoofs IMDS can make.
    let forged = with(|t| {
        t.root.key = Key::cached("forged root");
        t.root_cross.key = t.root.key.clone();
        t.issuing_ca.key = Key::cached("forged issuing CA");
        t.leaf.key = Key::cached("forged leaf");
    });
    let case = Case::of(&forged);
    case.is_accepted();
    case.serving(&[&forged.leaf, &forged.issuing_ca, &forged.root])
        .trusting(&[&pki.root])
        .is_refused_by_path(
            "InvalidSignatureForPublicKey",
            "one of its certificates has an invalid signature",
        );
}

#[test]
fn a_loop_of_cas_ends() {
    let pki = pki();
    let mut looped = pki.issuing_ca.template().clone().for_ca(None);
    looped.serial = vec![9];
    let up = looped.clone().issued_by(&pki.root_cross);
    let mut down = pki.root_cross.template().clone();
    down.serial = vec![10];
    let down = down.issued_by(&up);
    Case::of(&pki)
        .serving(&[&pki.leaf, &up, &down])
        .trusting(&[&pki.oldest_root])
        .is_refused(&no_anchor(1, ISSUING_CA));
}

#[test]
fn an_intermediate_in_two_versions_is_taken_in_the_one_that_is_stapled() {
    let (pki, other, case) = with_two_versions();
    case.is_refused_by_staple(ISSUING_CA, MISSING);
    for stapled in [&pki.issuing_ca, &other] {
        let mut case = case.clone();
        case.staples.push(served(&good_for(&pki, stapled, &pki.root)));
        case.is_accepted();
    }
}

#[test]
fn an_intermediate_in_two_versions_one_of_them_revoked_is_taken_in_the_other() {
    let (pki, other, case) = with_two_versions();
    for (revoked, good) in [(&pki.issuing_ca, &other), (&other, &pki.issuing_ca)] {
        let mut case = case.clone();
        let revoked = good_for(&pki, revoked, &pki.root).with_status(Status::Revoked(NOW - HOUR));
        case.staples.push(served(&revoked));
        case.is_refused_by_staple(ISSUING_CA, RevocationProblem::Revoked(span(HOUR)));
        case.staples.push(served(&good_for(&pki, good, &pki.root)));
        case.is_accepted();
    }
}

#[test]
fn an_intermediate_in_two_versions_one_of_them_expired_is_taken_in_the_other() {
    let (pki, _, _) = with_two_versions();
    let mut expired = pki.issuing_ca.template().clone();
    expired.serial = vec![7];
    expired.not_after = NOW - DAY;
    let expired = expired.issued_by(&pki.root);
    let case = Case::of(&pki);
    case.clone()
        .serving(&[&pki.leaf, &expired, &pki.issuing_ca])
        .is_accepted();
    case.serving(&[&pki.leaf, &expired])
        .is_refused(&SignerRejection::Expired(span(DAY)));
}

#[test]
fn an_intermediate_with_two_issuers_is_taken_under_the_one_that_is_trusted() {
    let pki = pki();
    let other = version_of(&pki.issuing_ca, 7, &pki.older_root);
    let mut case = Case::of(&pki).serving(&[&pki.leaf, &other, &pki.issuing_ca]);
    case.is_accepted();
    case.staples.push(served(&good_for(&pki, &other, &pki.older_root)));
    case.trusting(&[&pki.older_root]).is_accepted();
}

#[test]
fn the_most_telling_reason_is_given_of_all_paths_that_fail() {
    let (pki, other, mut case) = with_two_versions();
    let mut old = good_for(&pki, &other, &pki.root);
    old.single().next_update = Some(NOW - 3 * HOUR);
    old.single().this_update = NOW - DAY;
    case.staples.push(served(&old));
    case.is_refused_saying(
        &crate::judge::revocation(ISSUING_CA, RevocationProblem::Expired(span(3 * HOUR))),
        "OCSP response for \"Issuing CA\" expired 3 h ago",
    );
}

#[test]
fn the_longest_path_that_webpki_builds_is_found_among_sixteen_certificates() {
    let pki = pki();
    let strangers: Vec<Certificate> = (0..12)
        .map(|number| version_of(&pki.issuing_ca, 20 + number, &pki.root))
        .collect();
    let mut chain: Vec<&Certificate> = vec![&pki.leaf];
    chain.extend(&strangers);
    chain.extend([&pki.issuing_ca, &pki.root_cross, &pki.older_root_cross]);
    assert_eq!(chain.len(), 16);
    Case::of(&pki).serving(&chain).is_accepted();
    Case::of(&pki)
        .serving(&chain)
        .trusting(&[&pki.older_root])
        .is_accepted();
    chain.push(&pki.root);
    Case::of(&pki).serving(&chain).is_refused_saying(
        &SignerRejection::TooManyCertificates(16),
        "IMDS returned more than 16 signer certificates",
    );
}

#[test]
fn a_second_certificate_of_the_signer_s_name_beside_it_does_no_harm() {
    // As during the roll-out of a new certificate: the previous one is still served, but has expired.
    let mut pki = pki();
    let mut old = pki.leaf.template().clone();
    old.serial = vec![9];
    old.not_after = NOW - DAY;
    let old = old.issued_by(&pki.issuing_ca);
    pki.chain.insert(1, old.clone());
    Case::of(&pki).is_accepted();
    // The leaf comes first: a chain whose first certificate has expired is refused with that reason.
    Case::of(&pki)
        .serving(&[&old, &pki.issuing_ca])
        .is_refused(&SignerRejection::Expired(span(DAY)));
    assert_eq!(old.template().subject, vec![NameAttribute::common_name(LEAF)]);
}
