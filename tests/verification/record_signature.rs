//! A record's signature: RSASSA-PSS with a salt of 32 bytes, by the signer's key, over the bytes as received.

use eic_verify::RecordRejection;
use emulator::{Key, RecordSignature, RecordTemplate};

use crate::judge::{NOW, with};
use crate::login::{CALLER, INSTANCE, Login, REQUEST, key, record};

/// A good record's text changed after it was signed.
#[track_caller]
fn changed_afterwards(login: &Login, from: &str, to: &str) {
    let text = String::from_utf8(login.sign(&record(1)).bytes()).expect("a record is ASCII");
    assert_eq!(login.printed(text.as_bytes()), [key(1)]);
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text);
    assert_eq!(login.refusal(changed.as_bytes()), RecordRejection::Signature, "{to}");
}

#[test]
fn a_record_that_the_signer_signed_is_printed_with_its_caller_and_request() {
    let login = Login::new();
    let (keys, refused) = login.judge(&login.sign(&record(1)).bytes());
    assert_eq!(refused, []);
    let [verified] = keys.as_slice() else {
        panic!("{} keys", keys.len());
    };
    assert_eq!(verified.key().authorized_keys_line(), key(1));
    assert_eq!(verified.caller(), Some(CALLER.as_bytes()));
    assert_eq!(verified.request(), Some(REQUEST.as_bytes()));
}

#[test]
fn the_salt_is_exactly_32_bytes() {
    let login = Login::new();
    let salted = |length| RecordTemplate {
        signature: RecordSignature::Pss(length),
        ..record(1)
    };
    assert_eq!(login.printed(&login.sign(&salted(32)).bytes()), [key(1)]);
    for length in [0, 20, 31, 33, 64, 222] {
        assert_eq!(
            login.refusal(&login.sign(&salted(length)).bytes()),
            RecordRejection::Signature,
            "{length}"
        );
    }
}

#[test]
fn a_pkcs1_signature_is_refused() {
    let login = Login::new();
    let record = RecordTemplate {
        signature: RecordSignature::Pkcs1v15,
        ..record(1)
    };
    assert_eq!(login.refusal(&login.sign(&record).bytes()), RecordRejection::Signature);
}

#[test]
fn a_record_of_another_signer_is_refused_with_that_reason() {
    let login = Login::new();
    for other in ["somebody else", "issuing CA", "root"] {
        let refusal = login.refusal(&record(1).sign(&Key::cached(other)).bytes());
        assert_eq!(refusal, RecordRejection::Signature, "{other}");
        assert_eq!(refusal.to_string(), "record's signature is invalid");
    }
}

#[test]
fn a_signer_with_a_longer_key_signs_too() {
    let login = Login::with(with(|t| t.leaf.key = Key::cached_rsa("large leaf", 3072)));
    assert_eq!(login.printed(&login.sign(&record(1)).bytes()), [key(1)]);
}

#[test]
fn a_tampered_signature_is_refused() {
    let login = Login::new();
    let record = RecordTemplate {
        tamper_signature: true,
        ..record(1)
    };
    assert_eq!(login.refusal(&login.sign(&record).bytes()), RecordRejection::Signature);
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let login = Login::new();
    let record = login.sign(&record(1));
    for signature in ["AAAA", &emulator::base64_lines(&record.signature[1..], None)] {
        let blob = [&record.signed, signature.as_bytes()].concat();
        assert_eq!(login.refusal(&blob), RecordRejection::Signature);
    }
}

#[test]
fn one_byte_changed_in_any_signed_line_is_refused() {
    let login = Login::new();
    changed_afterwards(&login, "#Timestamp=1750000060", "#Timestamp=1750000061");
    changed_afterwards(&login, "/session\n", "/sessioN\n");
    changed_afterwards(&login, "#Request=1", "#Request=2");
    changed_afterwards(&login, "#Caller=", "#CalleR=");
    changed_afterwards(&login, &key(1), &key(2));
    changed_afterwards(&login, &key(1), &format!("{} ", key(1)));
    let mut elsewhere = Login::new();
    elsewhere.instance = INSTANCE.replace("f0", "f1");
    let text = String::from_utf8(elsewhere.sign(&record(1)).bytes()).expect("a record is ASCII");
    assert_eq!(
        elsewhere.refusal(text.replace("f0\n", "f1\n").as_bytes()),
        RecordRejection::Signature
    );
}

#[test]
fn headers_put_in_another_order_after_signing_are_refused() {
    let login = Login::new();
    let caller = format!("#Caller={CALLER}\n");
    let request = format!("#Request={REQUEST}\n");
    changed_afterwards(&login, &format!("{caller}{request}"), &format!("{request}{caller}"));
}

#[test]
fn headers_signed_in_any_order_are_accepted() {
    let login = Login::new();
    let mut template = record(1);
    template.headers.reverse();
    assert_eq!(login.printed(&login.sign(&template).bytes()), [key(1)]);
}

#[test]
fn an_unknown_header_is_part_of_what_is_signed() {
    let login = Login::new();
    let template = record(1).with("Later", "something").with("Later2", "more");
    let text = String::from_utf8(login.sign(&template).bytes()).expect("a record is ASCII");
    assert_eq!(login.printed(text.as_bytes()), [key(1)]);
    for changed in [
        text.replace("#Later=something\n", ""),
        text.replace("#Later=something\n", "#Later=something else\n"),
        text.replace("#Later2=more\n", "#Later2=more\n#Later3=x\n"),
    ] {
        assert_eq!(login.refusal(changed.as_bytes()), RecordRejection::Signature);
    }
}

#[test]
fn a_header_taken_out_after_signing_is_refused() {
    let login = Login::new();
    changed_afterwards(&login, &format!("#Caller={CALLER}\n"), "");
    changed_afterwards(&login, &format!("#Request={REQUEST}\n"), "");
}

#[test]
fn caller_and_request_may_be_missing() {
    let login = Login::new();
    let template = record(1).without("Caller").without("Request");
    let (keys, _) = login.judge(&login.sign(&template).bytes());
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].caller(), keys[0].request()), (None, None));
}

#[test]
fn the_signature_covers_the_key_line_as_received() {
    let login = Login::new();
    let (kind, base64) = key(1)
        .split_once(' ')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("two words");
    for line in [
        format!("{kind}  {base64}"),
        format!("{kind}\t{base64}\tsomebody's  key"),
        format!("  {kind} {base64} "),
        format!("{kind} {base64} s\u{e9}verin"),
    ] {
        let mut template = record(1);
        template.key_line = line.clone();
        let text = String::from_utf8(login.sign(&template).bytes()).expect("a record is UTF-8");
        assert_eq!(login.printed(text.as_bytes()), [key(1)], "{line}");
        // The same key, written in another way than it was signed.
        assert_eq!(
            login.refusal(text.replace(&line, &key(1)).as_bytes()),
            RecordRejection::Signature
        );
    }
}

#[test]
fn line_ends_changed_after_signing_are_refused() {
    let login = Login::new();
    let caller = format!("{CALLER}\n");
    changed_afterwards(&login, &caller, &format!("{CALLER}\r\n"));
}

#[test]
fn a_record_with_carriage_returns_throughout_is_refused() {
    let login = Login::new();
    let text = String::from_utf8(login.sign(&record(1)).bytes()).expect("a record is ASCII");
    let refusal = login.refusal(text.replace('\n', "\r\n").as_bytes());
    assert_eq!(refusal, RecordRejection::Timestamp(format!("{}\\x0d", NOW + 60)));
    // Even if the key line ends correctly, the rest is refused.
    let headers = text.replace("0\n#", "0\r\n#");
    assert_eq!(
        login.refusal(headers.as_bytes()),
        RecordRejection::Timestamp("1750000060\\x0d".into())
    );
}

#[test]
fn the_signature_may_be_wrapped_and_its_last_newline_missing() {
    let login = Login::new();
    for line_length in [None, Some(64), Some(76), Some(1)] {
        let template = RecordTemplate {
            line_length,
            ..record(1)
        };
        let bytes = login.sign(&template).bytes();
        assert_eq!(login.printed(&bytes), [key(1)]);
        assert_eq!(login.printed(bytes.strip_suffix(b"\n").expect("a newline")), [key(1)]);
    }
}

#[test]
fn a_signature_over_all_but_the_last_newline_is_refused() {
    let login = Login::new();
    let good = record(1).signed_bytes();
    let without_newline = good.strip_suffix(b"\n").expect("a newline").to_vec();
    let short = RecordTemplate {
        signed: Some(without_newline),
        ..record(1)
    };
    let signature = login.sign(&short).signature_base64();
    let blob = [good, signature.into_bytes()].concat();
    assert_eq!(login.refusal(&blob), RecordRejection::Signature);
}

#[test]
fn a_signature_of_one_record_is_none_of_another() {
    let login = Login::new();
    let (one, two) = (login.sign(&record(1)), login.sign(&record(2)));
    let blob = [&one.signed, two.signature_base64().as_bytes()].concat();
    assert_eq!(login.refusal(&blob), RecordRejection::Signature);
}

#[test]
fn bytes_put_before_a_record_are_part_of_what_is_signed() {
    let login = Login::new();
    let blob = [b"#Note=x\n".to_vec(), login.sign(&record(1)).bytes()].concat();
    assert_eq!(login.refusal(&blob), RecordRejection::Signature);
}

#[test]
fn a_second_key_line_is_no_part_of_the_record() {
    let login = Login::new();
    let record = login.sign(&record(1));
    let blob = [
        &record.signed,
        key(2).as_bytes(),
        b"\n",
        record.signature_base64().as_bytes(),
    ]
    .concat();
    assert_eq!(login.refusal(&blob), RecordRejection::SignatureNotBase64);
}
