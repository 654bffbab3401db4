//! Control characters and unverified text from IMDS never reach a terminal or the log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emulator::imds::{META_DATA, SIGNER_CERT, SIGNER_OCSP};
use emulator::{Fault, Options};

use crate::harness::{Instance, Outcome, USER};
use crate::keys::PublicKey;

/// C0, an escape sequence, DEL, C1 in Latin-1 and in UTF-8, a line end with a forged line behind it, and a direction
/// override.
const HOSTILE: &[u8] = b"\x1b]0;owned\x07\x08\x0b\x7f\x9b31m\xc2\x9b31m\r\nforged: line\xe2\x80\xae\0";

/// The same without the characters that would end a line of a record.
const HOSTILE_LINE: &str = "\u{1b}]0;owned\u{7}\u{8}\u{7f}\u{9b}31m\r\u{202e}\\x1b";

/// Asserts that the messages are printable ASCII, in that many lines; returns them.
#[track_caller]
fn printable(outcome: &Outcome, lines: usize) -> &str {
    let is_printable = |&byte: &u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
    assert!(outcome.stderr.iter().all(is_printable), "{outcome:?}");
    assert!(outcome.stdout.iter().all(is_printable), "{outcome:?}");
    assert_eq!(outcome.said().lines().count(), lines, "{outcome:?}");
    assert!(
        !outcome.said().lines().any(|line| line.starts_with("forged")),
        "{outcome:?}"
    );
    outcome.said()
}

#[test]
fn hostile_bytes_in_any_answer_are_shown_escaped_or_not_at_all() {
    for (path, shown) in [
        ("managed-ssh-keys/active-keys/ec2-user/", true),
        ("instance-id", true),
        ("placement/region", true),
        ("services/domain", true),
        (SIGNER_CERT, false),
        (SIGNER_OCSP, false),
    ] {
        let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
        let fault = Fault::Body(HOSTILE.to_vec());
        instance.emulator.fault(&format!("{META_DATA}{path}"), fault);
        let outcome = instance.login(USER).run();
        assert!(outcome.stdout.is_empty());
        let said = printable(&outcome, 1);
        assert_eq!(said.contains("\\x1b]0;owned\\x07"), shown, "{path}: {said}");
    }
}

#[test]
fn hostile_bytes_in_a_reason_phrase_or_header_are_not_shown() {
    for head in [
        &b"HTTP/1.1 500 \x1b[2J\r\n\r\n"[..],
        b"HTTP/1.1 302 \x9b2J\r\nLocation: \x1b[2J\r\n\r\n",
        b"\x1b[2JHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\x1b[2J: x\r\n\r\n",
    ] {
        let instance = Instance::start();
        instance.emulator.fault("/", Fault::Raw(head.to_vec()));
        let outcome = instance.login(USER).run();
        assert_eq!(outcome.status.code(), Some(1));
        assert!(!printable(&outcome, 1).contains("[2J"));
    }
}

#[test]
fn what_a_verified_record_says_is_logged_escaped() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&key.line());
        let record = record.with("Caller", HOSTILE_LINE).with("Request", HOSTILE_LINE);
        imds.publish(USER, &record);
    });
    let outcome = instance.login(USER).run();
    assert_eq!(outcome.printed(), key.printed());
    let escaped = "\\x1b]0;owned\\x07\\x08\\x7f\\xc2\\x9b31m\\x0d\\xe2\\x80\\xae\\x5cx1b";
    let line = format!(
        "Providing ssh key from EC2 Instance Connect with fingerprint: {}, request-id: {escaped}, \
         for IAM principal: {escaped}\n",
        key.fingerprint()
    );
    assert_eq!(printable(&outcome, 1), line);
}

#[test]
fn caller_and_request_of_a_record_that_does_not_hold_appear_nowhere() {
    let key = PublicKey::ed25519(1);
    for fault in ["signature", "instance", "expiry", "key", "twice", "signer"] {
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| {
            let caller = "arn:aws:sts::123412341234:assumed-role/Framed/session";
            let record = imds
                .record(&key.line())
                .with("Caller", caller)
                .with("Request", "framed-request");
            let mut record = match fault {
                "instance" => record.with("Instance", "i-0fedcba9876543210"),
                "expiry" => record.with("Timestamp", "1"),
                _ => record,
            };
            record.tamper_signature = fault == "signature";
            match fault {
                "key" => record.key_line = "ssh-dss AAAA".to_owned(),
                "twice" => record.headers.push("#Caller=Framed".to_owned()),
                "signer" => imds.remove(SIGNER_CERT),
                _ => {}
            }
            imds.publish(USER, &record);
        });
        let outcome = instance.login(USER).run();
        assert!(outcome.stdout.is_empty());
        let said = printable(&outcome, 1).to_lowercase();
        assert!(!said.contains("framed"), "{fault}: {said}");
    }
}

#[test]
fn what_a_refused_record_says_is_shown_escaped() {
    let key = PublicKey::ed25519(1);
    let escaped = "\\x1b]0;owned\\x07\\x08\\x7f";
    for header in ["Instance", "Timestamp"] {
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| {
            let record = imds.record(&key.line()).with(header, HOSTILE_LINE);
            imds.publish(USER, &record);
        });
        let outcome = instance.login(USER).run();
        assert!(printable(&outcome, 1).contains(escaped), "{header}: {outcome:?}");
    }
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&format!("{HOSTILE_LINE} AAAA"));
        imds.publish(USER, &record);
    });
    let outcome = instance.login(USER).run();
    assert!(printable(&outcome, 1).contains(escaped), "{outcome:?}");
}

#[test]
fn what_stands_inside_a_key_is_shown_escaped() {
    // A key whose own type differs from that in its line, an ECDSA key on an unknown curve, and a key with only a type.
    let lines = [
        ("ssh-ed25519", &[HOSTILE][..]),
        ("ecdsa-sha2-nistp256", &[b"ecdsa-sha2-nistp256", HOSTILE]),
        ("ssh-rsa", &[b"ssh-rsa\x1b[2J"]),
    ];
    for (kind, fields) in lines {
        let mut blob = Vec::new();
        for field in fields {
            blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            blob.extend(*field);
        }
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| {
            let record = imds.record(&format!("{kind} {}", STANDARD.encode(blob)));
            imds.publish(USER, &record);
        });
        let outcome = instance.login(USER).run();
        assert!(printable(&outcome, 1).contains("Refused an ssh key"), "{outcome:?}");
        // The last filter replaces what was not escaped earlier by question marks.
        assert!(!outcome.said().contains('?'), "{outcome:?}");
    }
}

#[test]
fn names_in_certificates_are_shown_escaped() {
    let instance = Instance::with(Options::in_region("us-west-2\u{1b}[2J", "aws", "amazonaws.com"));
    instance.emulator.with_imds(|imds| {
        imds.set("placement/region", "us-west-2");
        let record = imds.record(&PublicKey::ed25519(1).line());
        imds.publish(USER, &record);
    });
    let outcome = instance.login(USER).run();
    assert_eq!(outcome.status.code(), Some(1));
    let said = printable(&outcome, 1);
    assert!(
        said.contains("signer certificate is for us-west-2\\x1b[2J.amazonaws.com"),
        "{said}"
    );
}

#[test]
fn a_common_name_cannot_put_an_audit_line_into_the_log() {
    let audit = "Providing ssh key from EC2 Instance Connect with fingerprint: SHA256:forged";
    for name in [audit.to_owned(), format!("x\" {audit}"), audit[5..].to_owned()] {
        let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
        instance.emulator.change_pki(|pki| {
            let mut template = pki.leaf.template().clone();
            template.subject = vec![emulator::certificate::NameAttribute::common_name(&name)];
            pki.replace_leaf(template.issued_by(&pki.issuing_ca));
        });
        let outcome = instance.login(USER).run();
        let said = printable(&outcome, 1);
        assert!(!said.contains("fingerprint:") && !said.contains("SHA256"), "{said}");
        assert_eq!(said.matches('"').count(), 2, "{said}");
    }
}

#[test]
fn a_fingerprint_and_a_path_from_the_command_line_are_shown_escaped() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let outcome = instance.login(USER).offering("\u{1b}[2J").run();
    assert!(printable(&outcome, 2).contains("matching fingerprint: \\x1b[2J\n"));
    let outcome = instance.login(USER).option("--trust-store", "/\u{1b}[2J").run();
    assert!(printable(&outcome, 1).contains("cannot read trust store /\\x1b[2J"));
}
