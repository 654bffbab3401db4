//! Answers that are valid HTTP with hostile contents: names, floods, invalid tokens.

use emulator::imds::{SIGNER_CERT, SIGNER_OCSP, TOKEN};
use emulator::{Fault, Options};

use crate::harness::{HOSTILE_KIB, Instance, REQUESTS_AT_MOST, USER, provided_none};
use crate::keys::PublicKey;

/// Runs a login that must print no key, with few bytes and requests, and log this cause.
#[track_caller]
fn comes_to_nothing(instance: &Instance, why: &str) {
    let outcome = instance.login(USER).measured().run();
    outcome.refused(1, &provided_none(why));
    assert!(outcome.peak_kib.is_some_and(|kib| kib < HOSTILE_KIB), "{outcome:?}");
    assert!(instance.requests() <= REQUESTS_AT_MOST);
}

fn with_key() -> Instance {
    Instance::with_key(&PublicKey::ed25519(1).line()).0
}

#[test]
fn a_token_that_is_not_one_word_never_becomes_a_header() {
    for token in [
        &b""[..],
        b"two words",
        b"line\n",
        b"line\r\nX-Injected: yes",
        b"\0",
        b"caf\xc3\xa9",
        b"\x1b[31m",
        b"tab\tbed",
    ] {
        let instance = with_key();
        instance.emulator.fault(TOKEN, Fault::Body(token.to_vec()));
        comes_to_nothing(&instance, "IMDS returned an invalid token");
        assert_eq!(instance.requests(), 1);
    }
}

#[test]
fn a_token_of_more_than_1024_bytes_is_refused_and_one_of_1024_is_sent() {
    for (length, requests) in [(1024, 6), (1025, 1)] {
        let instance = with_key();
        instance.emulator.fault(TOKEN, Fault::Body(vec![b'A'; length]));
        let outcome = instance.login(USER).run();
        assert_eq!(outcome.status.code(), Some(1));
        assert_eq!(instance.requests(), requests, "{:?}", instance.emulator.imds_paths());
    }
}

#[test]
fn a_staple_name_that_is_no_single_plain_word_is_never_asked_for_and_does_no_harm_to_the_others() {
    for name in [
        "../../etc/passwd",
        "..",
        ".",
        ".hidden",
        "a/b",
        "a%2fb",
        "a?b",
        "a#b",
        "a b",
        "a\tb",
        "a\r",
        "a\\b",
        "http://example.com/",
        "@example.com",
        "\u{1b}[2J",
        "\u{e9}",
    ] {
        let key = PublicKey::ed25519(1);
        let (instance, _) = Instance::with_key(&key.line());
        let names: Vec<_> = instance.emulator.pki().chain.iter().map(|c| c.sha1()).collect();
        let listing = format!("{name}\n{}\n{name}\n", names.join("\n"));
        instance.emulator.with_imds(|imds| imds.set(SIGNER_OCSP, listing));
        assert_eq!(instance.login(USER).run().printed(), key.printed(), "{name}");
        let paths = instance.emulator.imds_paths();
        assert_eq!(paths.len(), 7 + names.len(), "{paths:?}");
        let staples = paths
            .iter()
            .filter_map(|path| path.rsplit_once(SIGNER_OCSP))
            .map(|(_, name)| name);
        let asked: Vec<_> = staples.filter(|name| !name.is_empty()).collect();
        assert!(
            asked.iter().all(|asked| names.iter().any(|name| name == asked)),
            "{asked:?}"
        );
    }
}

#[test]
fn a_staple_name_of_more_than_128_bytes_is_passed_over_and_one_of_128_is_asked_for() {
    for length in [128, 129] {
        let key = PublicKey::ed25519(1);
        let (instance, _) = Instance::with_key(&key.line());
        let name = "a".repeat(length);
        instance
            .emulator
            .with_imds(|imds| imds.set(&format!("{SIGNER_OCSP}{name}"), "junk"));
        assert_eq!(instance.login(USER).run().printed(), key.printed());
        let asked = instance.emulator.imds_paths().iter().any(|path| path.ends_with(&name));
        assert_eq!(asked, length == 128);
    }
}

#[test]
fn ten_thousand_staple_names_are_not_even_read() {
    for name in ["A\n", "0123456789ABCDEF0123456789ABCDEF01234567\n"] {
        let instance = with_key();
        let listing = name.repeat(10_000);
        instance.emulator.with_imds(|imds| imds.set(SIGNER_OCSP, listing));
        let why = "IMDS returned more than 4096 bytes for /latest/meta-data/managed-ssh-keys/signer-ocsp/";
        comes_to_nothing(&instance, why);
        assert_eq!(instance.requests(), 7);
    }
}

#[test]
fn a_thousand_certificates_are_not_even_read() {
    let instance = with_key();
    let certificates = instance.emulator.pki().issuing_ca.pem().repeat(1000);
    instance.emulator.with_imds(|imds| imds.set(SIGNER_CERT, certificates));
    let why = "IMDS returned more than 65536 bytes for /latest/meta-data/managed-ssh-keys/signer-cert/";
    comes_to_nothing(&instance, why);
}

#[test]
fn four_thousand_records_are_not_even_read() {
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&PublicKey::rsa(2048).line()).sign(imds.pki.leaf.key());
        let record = [record.bytes(), b"\n".to_vec()].concat();
        imds.publish_raw(USER, record.repeat(4000));
    });
    let why = "IMDS returned more than 1835008 bytes for /latest/meta-data/managed-ssh-keys/active-keys/ec2-user/";
    comes_to_nothing(&instance, why);
    assert_eq!(instance.requests(), 2);
}

/// As much as the limit on the blob allows: reading it must take linear time and memory.
#[test]
fn a_blob_of_nothing_but_line_ends_and_number_signs_takes_no_longer() {
    for (body, lines) in [
        ("#\n".repeat(900_000), 1),
        ("a\n\n".repeat(600_000), 1),
        ("#=".repeat(900_000), 1),
        // Eight refusals, a count of the other refusals, and a count of the records that are not read at all.
        ("#\n\n".repeat(600_000), 10),
    ] {
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| imds.publish_raw(USER, body));
        let outcome = instance.login(USER).measured().run();
        assert!(outcome.stdout.is_empty());
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        assert_eq!(outcome.said().lines().count(), lines, "{outcome:?}");
        assert!(outcome.duration.as_millis() < 4000, "{outcome:?}");
        assert!(outcome.peak_kib.is_some_and(|kib| kib < HOSTILE_KIB), "{outcome:?}");
    }
}

#[test]
fn a_staple_of_more_than_16_kib_is_not_read() {
    let instance = with_key();
    let leaf = instance.emulator.pki().leaf.sha1();
    let path = format!("{SIGNER_OCSP}{leaf}");
    instance
        .emulator
        .with_imds(|imds| imds.set(&path, "A".repeat(16 * 1024 + 1)));
    comes_to_nothing(
        &instance,
        &format!("IMDS returned more than 16384 bytes for /latest/meta-data/{path}"),
    );
}

#[test]
fn a_one_line_answer_of_more_than_256_bytes_is_not_read() {
    for path in ["instance-id", "placement/region", "services/domain"] {
        let instance = with_key();
        instance.emulator.with_imds(|imds| imds.set(path, "a".repeat(257)));
        comes_to_nothing(
            &instance,
            &format!("IMDS returned more than 256 bytes for /latest/meta-data/{path}"),
        );
    }
}

#[test]
fn an_identity_document_of_more_than_4_kib_is_not_read() {
    let instance = with_key();
    let document = emulator::imds::IDENTITY_DOCUMENT;
    instance.emulator.with_imds(|imds| {
        imds.remove("placement/region");
        let padded = format!("{{\"region\": \"us-west-2\"{}}}", " ".repeat(4096));
        imds.set(document, padded);
    });
    comes_to_nothing(&instance, &format!("IMDS returned more than 4096 bytes for {document}"));
}

#[test]
fn a_region_that_would_smuggle_another_domain_into_the_signer_s_name_is_refused() {
    for region in [
        "us-west-2.example.com",
        "us-west-2\n.x",
        "US-WEST-2",
        "us-west-2/",
        "us-west-222",
    ] {
        let instance = Instance::with(Options::in_region(region, "aws", "amazonaws.com"));
        instance.emulator.push(USER, &PublicKey::ed25519(1).line());
        let outcome = instance.login(USER).run();
        assert!(outcome.said().contains("region"), "{outcome:?}");
        outcome.is(1, "", outcome.said());
    }
}
