//! Pushed records that are not valid: each refusal is logged in one line with its cause, and only a few lines are logged.

use std::thread;
use std::time::Duration;

use emulator::imds::{SIGNER_CERT, SIGNER_OCSP};
use emulator::record::blob;
use emulator::staple::Status;

use crate::harness::{Instance, USER, provided_none};
use crate::keys::{PublicKey, providing, querying, refused};

const SIGNER: &str = "managed-ssh-signer.us-west-2.amazonaws.com";

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

#[test]
fn a_revoked_signer_is_refused() {
    let instance = with_key();
    instance.emulator.with_imds(|imds| {
        let leaf = imds.pki.leaf.clone();
        let revoked = Status::Revoked(imds.pki.now - 3 * 3600 - 60);
        let staple = imds.pki.staple(&leaf).with_status(revoked).sign();
        imds.serve_staple(&leaf, &staple);
    });
    let why = format!("OCSP response for \"{SIGNER}\" reports that the certificate was revoked 3 h ago");
    instance.login(USER).run().refused(1, &provided_none(&why));
}

#[test]
fn a_revoked_issuer_is_refused_even_beside_its_good_staple() {
    let instance = with_key();
    instance.emulator.with_imds(|imds| {
        let issuing = imds.pki.issuing_ca.clone();
        let revoked = Status::Revoked(imds.pki.now - 3 * 3600 - 60);
        let staple = imds.pki.staple(&issuing).with_status(revoked).sign();
        imds.serve_staple_as("another", &staple);
    });
    let why = "OCSP response for \"Issuing CA\" reports that the certificate was revoked 3 h ago";
    instance.login(USER).run().refused(1, &provided_none(why));
}

#[test]
fn a_missing_staple_is_a_failure_that_names_the_certificate() {
    for (missing, name) in [(0, SIGNER), (1, "Issuing CA")] {
        let instance = with_key();
        instance.emulator.with_imds(|imds| {
            let certificate = imds.pki.chain[missing].clone();
            imds.remove_staple(&certificate);
        });
        let why = format!("OCSP response for \"{name}\" is missing");
        instance.login(USER).run().refused(1, &provided_none(&why));
    }
}

#[test]
fn a_stale_staple_is_a_failure_that_says_since_when() {
    let instance = with_key();
    instance.emulator.with_imds(|imds| {
        let leaf = imds.pki.leaf.clone();
        let mut stale = imds.pki.staple(&leaf);
        stale.single().this_update = imds.pki.now - 8 * 24 * 3600;
        stale.single().next_update = Some(imds.pki.now - 3 * 3600 - 60);
        let staple = stale.sign();
        imds.serve_staple(&leaf, &staple);
    });
    let why = format!("OCSP response for \"{SIGNER}\" expired 3 h ago");
    instance.login(USER).run().refused(1, &provided_none(&why));
}

#[test]
fn no_staples_at_all_are_a_failure() {
    let instance = with_key();
    instance.emulator.with_imds(|imds| imds.set(SIGNER_OCSP, ""));
    let why = format!("OCSP response for \"{SIGNER}\" is missing");
    instance.login(USER).run().refused(1, &provided_none(&why));
}

#[test]
fn a_signer_below_no_local_root_is_refused_even_where_imds_serves_that_root() {
    let instance = with_key();
    instance.emulator.change_pki(|pki| {
        pki.chain.push(pki.root.clone());
        pki.anchors = vec![pki.oldest_root.clone()];
        pki.chain
            .retain(|certificate| certificate.der() != pki.older_root_cross.der());
    });
    instance.renew_roots();
    let why = format!(
        "no CA in {} (150 certificates) issued the signer's chain (top: Root CA)",
        instance.files.roots.display()
    );
    instance.login(USER).run().refused(1, &provided_none(&why));
}

#[test]
fn a_trust_store_that_is_not_there_is_a_failure_that_names_it() {
    let instance = with_key();
    let nowhere = instance.folder.path().join("nowhere.pem");
    let outcome = instance.login(USER).option("--trust-store", &nowhere).run();
    let why = format!(
        "cannot read trust store {}: No such file or directory (os error 2)",
        nowhere.display()
    );
    outcome.refused(1, &provided_none(&why));
}

#[test]
fn a_bad_record_never_spoils_the_good_one_beside_it() {
    let (good, bad) = (PublicKey::ed25519(1), PublicKey::ed25519(2));
    for bad_first in [true, false] {
        let instance = Instance::start();
        let request = "1234abcd-12ab-34cd-56ef-1234567890ab";
        instance.emulator.with_imds(|imds| {
            let caller = "arn:aws:sts::123412341234:assumed-role/Developer/session";
            let record = imds
                .record(&good.line())
                .with("Caller", caller)
                .with("Request", request);
            let mut tampered = imds.record(&bad.line());
            tampered.tamper_signature = true;
            let records = if bad_first {
                [&tampered, &record]
            } else {
                [&record, &tampered]
            };
            for record in records {
                imds.publish(USER, record);
            }
        });
        let said = providing(&good, request) + &refused(&bad, "record's signature is invalid\n");
        instance.login(USER).run().is(0, &good.printed(), &said);
    }
}

/// What is wrong with a record (except its key), and the message.
const MALFORMED: [(&str, &str); 4] = [
    (
        "#Timestamp=1\n#Timestamp=2\n#Instance=i-1\n",
        "record has more than one Timestamp",
    ),
    (
        "#Timestamp=soon\n#Instance=i-1\n",
        "record's Timestamp is not a number: \"soon\"",
    ),
    ("#Instance=i-1\n", "record has no Timestamp"),
    ("#Timestamp=1\n", "record has no Instance"),
];

/// A blob of that malformed record and a good one, for that key.
fn beside_a_malformed_record(headers: &str, bad: &PublicKey, good: &PublicKey) -> Instance {
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&good.line()).sign(imds.pki.leaf.key());
        let mut body = format!("{headers}{}\nc2ln\n\n", bad.line()).into_bytes();
        body.extend(blob([&record]));
        imds.publish_raw(USER, body);
    });
    instance
}

#[test]
fn a_malformed_record_is_refused_by_name_and_never_spoils_the_good_one_beside_it() {
    let (good, bad) = (PublicKey::ed25519(1), PublicKey::ed25519(2));
    for (headers, why) in MALFORMED {
        let outcome = beside_a_malformed_record(headers, &bad, &good).login(USER).run();
        assert_eq!(outcome.printed(), good.printed());
        assert_eq!(outcome.said().lines().last(), Some(refused(&bad, why).as_str()));
        assert_eq!(outcome.status.code(), Some(0));
    }
}

#[test]
fn a_malformed_record_for_another_key_than_the_one_offered_is_no_refusal() {
    let (good, bad) = (PublicKey::ed25519(1), PublicKey::ed25519(2));
    for (headers, _) in MALFORMED {
        let instance = beside_a_malformed_record(headers, &bad, &good);
        let outcome = instance.login(USER).offering(good.fingerprint()).run();
        assert_eq!(outcome.printed(), good.printed());
        assert!(!outcome.said().contains("Refused"), "{outcome:?}");
    }
}

#[test]
fn a_record_that_breaks_off_never_spoils_the_good_one_beside_it() {
    let (good, bad) = (PublicKey::ed25519(1), PublicKey::ed25519(2));
    let headers = "#Timestamp=1\n#Instance=i-1\n";
    for (broken, why) in [
        (
            headers.to_owned(),
            format!("Refused an ssh key for user {USER}: record ends before its key"),
        ),
        (
            format!("{headers}{}\n", bad.line()),
            refused(&bad, "record ends before its signature"),
        ),
    ] {
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| {
            let record = imds.record(&good.line()).sign(imds.pki.leaf.key());
            let body = [format!("{broken}\n").into_bytes(), blob([&record])].concat();
            imds.publish_raw(USER, body);
        });
        let outcome = instance.login(USER).run();
        assert_eq!(outcome.printed(), good.printed());
        assert_eq!(outcome.said().lines().last(), Some(why.as_str()));
        assert_eq!(outcome.status.code(), Some(0));
    }
}

#[test]
fn every_record_refused_is_no_failure_of_the_call() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let mut record = imds.record(&key.line());
        record.tamper_signature = true;
        imds.publish(USER, &record);
    });
    let outcome = instance.login(USER).offering(key.fingerprint()).run();
    let said = querying(&key.fingerprint()) + &refused(&key, "record's signature is invalid\n");
    outcome.is(0, "", &said);
}

#[test]
fn a_record_that_expires_while_it_is_verified_is_refused() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    // Expiry counts in whole seconds: start at the beginning of one.
    let before = emulator::now();
    while emulator::now() == before {
        thread::sleep(Duration::from_millis(1));
    }
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&key.line()).with("Timestamp", &(before + 3).to_string());
        imds.publish(USER, &record);
    });
    // It is valid when it is read, after 1.2 s, but no longer when the staples have arrived, after 2.4 s.
    instance.emulator.set_latency(Duration::from_millis(600));
    let outcome = instance.login(USER).run();
    assert!(instance.requests() > 2);
    let accepted = [0, 1, 2].map(|ago| refused(&key, &format!("record expired {ago} s ago\n")));
    assert!(accepted.iter().any(|said| said == outcome.said()), "{}", outcome.said());
    outcome.is(0, "", outcome.said());
}

#[test]
fn eight_refusals_are_told_and_the_others_are_counted() {
    for (count, more) in [(8, None), (9, Some(1)), (30, Some(22))] {
        let instance = Instance::start();
        let keys: Vec<_> = (0..count).map(PublicKey::ed25519).collect();
        instance.emulator.with_imds(|imds| {
            for key in &keys {
                let record = imds.record(&key.line()).with("Instance", "i-0fedcba9876543210");
                imds.publish(USER, &record);
            }
        });
        let why = "record is for instance i-0fedcba9876543210, but this is i-0123456789abcdef0\n";
        let told: String = keys.iter().take(8).map(|key| refused(key, why)).collect();
        let counted = more.map(|more| format!("Refused {more} more of the ssh keys for user {USER}\n"));
        instance
            .login(USER)
            .run()
            .is(0, "", &(told + &counted.unwrap_or_default()));
    }
}

#[test]
fn records_after_the_first_4096_are_passed_over_with_a_word() {
    let instance = Instance::start();
    let key = PublicKey::ed25519(1);
    let junk = "#Instance=i-1\nssh-rsa AAAA\nc2ln\n\n";
    let good = instance
        .emulator
        .with_imds(|imds| blob([&imds.record(&key.line()).sign(imds.pki.leaf.key())]));
    for (count, printed) in [(4095, key.printed()), (4096, String::new())] {
        let body = [junk.repeat(count).into_bytes(), good.clone()].concat();
        instance.emulator.with_imds(|imds| imds.publish_raw(USER, body));
        let outcome = instance.login(USER).run();
        assert_eq!(outcome.printed(), printed);
        assert_eq!(outcome.status.code(), Some(0));
        let told = format!(
            "Did not check {} of the records for user {USER}: there are too many for one login\n",
            count + 1 - 256 - usize::from(!printed.is_empty())
        );
        assert!(outcome.said().contains(&told), "{outcome:?}");
        assert!(outcome.said().lines().count() <= 11, "{outcome:?}");
    }
}

#[test]
fn pushes_of_other_keys_for_the_same_user_crowd_nobody_out() {
    let instance = Instance::start();
    let key = PublicKey::ed25519(1);
    let other = PublicKey::rsa(4096);
    instance.emulator.with_imds(|imds| {
        let signing = imds.pki.leaf.key().clone();
        let sign = |line: &str| imds.record(line).sign(&signing);
        let (mine, other) = (sign(&key.line()), sign(&other.line()));
        let pushed = [vec![&other; 600], vec![&mine], vec![&other; 600]].concat();
        imds.publish_raw(USER, blob(pushed));
    });
    let outcome = instance.login(USER).offering(key.fingerprint()).run();
    assert_eq!(outcome.printed(), key.printed());
    assert!(
        !outcome.said().contains("Refused") && !outcome.said().contains("Did not check"),
        "{outcome:?}"
    );
}

#[test]
fn more_than_16_certificates_are_refused_and_16_are_not() {
    for count in [16, 17] {
        let instance = with_key();
        instance.emulator.with_imds(|imds| {
            let padding = imds.pki.oldest_root.pem().repeat(count - imds.pki.chain.len());
            let chain = imds.pki.chain_pem() + &padding;
            imds.set(SIGNER_CERT, chain);
        });
        let outcome = instance.login(USER).run();
        if count == 16 {
            assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed());
        } else {
            outcome.refused(1, &provided_none("IMDS returned more than 16 signer certificates"));
        }
    }
}

#[test]
fn more_than_16_staples_are_refused_before_any_is_asked_and_16_are_not() {
    for count in [16, 17] {
        let instance = with_key();
        instance.emulator.with_imds(|imds| {
            for number in imds.pki.chain.len()..count {
                imds.set(&format!("{SIGNER_OCSP}junk-{number}"), "bm90aGluZw==");
            }
        });
        let outcome = instance.login(USER).run();
        let asked = |path: &String| path.contains("signer-ocsp/") && !path.ends_with("signer-ocsp/");
        let asked = instance.emulator.imds_paths().into_iter().filter(asked).count();
        if count == 16 {
            assert_eq!(outcome.printed(), PublicKey::ed25519(1).printed());
            assert_eq!(asked, 16);
        } else {
            outcome.refused(1, &provided_none("IMDS lists more than 16 stapled OCSP responses"));
            assert_eq!(asked, 0);
        }
        assert!(
            instance.emulator.connections() <= 5,
            "{}",
            instance.emulator.connections()
        );
    }
}

#[test]
fn a_record_with_a_line_too_long_is_refused() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    let long = "x".repeat(8 * 1024);
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&format!("{} {long}", key.line()));
        imds.publish(USER, &record);
        let record = imds.record(&key.line()).with("Comment", &long);
        imds.publish(USER, &record);
    });
    let why = "record has a line longer than 8192 bytes\n";
    // A key line of this length is not read.
    let said = format!("Refused an ssh key for user {USER}: {why}") + &refused(&key, why);
    instance.login(USER).run().is(0, "", &said);
}
