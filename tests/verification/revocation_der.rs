//! Staples with changed encoding: what it may contain besides what it must contain.

use eic_verify::{OcspParseError, RevocationProblem};
use emulator::{Pki, SignatureAlgorithm};

use crate::judge::{Case, LEAF, pki};

/// DER of one value: tag, length, contents.
fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).expect("a staple is short").to_be_bytes();
    match length {
        [0, short @ ..=0x7f] => [&[tag, short], contents].concat(),
        [0, long] => [&[tag, 0x81, long], contents].concat(),
        [high, low] => [&[tag, 0x82, high, low], contents].concat(),
    }
}

/// The tag of the first value, its contents, and what follows it.
fn first(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (tag, length, rest) = match der {
        [tag, length @ ..=0x7f, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x81, length, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x82, high, low, rest @ ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => panic!("a length that no staple has"),
    };
    (tag, &rest[..length], &rest[length..])
}

/// Each value in it, with its header.
fn values(mut contents: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !contents.is_empty() {
        let (tag, inside, rest) = first(contents);
        all.push(value(tag, inside));
        contents = rest;
    }
    all
}

/// This, with more bytes at the end of the contents of its last value's last value …, that many layers down.
fn lengthened(der: &[u8], layers: usize, more: &[u8]) -> Vec<u8> {
    let (tag, contents, _) = first(der);
    if layers == 0 {
        return value(tag, &[contents, more].concat());
    }
    let mut inside = values(contents);
    let last = inside.pop().expect("each layer holds something");
    inside.push(lengthened(&last, layers - 1, more));
    value(tag, &inside.concat())
}

/// The default case with this staple for the leaf.
fn stapled(pki: &Pki, der: &[u8]) -> Case {
    let mut case = Case::of(pki);
    case.staples[0] = emulator::base64_lines(der, None).into();
    case
}

/// The leaf's good staple with changed values in its tbsResponseData, signed again.
fn signed_anew(pki: &Pki, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Case {
    let staple = pki.staple(&pki.leaf).sign();
    let bytes = values(first(staple.der()).1).remove(1);
    let octets = values(first(first(&bytes).1).1).remove(1);
    let basic = values(first(first(&octets).1).1);
    let mut data = values(first(&basic[0]).1);
    change(&mut data);
    let data = value(0x30, &data.concat());
    let signature = pki.issuing_ca.key().sign(SignatureAlgorithm::RsaSha256, &data);
    let signature = value(0x03, &[&[0], signature.as_slice()].concat());
    let basic = value(0x30, &[data, basic[1].clone(), signature].concat());
    let octets = value(0x04, &basic);
    let oid = values(first(first(&bytes).1).1).remove(0);
    let bytes = value(0xa0, &value(0x30, &[oid, octets].concat()));
    stapled(pki, &value(0x30, &[&[0x0a, 1, 0][..], &bytes].concat()))
}

#[track_caller]
fn is_unreadable(case: &Case, why: OcspParseError) {
    case.is_refused_by_staple(LEAF, RevocationProblem::Missing { unparsed: Some(why) });
}

#[test]
fn a_staple_put_together_again_is_accepted() {
    let pki = pki();
    signed_anew(&pki, |_| {}).is_accepted();
    let staple = pki.staple(&pki.leaf).sign();
    let whole = lengthened(staple.der(), 4, &[]);
    assert_eq!(whole, staple.der());
    stapled(&pki, &whole).is_accepted();
}

#[test]
fn a_value_too_many_at_the_end_of_any_layer_is_refused() {
    let pki = pki();
    let staple = pki.staple(&pki.leaf).sign();
    // OCSPResponse, [0], ResponseBytes, OCTET STRING, BasicOCSPResponse.
    for layers in 0..5 {
        let case = stapled(&pki, &lengthened(staple.der(), layers, &[0x05, 0x00]));
        is_unreadable(&case, OcspParseError::TrailingBytes);
    }
}

#[test]
fn a_value_too_many_in_what_is_signed_is_refused() {
    let pki = pki();
    is_unreadable(
        &signed_anew(&pki, |data| data.push(vec![0x05, 0x00])),
        OcspParseError::TrailingBytes,
    );
    // At the end of the SEQUENCE OF: after its last SingleResponse.
    is_unreadable(
        &signed_anew(&pki, |data| data[2] = lengthened(&data[2], 1, &[0x05, 0x00])),
        OcspParseError::TrailingBytes,
    );
}

/// This, with more bytes at the end of the value at these positions, layer by layer.
fn lengthened_at(der: &[u8], positions: &[usize], more: &[u8]) -> Vec<u8> {
    let (tag, contents, _) = first(der);
    let Some((&position, below)) = positions.split_first() else {
        return value(tag, &[contents, more].concat());
    };
    let mut inside = values(contents);
    inside[position] = lengthened_at(&inside[position], below, more);
    value(tag, &inside.concat())
}

#[test]
fn a_value_too_many_anywhere_in_an_answer_is_refused() {
    let pki = pki();
    // The SingleResponse, its CertID, its nextUpdate.
    for positions in [&[0][..], &[0, 0], &[0, 3]] {
        let case = signed_anew(&pki, |data| data[2] = lengthened_at(&data[2], positions, &[0x05, 0x00]));
        is_unreadable(&case, OcspParseError::TrailingBytes);
    }
}

#[test]
fn a_value_too_many_in_a_responder_id_is_refused() {
    let pki = pki();
    let hash = value(0x04, &pki.issuing_ca.key().identifier());
    let by_key = |more: &[u8]| {
        let id = value(0xa2, &[&hash, more].concat());
        signed_anew(&pki, |data| data[0] = id)
    };
    by_key(&[]).is_accepted();
    is_unreadable(&by_key(&[0x05, 0x00]), OcspParseError::TrailingBytes);
    // By name: only the Name.
    let by_name = signed_anew(&pki, |data| data[0] = lengthened_at(&data[0], &[], &[0x05, 0x00]));
    is_unreadable(&by_name, OcspParseError::TrailingBytes);
}

#[test]
fn a_value_too_many_in_an_extension_is_refused() {
    let pki = pki();
    let extension = |more: &[u8]| {
        let inside = [&value(0x06, &[0x2a, 0x03]), &value(0x04, &[0x05, 0x00]), more].concat();
        let list = value(0xa1, &value(0x30, &value(0x30, &inside)));
        signed_anew(&pki, |data| data.push(list))
    };
    extension(&[]).is_accepted();
    is_unreadable(&extension(&[0x05, 0x00]), OcspParseError::TrailingBytes);
}

#[test]
fn the_version_may_be_written_out_but_there_is_only_one() {
    let pki = pki();
    let version = |number: u8| signed_anew(&pki, |data| data.insert(0, vec![0xa0, 3, 2, 1, number]));
    version(0).is_accepted();
    is_unreadable(&version(1), OcspParseError::Malformed);
}

#[test]
fn times_that_are_no_generalized_times_are_refused() {
    let pki = pki();
    let utc_time = [&[0x17, 13][..], b"250615150640Z"].concat();
    is_unreadable(&signed_anew(&pki, |data| data[1] = utc_time), OcspParseError::Malformed);
}

#[test]
fn a_signature_that_is_not_whole_bytes_is_refused() {
    let pki = pki();
    let staple = pki.staple(&pki.leaf).sign();
    let mut der = staple.der().to_vec();
    // 256 bytes of signature at the end, after the number of unused bits.
    let unused = der.len() - 257;
    assert_eq!(der[unused - 4..=unused], [0x03, 0x82, 0x01, 0x01, 0]);
    der[unused] = 1;
    is_unreadable(&stapled(&pki, &der), OcspParseError::Malformed);
}
