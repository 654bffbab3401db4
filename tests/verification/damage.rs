//! Damaged input of every kind: no changed byte and no truncation leads to another key or to a panic.

use std::sync::LazyLock;

use emulator::{Certificate, pem};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::judge::{Case, pki};
use crate::login::{Login, key, lines, record};

/// One PKI for all tests: its staples are signed only once.
struct Whole {
    pki: emulator::Pki,
    case: Case,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let pki = pki();
    let case = Case::of(&pki);
    case.is_accepted();
    Whole { pki, case }
});

/// A PKI's login, and a record as served.
static RECORD: LazyLock<(Login, Vec<u8>, usize)> = LazyLock::new(|| {
    let login = Login::new();
    let record = login.sign(&record(1));
    let signed = record.signed.len();
    (login, record.bytes(), signed)
});

fn flipped(bytes: &[u8], at: Index, mask: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= mask;
    bytes
}

/// The chain with this in place of one of its certificates.
fn with_certificate(number: usize, der: &[u8]) -> Case {
    let chain = &WHOLE.pki.chain;
    let parts = chain.iter().enumerate().map(|(index, certificate)| {
        if index == number {
            pem("CERTIFICATE", der)
        } else {
            certificate.pem()
        }
    });
    Case {
        chain: parts.collect::<String>().into(),
        ..WHOLE.case.clone()
    }
}

fn with_staple(number: usize, der: &[u8]) -> Case {
    let mut case = WHOLE.case.clone();
    case.staples[number] = emulator::base64_lines(der, None).into();
    case
}

fn staple_der(number: usize) -> Vec<u8> {
    use base64::Engine as _;
    let text: Vec<u8> = WHOLE.case.staples[number]
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("it is base64")
}

/// A signer that is accepted nevertheless is the same signer.
fn is_the_same_signer(case: &Case) -> bool {
    let Ok(signer) = case.verdict() else {
        return true;
    };
    let login = Login {
        signer,
        ..Login::with(WHOLE.pki.clone())
    };
    login.printed(&login.sign(&record(1)).bytes()) == [key(1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn one_changed_byte_in_a_certificate_of_the_path_is_refused(number in 0..2_usize, at: Index, mask in 1..=255_u8) {
        let der = flipped(WHOLE.pki.chain[number].der(), at, mask);
        prop_assert!(with_certificate(number, &der).verdict().is_err());
    }

    #[test]
    fn one_changed_byte_in_the_staple_of_a_certificate_of_the_path_is_refused(
        number in 0..2_usize, at: Index, mask in 1..=255_u8,
    ) {
        let der = flipped(&staple_der(number), at, mask);
        prop_assert!(with_staple(number, &der).verdict().is_err());
    }

    #[test]
    fn one_changed_byte_in_a_record_s_signed_bytes_is_refused(at: Index, mask in 1..=255_u8) {
        let (login, bytes, signed) = &*RECORD;
        let damaged = [&flipped(&bytes[..*signed], at, mask), &bytes[*signed..]].concat();
        if let Ok((keys, _)) = login.try_judge(&damaged) {
            prop_assert_eq!(lines(&keys), [""; 0]);
        }
    }

    #[test]
    fn one_changed_byte_in_a_record_s_signature_leads_to_no_other_key(at: Index, mask in 1..=255_u8) {
        let (login, bytes, signed) = &*RECORD;
        let damaged = [&bytes[..*signed], &flipped(&bytes[*signed..], at, mask)].concat();
        let (keys, _) = login.judge(&damaged);
        // The last newline may become another character outside base64's alphabet; everything else is refused.
        prop_assert!(lines(&keys).iter().all(|line| *line == key(1)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn one_changed_byte_in_the_served_text_leads_to_no_other_signer(at: Index, mask in 1..=255_u8, staple: bool) {
        let mut case = WHOLE.case.clone();
        if staple {
            case.staples[0] = flipped(&case.staples[0], at, mask);
        } else {
            case.chain = flipped(&case.chain, at, mask);
        }
        prop_assert!(is_the_same_signer(&case));
    }

    #[test]
    fn a_changed_byte_above_the_path_leads_to_no_other_signer(number in 2..4_usize, at: Index, mask in 1..=255_u8) {
        let der = flipped(WHOLE.pki.chain[number].der(), at, mask);
        prop_assert!(is_the_same_signer(&with_certificate(number, &der)));
    }

    #[test]
    fn a_changed_byte_in_the_store_never_panics(at: Index, mask in 1..=255_u8) {
        let mut case = WHOLE.case.clone();
        case.store[0] = flipped(&case.store[0], at, mask);
        prop_assert!(is_the_same_signer(&case));
    }

    #[test]
    fn records_in_any_order_and_cut_anywhere_lead_to_no_other_key(cut: Index, junk: Vec<u8>) {
        let (login, bytes, _) = &*RECORD;
        let blob = [&bytes[..cut.index(bytes.len())], &junk, b"\n\n", bytes].concat();
        if let Ok((keys, _)) = login.try_judge(&blob) {
            prop_assert!(lines(&keys).iter().all(|line| *line == key(1)));
        }
    }
}

#[test]
fn a_certificate_cut_anywhere_is_refused() {
    for number in 0..2 {
        let der = WHOLE.pki.chain[number].der();
        for length in 0..der.len() {
            assert!(with_certificate(number, &der[..length]).verdict().is_err(), "{length}");
        }
    }
}

#[test]
fn no_tag_of_a_staple_may_be_of_the_other_form() {
    // Bit 6 of a tag means constructed (X.690 8.1.2.5), and DER prescribes its value; elsewhere the bit is an ordinary one.
    let der = staple_der(0);
    let accepted: Vec<usize> = (0..der.len())
        .filter(|&at| {
            let mut damaged = der.clone();
            damaged[at] ^= 0x20;
            with_staple(0, &damaged).verdict().is_ok()
        })
        .collect();
    assert_eq!(accepted, [0; 0]);
}

#[test]
fn a_staple_cut_anywhere_is_refused() {
    let der = staple_der(0);
    for length in 0..der.len() {
        assert!(with_staple(0, &der[..length]).verdict().is_err(), "{length}");
    }
}

#[test]
fn a_record_cut_anywhere_leads_to_no_key() {
    let (login, bytes, _) = &*RECORD;
    assert_eq!(login.printed(bytes), [key(1)]);
    // Without its last newline, it is still complete.
    for length in 0..bytes.len() - 1 {
        if let Ok((keys, _)) = login.try_judge(&bytes[..length]) {
            assert_eq!(lines(&keys), [""; 0], "{length}");
        }
    }
}

#[test]
fn a_chain_s_text_cut_anywhere_leads_to_no_other_signer() {
    let text = &WHOLE.case.chain;
    let below: usize = WHOLE.pki.chain[..2].iter().map(|c: &Certificate| c.pem().len()).sum();
    for length in (0..text.len()).step_by(7) {
        let case = Case {
            chain: text[..length].to_vec(),
            ..WHOLE.case.clone()
        };
        assert_eq!(case.verdict().is_ok(), length >= below - 1, "{length}");
    }
}
