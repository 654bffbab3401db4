//! The contents of a record: the instance, the expiry time, the key. No record affects another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eic_verify::{BlobError, FingerprintFilter, InstanceId, KeyBlob, Limits, PublicKeyError, RecordRejection};
use emulator::record::blob;
use emulator::{Key, Record, RecordTemplate};

use crate::judge::{NOW, span};
use crate::login::{INSTANCE, Login, fingerprint, key, lines, record};

/// A signed record with this key line.
fn keyed(login: &Login, line: &str) -> Vec<u8> {
    let mut template = record(1);
    template.key_line = line.to_owned();
    login.sign(&template).bytes()
}

fn this_instance() -> InstanceId {
    InstanceId::parse(INSTANCE.as_bytes()).expect("an instance id")
}

fn now() -> u64 {
    u64::try_from(NOW).expect("a time after 1970")
}

fn expiring(at: i64) -> RecordTemplate {
    record(1).with("Timestamp", &at.to_string())
}

fn other_instance(record: &str, here: &str) -> RecordRejection {
    RecordRejection::OtherInstance {
        record: record.to_owned(),
        here: here.to_owned(),
    }
}

/// Records that lead to no key, each for a different reason.
fn bad_records(login: &Login) -> Vec<Record> {
    let mut dss = record(9);
    dss.key_line = "ssh-dss AAAA".into();
    let mut keyless = record(9);
    keyless.key_line = "#Nothing=more".into();
    [
        record(9).with("Instance", "i-0123456789abcdef1"),
        record(9).with("Timestamp", "1"),
        record(9).with("Timestamp", "soon"),
        record(9).without("Instance"),
        dss,
        keyless,
        RecordTemplate {
            signing_key: Some(Key::cached("somebody else")),
            ..record(9)
        },
        RecordTemplate {
            tamper_signature: true,
            ..record(9)
        },
    ]
    .iter()
    .map(|template| login.sign(template))
    .collect()
}

#[test]
fn one_bad_record_never_spoils_the_next_or_the_one_before() {
    let login = Login::new();
    let (one, two) = (login.sign(&record(1)), login.sign(&record(2)));
    for bad in bad_records(&login) {
        for records in [[&bad, &one, &two], [&one, &bad, &two], [&one, &two, &bad]] {
            let (keys, refused) = login.judge(&blob(records));
            assert_eq!(lines(&keys), [key(1), key(2)]);
            assert_eq!(refused.len(), 1);
        }
    }
}

#[test]
fn all_bad_records_are_refused_and_none_is_printed() {
    let login = Login::new();
    let bad = bad_records(&login);
    let (keys, refused) = login.judge(&blob(&bad));
    assert_eq!(lines(&keys), [""; 0]);
    assert_eq!(refused.len(), bad.len());
}

#[test]
fn text_that_is_no_record_is_skipped_up_to_the_next_blank_line() {
    let login = Login::new();
    let good = login.sign(&record(1)).bytes();
    let stray = [&b"junk\n"[..], &good, b"\n", &good].concat();
    assert_eq!(login.printed(&stray), [key(1)]);
    // A bare key without a record is never printed.
    let bare = format!("{}\n\n", key(2)).into_bytes();
    assert_eq!(login.printed(&[bare.clone(), good].concat()), [key(1)]);
    assert!(matches!(login.try_judge(&bare), Err(BlobError::NoRecord(_))));
}

#[test]
fn blank_lines_in_any_number_stand_between_records() {
    let login = Login::new();
    let (one, two) = (login.sign(&record(1)).bytes(), login.sign(&record(2)).bytes());
    let blob = [&b"\n\n"[..], &one, b"\n\n\n", &two, b"\n\n"].concat();
    assert_eq!(login.printed(&blob), [key(1), key(2)]);
}

#[test]
fn two_records_without_a_blank_line_between_them_are_one_that_is_refused() {
    let login = Login::new();
    let (one, two) = (login.sign(&record(1)).bytes(), login.sign(&record(2)).bytes());
    assert_eq!(login.refusal(&[one, two].concat()), RecordRejection::SignatureNotBase64);
}

#[test]
fn a_blank_line_within_a_record_breaks_it() {
    let login = Login::new();
    let text = String::from_utf8(login.sign(&record(1)).bytes()).expect("a record is ASCII");
    let broken = text.replacen("\nssh-", "\n\nssh-", 1);
    assert_eq!(login.refusal(broken.as_bytes()), RecordRejection::NoKey);
}

#[test]
fn a_record_for_another_instance_is_refused() {
    let login = Login::new();
    let refused = |instance: &str| login.refusal(&login.sign(&record(1).with("Instance", instance)).bytes());
    let reason = refused("i-0123456789abcdef1");
    assert_eq!(reason, other_instance("i-0123456789abcdef1", INSTANCE));
    assert_eq!(
        reason.to_string(),
        "record is for instance i-0123456789abcdef1, but this is i-0123456789abcdef0"
    );
    for near in [
        "",
        "i-0123456789abcdef",
        "i-0123456789abcdef00",
        "I-0123456789ABCDEF0",
        " i-0123456789abcdef0",
    ] {
        assert_eq!(refused(near), other_instance(near, INSTANCE));
    }
}

#[test]
fn a_record_holds_until_the_second_before_its_timestamp() {
    let login = Login::new();
    let refused = |at| login.refusal(&login.sign(&expiring(at)).bytes());
    assert_eq!(login.printed(&login.sign(&expiring(NOW + 1)).bytes()), [key(1)]);
    assert_eq!(refused(NOW), RecordRejection::Expired(span(0)));
    assert_eq!(refused(NOW - 1), RecordRejection::Expired(span(1)));
    assert_eq!(refused(NOW - 12).to_string(), "record expired 12 s ago");
}

#[test]
fn a_record_that_ends_behind_its_key_is_refused() {
    let login = Login::new();
    assert_eq!(
        login.refusal(&login.sign(&record(1)).signed),
        RecordRejection::NoSignature
    );
}

#[test]
fn a_record_that_cannot_hold_is_refused_before_any_signer_is_needed() {
    let login = Login::new();
    for template in [expiring(NOW), record(1).with("Instance", "i-0123456789abcdef1")] {
        let blob = login.sign(&template).bytes();
        let candidates = KeyBlob::new(&blob)
            .select_candidates(&FingerprintFilter::Any, &this_instance(), now(), &Limits::default())
            .expect("a key blob");
        assert!(candidates.records.is_empty());
        assert_eq!(candidates.refused.len(), 1);
    }
}

#[test]
fn a_record_that_expires_after_it_was_selected_is_refused() {
    let login = Login::new();
    let (instance, now) = (this_instance(), now());
    let other = InstanceId::parse(b"i-0123456789abcdef1").expect("an instance id");
    let blob = login.sign(&expiring(NOW + 60)).bytes();
    let candidate = || {
        let candidates = KeyBlob::new(&blob)
            .select_candidates(&FingerprintFilter::Any, &instance, now, &Limits::default())
            .expect("a key blob");
        candidates.records.into_iter().next().expect("a candidate")
    };
    assert!(candidate().verify(&login.signer, &instance, now + 59).is_ok());
    let refusal = candidate()
        .verify(&login.signer, &instance, now + 60)
        .expect_err("it expired");
    assert_eq!(refusal.reason, RecordRejection::Expired(span(0)));
    assert_eq!(refusal.fingerprint, Some(fingerprint(&key(1))));
    let refusal = candidate()
        .verify(&login.signer, &other, now)
        .expect_err("another instance");
    assert_eq!(refusal.reason, other_instance(INSTANCE, "i-0123456789abcdef1"));
}

#[test]
fn a_timestamp_is_plain_decimal_of_at_most_18_digits() {
    let login = Login::new();
    let stamped = |text: &str| login.sign(&record(1).with("Timestamp", text)).bytes();
    for far in ["999999999999999999", "00001750000060"] {
        assert_eq!(login.printed(&stamped(far)), [key(1)], "{far}");
    }
    for long in [
        "1000000000000000000",
        "0000000001750000060",
        "99999999999999999999999999",
    ] {
        let refusal = login.refusal(&stamped(long));
        assert_eq!(refusal, RecordRejection::TimestampDigits(long.len()));
        assert_eq!(
            refusal.to_string(),
            format!("record's Timestamp has {} digits, more than 18", long.len())
        );
    }
    for no_number in ["", "-1", "+1750000060", "1750000060 ", "1.75e9", "0x684ee2bc"] {
        assert_eq!(
            login.refusal(&stamped(no_number)),
            RecordRejection::Timestamp(no_number.into())
        );
    }
}

#[test]
fn a_known_header_that_stands_twice_is_refused() {
    let login = Login::new();
    for name in ["Timestamp", "Instance", "Caller", "Request"] {
        let mut template = record(1);
        let twin = template
            .headers
            .iter()
            .find(|header| header.starts_with(&format!("#{name}=")))
            .expect("it has all four")
            .clone();
        template.headers.push(twin);
        let refusal = login.refusal(&login.sign(&template).bytes());
        assert_eq!(refusal, RecordRejection::Duplicate(name));
        assert_eq!(refusal.to_string(), format!("record has more than one {name}"));
    }
}

#[test]
fn a_record_without_timestamp_or_instance_is_refused() {
    let login = Login::new();
    for name in ["Timestamp", "Instance"] {
        let refusal = login.refusal(&login.sign(&record(1).without(name)).bytes());
        assert_eq!(refusal, RecordRejection::Missing(name));
    }
}

#[test]
fn a_record_for_another_fingerprint_is_neither_printed_nor_refused() {
    let mut login = Login::new();
    let blob = blob(&[login.sign(&record(1)), login.sign(&record(2))]);
    login.fingerprint = Some(fingerprint(&key(2)));
    assert_eq!(login.printed(&blob), [key(2)]);
    login.fingerprint = Some(fingerprint(&key(3)));
    assert_eq!(login.printed(&blob), [""; 0]);
}

#[test]
fn a_bad_record_for_another_fingerprint_is_no_refusal_either() {
    let mut login = Login::new();
    let mut twice = record(1);
    twice.headers.push("#Caller=somebody else".into());
    let bad = [
        record(1).with("Instance", "i-0123456789abcdef1"),
        expiring(NOW - 1),
        record(1).with("Timestamp", "soon"),
        record(1).without("Instance"),
        twice,
        RecordTemplate {
            tamper_signature: true,
            ..record(1)
        },
    ]
    .map(|template| login.sign(&template));
    let cut = login.sign(&record(1)).signed;
    let good = login.sign(&record(2)).bytes();
    let blob = [&blob(&bad), &b"\n"[..], &cut, b"\n", &good].concat();
    login.fingerprint = Some(fingerprint(&key(2)));
    assert_eq!(login.printed(&blob), [key(2)]);
    // They are, if that key is offered, and each refusal names it.
    login.fingerprint = Some(fingerprint(&key(1)));
    let (keys, refused) = login.judge(&blob);
    assert_eq!(lines(&keys), [""; 0]);
    assert_eq!(refused.len(), bad.len() + 1);
    assert!(refused.iter().all(|refusal| refusal.fingerprint == login.fingerprint));
}

#[test]
fn a_fingerprint_of_another_form_is_no_filter() {
    let mut login = Login::new();
    let blob = blob(&[login.sign(&record(1)), login.sign(&record(2))]);
    for other in [
        "MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff",
        "SHA512:abc",
        "",
        "sha256:abc",
    ] {
        login.fingerprint = Some(other.into());
        assert_eq!(login.printed(&blob), [key(1), key(2)], "{other}");
    }
}

#[test]
fn a_fingerprint_that_is_cut_or_padded_is_of_no_key() {
    let mut login = Login::new();
    let blob = login.sign(&record(1)).bytes();
    let whole = fingerprint(&key(1));
    for near in [&whole[..whole.len() - 1], &format!("{whole}="), "SHA256:"] {
        login.fingerprint = Some(near.to_owned());
        assert_eq!(login.printed(&blob), [""; 0]);
    }
}

#[test]
fn what_is_printed_is_the_key_alone_encoded_anew() {
    let login = Login::new();
    let commented = format!("{}\tsomebody's  key", key(1).replace(' ', "  "));
    assert_eq!(login.printed(&keyed(&login, &commented)), [key(1)]);
}

#[test]
fn options_certificates_and_dss_keys_are_refused_though_the_signer_signed_them() {
    let login = Login::new();
    for (line, kind) in [
        (format!("command=\"/bin/sh\" {}", key(1)), "command=\\x22/bin/sh\\x22"),
        ("ssh-dss AAAAB3NzaC1kc3M=".to_owned(), "ssh-dss"),
        (
            "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
            "ssh-ed25519-cert-v01@openssh.com",
        ),
        (String::from("cert-authority ssh-ed25519"), "cert-authority"),
    ] {
        let refusal = login.refusal(&keyed(&login, &line));
        assert_eq!(refusal, RecordRejection::Key(PublicKeyError::Type(kind.into())));
    }
}

#[test]
fn a_key_of_another_kind_than_its_line_says_is_refused() {
    let login = Login::new();
    let line = key(1).replace("ssh-ed25519", "ssh-rsa");
    let reason = PublicKeyError::OtherType {
        line: "ssh-rsa",
        key: "ssh-ed25519".into(),
    };
    assert_eq!(login.refusal(&keyed(&login, &line)), RecordRejection::Key(reason));
}

/// An SSH wire string (RFC 4251 section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

/// An RSA key of so many whole bytes, as a key line.
fn rsa(bytes: usize) -> String {
    let modulus = [vec![0], vec![0xff; bytes]].concat();
    let blob = [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat();
    format!("ssh-rsa {}", STANDARD.encode(blob))
}

#[test]
fn rsa_keys_of_2048_to_16384_bits_are_printed_and_others_refused() {
    let login = Login::new();
    for bytes in [256, 512, 2048] {
        assert_eq!(login.printed(&keyed(&login, &rsa(bytes))), [rsa(bytes)]);
    }
    for bytes in [128, 255, 2049] {
        assert_eq!(
            login.refusal(&keyed(&login, &rsa(bytes))),
            RecordRejection::Key(PublicKeyError::RsaBits(bytes * 8))
        );
    }
}

#[test]
fn a_key_with_bytes_behind_it_is_refused() {
    let login = Login::new();
    let blob = [string(b"ssh-ed25519"), string(&[7; 32]), vec![0]].concat();
    let refusal = login.refusal(&keyed(&login, &format!("ssh-ed25519 {}", STANDARD.encode(blob))));
    assert!(
        matches!(refusal, RecordRejection::Key(PublicKeyError::Malformed(_))),
        "{refusal:?}"
    );
}

#[test]
fn a_key_whose_number_is_encoded_longer_than_it_is_is_refused() {
    // RFC 4251 section 5: no unnecessary leading zeros.
    let login = Login::new();
    let modulus = [vec![0, 0], vec![0xff; 256]].concat();
    let blob = [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat();
    let refusal = login.refusal(&keyed(&login, &format!("ssh-rsa {}", STANDARD.encode(blob))));
    assert!(
        matches!(refusal, RecordRejection::Key(PublicKeyError::Malformed(_))),
        "{refusal:?}"
    );
}

#[test]
fn a_line_longer_than_the_limit_is_refused() {
    let login = Login::new();
    let padded = |length: usize| {
        let mut template = record(1);
        template.headers.push(format!("#Pad={}", "x".repeat(length - 6)));
        login.sign(&template).bytes()
    };
    assert_eq!(login.printed(&padded(8 * 1024)), [key(1)]);
    assert_eq!(
        login.refusal(&padded(8 * 1024 + 1)),
        RecordRejection::LongLine(8 * 1024)
    );
}

#[test]
fn a_key_line_that_ends_in_a_carriage_return_is_printed_without_it() {
    let login = Login::new();
    // The signature covers these bytes, which are those that were received.
    for line in [format!("{}\r", key(1)), format!("{} comment\r", key(1))] {
        assert_eq!(login.printed(&keyed(&login, &line)), [key(1)]);
    }
    let unsigned = String::from_utf8(keyed(&login, &key(1))).expect("a record is ASCII");
    let added = unsigned.replace(&key(1), &format!("{}\r", key(1)));
    assert_eq!(login.refusal(added.as_bytes()), RecordRejection::Signature);
    let within = key(1).replacen('A', "\r", 1);
    assert_eq!(
        login.refusal(&keyed(&login, &within)),
        RecordRejection::Key(PublicKeyError::Base64)
    );
}

#[test]
fn records_of_other_keys_crowd_none_out() {
    let mut login = Login::new();
    let (mine, other) = (login.sign(&record(1)), login.sign(&record(2)));
    login.fingerprint = Some(fingerprint(&key(1)));
    for records in [
        [vec![&other; 1000], vec![&mine]].concat(),
        [vec![&mine], vec![&other; 1000]].concat(),
    ] {
        let (keys, refused) = login.judge(&blob(records));
        assert_eq!(lines(&keys), [key(1)]);
        assert_eq!(refused, []);
    }
}

#[test]
fn bad_records_of_the_same_key_crowd_no_good_one_out() {
    let login = Login::new();
    let (good, bad) = (login.sign(&record(1)), login.sign(&record(1).with("Timestamp", "1")));
    let records = [vec![&bad; 1000], vec![&good]].concat();
    assert_eq!(counts(&blob(records)), (1, 256, 744));
}

/// The numbers of candidates, refusals and skipped records.
/// How many records of the blob are selected, refused and ignored.
fn counts(blob: &[u8]) -> (usize, usize, usize) {
    let candidates = KeyBlob::new(blob)
        .select_candidates(&FingerprintFilter::Any, &this_instance(), now(), &Limits::default())
        .expect("a key blob");
    (candidates.records.len(), candidates.refused.len(), candidates.skipped)
}

#[test]
fn of_more_records_than_are_judged_those_that_expire_last_are() {
    let login = Login::new();
    let early = login.sign(&expiring(NOW + 10));
    let late = login.sign(&record(2).with("Timestamp", &(NOW + 60).to_string()));
    assert_eq!(counts(&blob(vec![&early; 256])), (256, 0, 0));
    for records in [
        [vec![&early; 300], vec![&late]].concat(),
        [vec![&late], vec![&early; 300]].concat(),
    ] {
        let blob = blob(records);
        assert_eq!(counts(&blob), (256, 0, 45));
        assert!(login.printed(&blob).contains(&key(2)));
    }
}

#[test]
fn more_records_than_the_service_can_make_are_not_even_read() {
    let login = Login::new();
    let good = login.sign(&record(1)).bytes();
    let tiny = "#\n\n".repeat(4095).into_bytes();
    assert_eq!(counts(&[&tiny[..], &good].concat()), (1, 256, 4095 - 256));
    let tiny = "#\n\n".repeat(4096).into_bytes();
    assert_eq!(counts(&[&tiny[..], &good].concat()), (0, 256, 4097 - 256));
}

#[test]
fn two_hundred_and_fifty_six_of_the_longest_records_fit_into_the_limit() {
    let login = Login::new();
    // The signature of a signer of 4096 bits, in lines of 64.
    let mut longest = record(1).with("Caller", &"a".repeat(2048));
    longest.key_line = format!("{} {}", key(1), "c".repeat(4096 - key(1).len() - 1));
    assert_eq!(longest.key_line.len(), 4096);
    let wrapped = 684 + 684 / 64 - 344;
    let length = login.sign(&longest).bytes().len() + wrapped + "\n".len();
    assert!(256 * length <= Limits::default().blob_bytes, "{length}");
    assert_eq!(counts(&blob(vec![&login.sign(&longest); 256])).0, 256);
}
