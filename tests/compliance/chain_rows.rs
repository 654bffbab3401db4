//! The table of chains: each a public key infrastructure with one thing about it.

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
    /// What is asked of OpenSSL.
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

/// The default PKI, changed after it was made.
pub(crate) fn made(change: impl FnOnce(&mut Pki)) -> Pki {
    let mut pki = with(|_| {});
    change(&mut pki);
    pki
}

/// The default PKI, its templates changed, with only the older root trusted.
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

const NAME: &str = "OpenSSL is not told the name that is expected; here nothing else is a signer";
const WEAK: &str = "OpenSSL's default security level takes it; no public CA has signed so for a decade";
const STRANGER: &str = "OpenSSL's command takes any key; the service signs with RSA, of 2048 bits at least";
const UNVALIDATED: &str = "public CAs validate the names in subjectAltName, of certificates for serverAuth (Baseline Requirements 7.1.2.7); \
     isolated partitions have CAs of their own, and there it is accepted";
const LAST_SECOND: &str =
    "notAfter is the last second of the validity (RFC 5280 4.1.2.5); OpenSSL ends with the one before";
const ANY_PURPOSE: &str = "anyExtendedKeyUsage restricts nothing (RFC 5280 4.2.1.12), and the root is the owner's choice; OpenSSL wants serverAuth by name";
const ANCHOR: &str =
    "an anchor is a name and a key (RFC 5280 6.2): what else stands in it restricts, but is not required";

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
        row("an expired issuing CA beside a valid one", Accepted, || {
            made(|pki| {
                let mut expired = pki.issuing_ca.template().clone();
                expired.serial = vec![7];
                expired.not_after = NOW - DAY;
                pki.chain.insert(1, expired.issued_by(&pki.root));
            })
        }),
        row(
            "a CA of the issuing CA's name with another key beside it",
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
            "an issuer's name in another string type than its subject",
            RefusedHere(
                "names are compared byte for byte, as browsers do; OpenSSL folds case, blanks and string types",
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
            RefusedHere("a CA's key signs certificates; OpenSSL's sslserver purpose does not mind"),
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
            "a leaf whose keyUsage has keyEncipherment alone",
            RefusedHere("the leaf signs records; a TLS server may do without signing"),
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
        row("a leaf for any purpose by name", Refused, || {
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
            RefusedHere("it cannot say what it is for; no public CA issues any"),
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
    rows.push(row("a leaf for clients, asked to be a server's", Refused, clients));
    rows.push(Row {
        options: &["-purpose", "sslclient"],
        ..row(
            "a leaf for clients, asked to be a client's",
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
        row("a path length that is kept", Accepted, || {
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
                AcceptedHere("a signature proves who issued what without them; a refusal would lock owners out"),
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
        row("an expired root beside a valid one of its name", Accepted, || {
            made(|pki| pki.anchors.insert(0, sibling(pki, |t| t.not_after = NOW - DAY)))
        }),
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
        row("a root for e-mail alone", Refused, || {
            with(|t| t.root.extended_key_usage = Some(vec![purpose::ID_KP_EMAIL_PROTECTION]))
        }),
        row("a root for any purpose by name", AcceptedHere(ANY_PURPOSE), || {
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
        row("a root whose path length is not kept", Refused, || {
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
            RefusedHere("only a certificate that says it is a CA's is an anchor; no OS ships another any more"),
            || made(|pki| pki.anchors = vec![version_1(pki.root.template().clone()).self_signed()]),
        ),
        row("the leaf in the store", Refused, || {
            made(|pki| pki.anchors = vec![pki.leaf.clone()])
        }),
        row("an intermediate in the store", Refused, || {
            made(|pki| pki.anchors = vec![pki.issuing_ca.clone()])
        }),
        row(
            "a self-signed leaf in the store",
            RefusedHere("a signer is vouched for by a root; OpenSSL takes what is in the store as trusted"),
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
