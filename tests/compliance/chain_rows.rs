//! The table of chains. Each row is a PKI with one unusual property.

use emulator::certificate::{
    BasicConstraints, DnsConstraints, KeyUsage, KeyUsages, NameAttribute, RawExtension, Version, purpose,
};
use emulator::name::Tag;
use emulator::pki::Templates;
use emulator::{Certificate, Key, Pki, SignatureAlgorithm};

use crate::differences::Verdict;
use crate::differences::Verdict::{Accepted, AcceptedHere, Refused, RefusedHere};
use crate::extension_rows;
use crate::judge::{DAY, DOMAIN, NOW, REGION};

/// One chain.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) make: fn() -> Pki,
    /// The options for `openssl verify`.
    pub(crate) options: &'static [&'static str],
}

pub(crate) const fn row(name: &'static str, verdict: Verdict, make: fn() -> Pki) -> Row {
    Row {
        name,
        verdict,
        make,
        options: &["-purpose", "sslserver"],
    }
}

pub(crate) fn with(change: impl FnOnce(&mut Templates)) -> Pki {
    Pki::with(REGION, DOMAIN, NOW, change)
}

/// The default PKI with changes to its certificates.
pub(crate) fn made(change: impl FnOnce(&mut Pki)) -> Pki {
    let mut pki = with(|_| {});
    change(&mut pki);
    pki
}

/// The default PKI with changed templates, in which only the older root is trusted.
fn long(change: impl FnOnce(&mut Templates)) -> Pki {
    let mut pki = with(change);
    pki.anchors = vec![pki.older_root.clone()];
    pki
}

fn length(path_len_constraint: u8) -> Option<BasicConstraints> {
    Some(BasicConstraints {
        ca: true,
        path_len_constraint: Some(path_len_constraint),
    })
}

fn no_ca() -> Option<BasicConstraints> {
    Some(BasicConstraints {
        ca: false,
        path_len_constraint: None,
    })
}

fn permitting(name: &str) -> Option<DnsConstraints> {
    Some(DnsConstraints {
        permitted: vec![name.to_owned()],
        excluded: Vec::new(),
    })
}

fn excluding(name: &str) -> Option<DnsConstraints> {
    Some(DnsConstraints {
        permitted: Vec::new(),
        excluded: vec![name.to_owned()],
    })
}

fn mute() -> Option<KeyUsage> {
    Some(KeyUsage(KeyUsages::CRLSign.into()))
}

fn sloppy() -> Pki {
    long(|t| {
        for template in [&mut t.issuing_ca, &mut t.root_cross, &mut t.older_root] {
            template.critical.clear();
            template.key_identifiers = false;
        }
    })
}

fn sibling(pki: &Pki, change: impl FnOnce(&mut emulator::CertificateTemplate)) -> Certificate {
    let mut template = pki.root.template().clone();
    template.serial = vec![7];
    change(&mut template);
    template.self_signed()
}

fn version_1(mut template: emulator::CertificateTemplate) -> emulator::CertificateTemplate {
    template = template.without_extensions();
    template.version = Version::V1;
    template
}

const NAME: &str = "OpenSSL is not given the expected name; here the certificate must have that name";
const WEAK: &str = "OpenSSL's default security level accepts it; no public CA has used it for a decade";
const STRANGER: &str = "OpenSSL's command accepts any key; the service signs with RSA keys of at least 2048 bits";
const UNVALIDATED: &str = "public CAs validate the names in the subjectAltName of certificates for serverAuth (Baseline Requirements 7.1.2.7); it is accepted in isolated partitions, which have their own CAs";
const LAST_SECOND: &str = "the validity period includes notAfter (RFC 5280 4.1.2.5); OpenSSL excludes it";
const ANY_PURPOSE: &str = "anyExtendedKeyUsage restricts nothing (RFC 5280 4.2.1.12), and the administrator chose the root; OpenSSL requires serverAuth itself";
const ANCHOR: &str =
    "a trust anchor is a name and a key (RFC 5280 6.2); known extensions restrict it, unknown ones are ignored";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = path_rows();
    rows.extend(leaf_rows());
    rows.extend(ca_rows());
    rows.extend(extension_rows::rows());
    rows.extend(root_rows());
    rows
}

fn path_rows() -> Vec<Row> {
    vec![
        row("the default chain", Accepted, || with(|_| {})),
        row("served in another order", Accepted, || {
            made(|pki| pki.chain[1..].reverse())
        }),
        row("served without its root", Accepted, || {
            made(|pki| pki.chain.truncate(2))
        }),
        row("served with its self-signed root", Accepted, || {
            made(|pki| pki.chain.push(pki.root.clone()))
        }),
        row("served without the issuing CA", Refused, || {
            made(|pki| drop(pki.chain.remove(1)))
        }),
        row("through the cross-signed root", Accepted, || long(|_| {})),
        row("through two cross-signed roots", Accepted, || {
            made(|pki| pki.anchors = vec![pki.oldest_root.clone()])
        }),
        row("an expired cross-signed root that is not needed", Accepted, || {
            with(|t| t.root_cross.not_after = NOW - DAY)
        }),
        row("an expired cross-signed root that is needed", Refused, || {
            long(|t| t.root_cross.not_after = NOW - DAY)
        }),
        row("a self-signed root that only IMDS serves", Refused, || {
            made(|pki| {
                pki.chain.push(pki.root.clone());
                pki.anchors = vec![pki.oldest_root.clone()];
                pki.chain
                    .retain(|certificate| certificate.der() != pki.older_root_cross.der());
            })
        }),
        row("an expired issuing CA next to a valid one", Accepted, || {
            made(|pki| {
                let mut expired = pki.issuing_ca.template().clone();
                expired.serial = vec![7];
                expired.not_after = NOW - DAY;
                pki.chain.insert(1, expired.issued_by(&pki.root));
            })
        }),
        row(
            "another CA with the issuing CA's name and another key",
            Accepted,
            || {
                made(|pki| {
                    let mut namesake = pki.issuing_ca.template().clone();
                    namesake.serial = vec![9];
                    namesake.key = Key::cached("somebody else");
                    pki.chain.insert(1, namesake.issued_by(&pki.root));
                })
            },
        ),
        row(
            "a leaf whose issuer name has another string type than the issuer's subject",
            RefusedHere(
                "names are compared byte for byte, as in browsers; OpenSSL ignores case, spaces and string types",
            ),
            || {
                made(|pki| {
                    let mut leaf = pki.leaf.template().clone();
                    let mut issuer = pki.issuing_ca.template().subject.clone();
                    issuer[1].tag = Tag::Utf8String;
                    leaf.issuer = Some(issuer);
                    let leaf = leaf.issued_by(&pki.issuing_ca);
                    pki.replace_leaf(leaf);
                })
            },
        ),
    ]
}

fn leaf_rows() -> Vec<Row> {
    let mut rows = vec![
        row("a leaf that expired a second ago", Refused, || {
            with(|t| t.leaf.not_after = NOW - 1)
        }),
        row("a leaf in its last second", AcceptedHere(LAST_SECOND), || {
            with(|t| t.leaf.not_after = NOW)
        }),
        row("a leaf in its first second", Accepted, || {
            with(|t| t.leaf.not_before = NOW)
        }),
        row("a leaf that begins in a second", Refused, || {
            with(|t| t.leaf.not_before = NOW + 1)
        }),
        row("a leaf with a tampered signature", Refused, || {
            with(|t| t.leaf.tamper_signature = true)
        }),
        row("a leaf signed with SHA-1", RefusedHere(WEAK), || {
            with(|t| t.leaf.signature_algorithm = Some(SignatureAlgorithm::RsaSha1))
        }),
        row("a leaf signed with MD5", RefusedHere(WEAK), || {
            with(|t| t.leaf.signature_algorithm = Some(SignatureAlgorithm::RsaMd5))
        }),
        row("a leaf signed with SHA-384", Accepted, || {
            with(|t| t.leaf.signature_algorithm = Some(SignatureAlgorithm::RsaSha384))
        }),
        row("a leaf whose two algorithm fields differ", Refused, || {
            with(|t| t.leaf.outer_algorithm = Some(SignatureAlgorithm::RsaSha384))
        }),
        row("a leaf with an RSA key of 1024 bits", RefusedHere(STRANGER), || {
            with(|t| t.leaf.key = Key::cached_rsa("small leaf", 1024))
        }),
        row("a leaf with an elliptic-curve key", RefusedHere(STRANGER), || {
            with(|t| t.leaf.key = Key::p256())
        }),
        row("a leaf of another region", RefusedHere(NAME), || {
            with(|t| t.leaf.subject = vec![NameAttribute::common_name("managed-ssh-signer.us-east-1.amazonaws.com")])
        }),
        row("a leaf with two common names", RefusedHere(NAME), || {
            with(|t| t.leaf.subject.push(NameAttribute::common_name("example.com")))
        }),
        row("a leaf with another alternative name", RefusedHere(NAME), || {
            with(|t| t.leaf.dns_names = Some(vec!["example.com".into()]))
        }),
        row("a leaf without alternative names", RefusedHere(UNVALIDATED), || {
            with(|t| t.leaf.dns_names = None)
        }),
        row("a leaf without basicConstraints", Accepted, || {
            with(|t| t.leaf.basic_constraints = None)
        }),
        row(
            "a leaf that is a CA",
            RefusedHere("a CA's key signs certificates, not records; OpenSSL's sslserver purpose accepts it"),
            || {
                with(|t| {
                    t.leaf.basic_constraints = Some(BasicConstraints {
                        ca: true,
                        path_len_constraint: None,
                    });
                })
            },
        ),
        row("a leaf without keyUsage", Accepted, || {
            with(|t| t.leaf.key_usage = None)
        }),
        row(
            "a leaf whose keyUsage contains only keyEncipherment",
            RefusedHere("the leaf must be able to sign records; a TLS server need not sign"),
            || with(|t| t.leaf.key_usage = Some(KeyUsage(KeyUsages::KeyEncipherment.into()))),
        ),
        row("a leaf without extendedKeyUsage", RefusedHere(UNVALIDATED), || {
            with(|t| t.leaf.extended_key_usage = None)
        }),
        row("a leaf for servers", Accepted, || {
            with(|t| t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH]))
        }),
        row("a leaf for signing code", Refused, || {
            with(|t| t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_CODE_SIGNING]))
        }),
        row("a leaf with anyExtendedKeyUsage", Refused, || {
            with(|t| t.leaf.extended_key_usage = Some(vec![purpose::ANY_EXTENDED_KEY_USAGE]))
        }),
        row("a leaf with an unknown critical extension", Refused, || {
            with(|t| t.leaf.extensions.push(RawExtension::unknown(true)))
        }),
        row("a leaf with an unknown extension", Accepted, || {
            with(|t| t.leaf.extensions.push(RawExtension::unknown(false)))
        }),
        row(
            "a leaf of version 1",
            RefusedHere("it cannot restrict its own purpose; no public CA issues such certificates"),
            || {
                made(|pki| {
                    let leaf = version_1(pki.leaf.template().clone()).issued_by(&pki.issuing_ca);
                    pki.replace_leaf(leaf);
                })
            },
        ),
        row("a leaf issued by a leaf", Refused, || {
            made(|pki| {
                let mut forged = pki.leaf.template().clone();
                forged.key = Key::cached("somebody else");
                forged.serial = vec![1];
                let forged = forged.issued_by(&pki.leaf);
                pki.leaf = forged.clone();
                pki.chain.insert(0, forged);
            })
        }),
    ];
    let clients = || with(|t| t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_CLIENT_AUTH]));
    rows.push(row("a leaf for clients, under -purpose sslserver", Refused, clients));
    rows.push(Row {
        options: &["-purpose", "sslclient"],
        ..row(
            "a leaf for clients, under -purpose sslclient",
            RefusedHere(UNVALIDATED),
            clients,
        )
    });
    rows
}

fn ca_rows() -> Vec<Row> {
    vec![
        row("an issuing CA that expired", Refused, || {
            with(|t| t.issuing_ca.not_after = NOW - 1)
        }),
        row("an issuing CA with a tampered signature", Refused, || {
            with(|t| t.issuing_ca.tamper_signature = true)
        }),
        row("an issuing CA signed with SHA-1", RefusedHere(WEAK), || {
            with(|t| t.issuing_ca.signature_algorithm = Some(SignatureAlgorithm::RsaSha1))
        }),
        row("an issuing CA with an RSA key of 1024 bits", RefusedHere(WEAK), || {
            with(|t| t.issuing_ca.key = Key::cached_rsa("small issuing CA", 1024))
        }),
        row("an issuing CA with an elliptic-curve key", Accepted, || {
            with(|t| t.issuing_ca.key = Key::p256())
        }),
        row("an issuing CA whose basicConstraints says no CA", Refused, || {
            with(|t| t.issuing_ca.basic_constraints = no_ca())
        }),
        row("an issuing CA without basicConstraints", Refused, || {
            with(|t| t.issuing_ca.basic_constraints = None)
        }),
        row("an issuing CA without keyUsage", Accepted, || {
            with(|t| t.issuing_ca.key_usage = None)
        }),
        row("an issuing CA whose keyUsage lacks keyCertSign", Refused, || {
            with(|t| t.issuing_ca.key_usage = mute())
        }),
        row("an issuing CA for signing code", Refused, || {
            with(|t| t.issuing_ca.extended_key_usage = Some(vec![purpose::ID_KP_CODE_SIGNING]))
        }),
        row("a path length that is not exceeded", Accepted, || {
            long(|t| t.root_cross.basic_constraints = length(1))
        }),
        row("a path length that is not kept", Refused, || {
            long(|t| t.root_cross.basic_constraints = length(0))
        }),
        row("an issuing CA with an unknown critical extension", Refused, || {
            with(|t| t.issuing_ca.extensions.push(RawExtension::unknown(true)))
        }),
        row("an issuing CA of version 1", Refused, || {
            made(|pki| {
                pki.chain[1] = version_1(pki.issuing_ca.template().clone()).issued_by(&pki.root);
            })
        }),
        row("name constraints that permit the signer", Accepted, || {
            with(|t| t.issuing_ca.name_constraints = permitting("amazonaws.com"))
        }),
        row("name constraints that permit others", Refused, || {
            with(|t| t.issuing_ca.name_constraints = permitting("example.com"))
        }),
        row("name constraints that exclude the signer", Refused, || {
            with(|t| t.issuing_ca.name_constraints = excluding("amazonaws.com"))
        }),
        row(
            "name constraints that exclude a signer without alternative names",
            Refused,
            || {
                with(|t| {
                    t.leaf.dns_names = None;
                    t.issuing_ca.name_constraints = excluding("amazonaws.com");
                })
            },
        ),
        row("CAs without key identifiers and critical flags", Accepted, sloppy),
        Row {
            options: &["-purpose", "sslserver", "-x509_strict"],
            ..row(
                "CAs without key identifiers and critical flags, under -x509_strict",
                AcceptedHere(
                    "signatures prove who issued a certificate without them; a refusal would lock legitimate users out",
                ),
                sloppy,
            )
        },
    ]
}

fn root_rows() -> Vec<Row> {
    vec![
        row("an empty store", Refused, || made(|pki| pki.anchors.clear())),
        row("a root that expired", Refused, || {
            with(|t| t.root.not_after = NOW - DAY)
        }),
        row(
            "an expired root next to a valid one with the same name",
            Accepted,
            || made(|pki| pki.anchors.insert(0, sibling(pki, |t| t.not_after = NOW - DAY))),
        ),
        row("a root signed with SHA-1", Accepted, || {
            with(|t| t.root.signature_algorithm = Some(SignatureAlgorithm::RsaSha1))
        }),
        row("a root signed with MD5", Accepted, || {
            with(|t| t.root.signature_algorithm = Some(SignatureAlgorithm::RsaMd5))
        }),
        row("a root whose own signature is wrong", Accepted, || {
            with(|t| t.root.tamper_signature = true)
        }),
        row("a root for servers", Accepted, || {
            with(|t| t.root.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH]))
        }),
        row("a root for e-mail only", Refused, || {
            with(|t| t.root.extended_key_usage = Some(vec![purpose::ID_KP_EMAIL_PROTECTION]))
        }),
        row("a root with anyExtendedKeyUsage", AcceptedHere(ANY_PURPOSE), || {
            with(|t| t.root.extended_key_usage = Some(vec![purpose::ANY_EXTENDED_KEY_USAGE]))
        }),
        row("a root with an elliptic-curve key", Accepted, || {
            with(|t| {
                t.root.key = Key::p256();
                t.root_cross.key = t.root.key.clone();
            })
        }),
        row("a root whose basicConstraints says no CA", Refused, || {
            with(|t| t.root.basic_constraints = no_ca())
        }),
        row("a root whose keyUsage lacks keyCertSign", Refused, || {
            with(|t| t.root.key_usage = mute())
        }),
        row("a root whose path length is exceeded", Refused, || {
            with(|t| t.root.basic_constraints = length(0))
        }),
        row("a root whose name constraints permit the signer", Accepted, || {
            with(|t| t.root.name_constraints = permitting("amazonaws.com"))
        }),
        row("a root whose name constraints permit others", Refused, || {
            with(|t| t.root.name_constraints = permitting("example.com"))
        }),
        row(
            "a root with an unknown critical extension",
            AcceptedHere(ANCHOR),
            || with(|t| t.root.extensions.push(RawExtension::unknown(true))),
        ),
        row(
            "a root of version 1",
            RefusedHere("a trust anchor must be marked as a CA; no operating system ships any other root any more"),
            || made(|pki| pki.anchors = vec![version_1(pki.root.template().clone()).self_signed()]),
        ),
        row("the leaf in the store", Refused, || {
            made(|pki| pki.anchors = vec![pki.leaf.clone()])
        }),
        row("an intermediate in the store", Refused, || {
            made(|pki| pki.anchors = vec![pki.issuing_ca.clone()])
        }),
        row(
            "a self-signed leaf in the trust store",
            RefusedHere("a root must have issued the signer's chain; OpenSSL trusts every certificate in the store"),
            || {
                made(|pki| {
                    let lone = pki.leaf.template().clone().self_signed();
                    pki.replace_leaf(lone);
                    pki.anchors = vec![pki.leaf.clone()];
                })
            },
        ),
    ]
}
