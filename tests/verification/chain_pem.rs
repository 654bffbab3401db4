//! `signer-cert/` as text: certificates are found between other text, and a missing certificate is reported.

use eic_verify::SignerRejection;
use emulator::{Certificate, pem};

use crate::judge::{Case, pki};

/// The default case with this text served.
fn serving(text: impl FnOnce(&[Certificate]) -> String) -> Case {
    let pki = pki();
    Case {
        chain: text(&pki.chain).into(),
        ..Case::of(&pki)
    }
}

/// This text before, between and after the certificates.
fn among(junk: &str) -> Case {
    serving(|chain| {
        let parts: Vec<String> = chain.iter().map(Certificate::pem).collect();
        format!("{junk}{}{junk}", parts.join(junk))
    })
}

#[test]
fn other_pem_blocks_among_the_certificates_do_no_harm() {
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PARAMETERS",
        "X509 CRL",
        "TRUSTED CERTIFICATE",
        "CERTIFICATE REQUEST",
        "PKCS7",
        "SOMETHING ELSE",
    ] {
        among(&pem(label, &[0x30, 0x03, 0x02, 0x01, 0x01])).is_accepted();
    }
}

#[test]
fn text_and_blank_lines_among_the_certificates_do_no_harm() {
    among("# a comment\n").is_accepted();
    among("\n\n \n").is_accepted();
    among("subject=CN = managed-ssh-signer\nissuer=O = Somebody\n").is_accepted();
    among("--- not a block ---\n").is_accepted();
    among("-----BEGIN\n").is_accepted();
    among("\u{fffd}\0\u{1b}[31m\n").is_accepted();
}

#[test]
fn a_certificate_that_is_not_base64_does_no_harm_to_the_others() {
    among("-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n").is_accepted();
}

#[test]
fn a_certificate_that_is_not_der_does_no_harm_to_the_others() {
    among(&pem("CERTIFICATE", b"not DER")).is_accepted();
    among(&pem("CERTIFICATE", &[])).is_accepted();
}

#[test]
fn a_block_that_never_ends_does_no_harm_to_the_others() {
    for label in ["CERTIFICATE", "X509 CRL"] {
        among(&format!("-----BEGIN {label}-----\nMIIB\n")).is_accepted();
        among(&format!("-----BEGIN {label}-----\n")).is_accepted();
    }
}

#[test]
fn a_block_with_a_broken_first_line_does_no_harm_to_the_others() {
    among("-----BEGIN CERTIFICATE---\nMIIB\n-----END CERTIFICATE-----\n").is_accepted();
    among("-----END CERTIFICATE-----\n").is_accepted();
}

#[test]
fn carriage_returns_do_no_harm() {
    let text = |line_end: &str| {
        serving(|chain| {
            chain
                .iter()
                .map(Certificate::pem)
                .collect::<String>()
                .replace('\n', line_end)
        })
    };
    text("\r\n").is_accepted();
    text("\n\r\n").is_accepted();
}

#[test]
fn the_last_line_may_lack_its_end() {
    serving(|chain| {
        chain
            .iter()
            .map(Certificate::pem)
            .collect::<String>()
            .trim_end()
            .to_owned()
    })
    .is_accepted();
}

#[test]
fn an_answer_without_a_certificate_says_so() {
    for text in [
        "",
        "\n",
        "<html>",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
        &pem("PRIVATE KEY", &[1]),
    ] {
        serving(|_| text.to_owned())
            .is_refused_saying(&SignerRejection::NoCertificate, "IMDS returned no signer certificate");
    }
}

#[test]
fn a_signer_certificate_that_is_not_der_is_unreadable() {
    serving(|_| pem("CERTIFICATE", b"not DER")).is_refused_saying(
        &SignerRejection::Malformed,
        "a certificate of the signer's chain cannot be parsed",
    );
}

#[test]
fn bytes_behind_the_signer_certificate_are_refused() {
    serving(|chain| {
        let long = [chain[0].der(), &[0]].concat();
        let rest: String = chain[1..].iter().map(Certificate::pem).collect();
        pem("CERTIFICATE", &long) + &rest
    })
    .is_refused(&SignerRejection::Malformed);
}
