//! A real signer's chain, long expired: it passes every check except that its staples no longer exist.

use eic_verify::{RevocationProblem, SignerRejection};

use crate::judge::{Case, MISSING, no_anchor, span};

const LEAF: &[u8] = include_bytes!("real-signer-chain/0.pem");
const ISSUING_CA: &[u8] = include_bytes!("real-signer-chain/1.pem");
const ROOT_CROSS: &[u8] = include_bytes!("real-signer-chain/2.pem");
const OLDER_ROOT_CROSS: &[u8] = include_bytes!("real-signer-chain/3.pem");
const ROOT: &[u8] = include_bytes!("real-signer-chain/amazon-root-ca-1.pem");
const OLDER_ROOT: &[u8] = include_bytes!("real-signer-chain/starfield-services-root-g2.pem");

const NAME: &str = "managed-ssh-signer.us-east-1.amazonaws.com";

/// 2025-03-01 00:00:00 UTC.
const WITHIN: i64 = 1_740_787_200;
/// 2024-11-08 00:00:00 UTC, the leaf's notBefore.
const BEGIN: i64 = 1_731_024_000;
/// 2025-10-21 23:59:59 UTC, the leaf's notAfter.
const END: i64 = 1_761_091_199;

fn case() -> Case {
    Case {
        chain: [LEAF, ISSUING_CA, ROOT_CROSS, OLDER_ROOT_CROSS].concat(),
        staples: Vec::new(),
        store: vec![ROOT.to_vec()],
        region: "us-east-1".into(),
        domain: "amazonaws.com".into(),
        now: WITHIN,
    }
}

#[test]
fn the_real_chain_lacks_nothing_but_its_leaf_s_staple() {
    case().is_refused_by_staple(NAME, MISSING);
}

#[test]
fn the_real_chain_also_leads_through_the_cross_signed_root_to_the_older_one() {
    let older = Case {
        store: vec![OLDER_ROOT.to_vec()],
        ..case()
    };
    older.is_refused_by_staple(NAME, MISSING);
    let without_cross = Case {
        chain: [LEAF, ISSUING_CA].concat(),
        ..older
    };
    without_cross.is_refused(&no_anchor(1, "Amazon Root CA 1"));
}

#[test]
fn the_real_chain_may_stand_in_any_order_and_without_its_roots() {
    for chain in [
        [OLDER_ROOT_CROSS, ROOT_CROSS, ISSUING_CA, LEAF].concat(),
        [LEAF, ISSUING_CA].concat(),
        [LEAF, ROOT, ISSUING_CA].concat(),
    ] {
        Case { chain, ..case() }.is_refused_by_staple(NAME, MISSING);
    }
}

#[test]
fn the_real_chain_is_found_among_all_roots_of_a_store() {
    let mut store = emulator::instance::roots(&[], 150);
    store.push(String::from_utf8_lossy(OLDER_ROOT).into_owned());
    store.push(String::from_utf8_lossy(ROOT).into_owned());
    Case {
        store: vec![store.concat().into()],
        ..case()
    }
    .is_refused_by_staple(NAME, MISSING);
}

#[test]
fn the_real_chain_holds_from_its_first_second_to_its_last() {
    for now in [BEGIN, END] {
        Case { now, ..case() }.is_refused_by_staple(NAME, MISSING);
    }
    Case { now: END + 1, ..case() }.is_refused(&SignerRejection::Expired(span(1)));
    Case {
        now: BEGIN - 1,
        ..case()
    }
    .is_refused(&SignerRejection::NotYetValid(span(1)));
}

#[test]
fn the_real_signer_is_refused_in_another_region() {
    let case = Case {
        region: "us-west-2".into(),
        ..case()
    };
    case.is_refused_saying(
        &SignerRejection::OtherRegion {
            signer: "us-east-1.amazonaws.com".into(),
            here: "us-west-2.amazonaws.com".into(),
        },
        "signer certificate is for us-east-1.amazonaws.com, but this is us-west-2.amazonaws.com",
    );
}

#[test]
fn the_real_chain_is_no_chain_without_its_root_in_the_store() {
    let case = Case {
        chain: [LEAF, ISSUING_CA, ROOT_CROSS, ROOT].concat(),
        store: vec![emulator::instance::roots(&[], 3).concat().into()],
        ..case()
    };
    case.is_refused(&no_anchor(3, "Amazon Root CA 1"));
}

#[test]
fn a_staple_of_somebody_else_does_not_make_up_for_the_real_one() {
    let pki = emulator::Pki::new("us-east-1", "amazonaws.com", WITHIN);
    let staples = Case::of(&pki).staples;
    let case = Case { staples, ..case() };
    case.is_refused_by_staple(NAME, RevocationProblem::Missing { unparsed: None });
}
