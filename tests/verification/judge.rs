//! Gives one signer to the library, as IMDS and the trust store would provide it, and returns the verdict.

use std::ops::Range;

use eic_verify::text::TimeSpan;
use eic_verify::{
    ExpectedSigner, Limits, OcspStaple, Region, RevocationProblem, SignerChain, SignerRejection, TrustAnchors,
    TrustStore, TrustedSigner,
};
use emulator::pki::Templates;
use emulator::{Certificate, Pki, StapleTemplate};

pub(crate) const REGION: &str = "us-west-2";
pub(crate) const DOMAIN: &str = "amazonaws.com";

/// The clock reading in every test that does not change it.
pub(crate) const NOW: i64 = 1_750_000_000;

pub(crate) const HOUR: i64 = 60 * 60;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The path of the trust store in messages.
pub(crate) const STORE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The names of certificates in messages.
pub(crate) const LEAF: &str = "managed-ssh-signer.us-west-2.amazonaws.com";
pub(crate) const ISSUING_CA: &str = "Issuing CA";
pub(crate) const ROOT: &str = "Root CA";

/// The input for the verdict on a signer.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The answer of `signer-cert/`.
    pub(crate) chain: Vec<u8>,
    /// The answers of `signer-ocsp/<name>`.
    pub(crate) staples: Vec<Vec<u8>>,
    /// The files of the local trust store.
    pub(crate) store: Vec<Vec<u8>>,
    /// The instance's region.
    pub(crate) region: String,
    /// The domain of its services.
    pub(crate) domain: String,
    /// The clock, in seconds since the epoch.
    pub(crate) now: i64,
}

impl Case {
    /// The PKI's chain as served, a good staple for each of its certificates, its anchors as the store.
    pub(crate) fn of(pki: &Pki) -> Self {
        Self {
            chain: pki.chain_pem().into_bytes(),
            staples: pki.chain.iter().map(|certificate| good(pki, certificate)).collect(),
            store: vec![pem(&pki.anchors)],
            region: REGION.to_owned(),
            domain: DOMAIN.to_owned(),
            now: pki.now,
        }
    }

    /// With these certificates served instead, and the same staples.
    pub(crate) fn serving(mut self, chain: &[&Certificate]) -> Self {
        self.chain = chain
            .iter()
            .map(|certificate| certificate.pem())
            .collect::<String>()
            .into();
        self
    }

    /// With these staples instead.
    pub(crate) fn stapled<'a>(mut self, staples: impl IntoIterator<Item = &'a StapleTemplate>) -> Self {
        self.staples = staples.into_iter().map(served).collect();
        self
    }

    /// With these certificates as the store.
    pub(crate) fn trusting(mut self, anchors: &[&Certificate]) -> Self {
        self.store = anchors.iter().map(|anchor| anchor.pem().into_bytes()).collect();
        self
    }

    /// The verdict.
    pub(crate) fn verdict(&self) -> Result<TrustedSigner, SignerRejection> {
        let now = u64::try_from(self.now).expect("a time after 1970");
        let chain = SignerChain::from_pem(&self.chain, &Limits::default())?;
        let staples: Vec<OcspStaple> = self
            .staples
            .iter()
            .map(|staple| OcspStaple::from_base64(staple))
            .collect();
        let store = TrustStore {
            path: STORE.to_owned(),
            files: self.store.clone(),
        };
        let anchors = TrustAnchors::select(store, &chain, now);
        TrustedSigner::establish(&chain, &staples, &anchors, &expected(&self.region, &self.domain), now)
    }

    #[track_caller]
    pub(crate) fn is_accepted(&self) {
        if let Err(rejection) = self.verdict() {
            panic!("refused: {rejection} ({rejection:?})");
        }
    }

    /// The reason for which a signer is refused; panics if it is accepted.
    #[track_caller]
    pub(crate) fn refusal(&self) -> SignerRejection {
        match self.verdict() {
            Err(rejection) => rejection,
            Ok(_) => panic!("accepted"),
        }
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, reason: &SignerRejection) {
        assert_eq!(self.refusal(), *reason);
    }

    #[track_caller]
    pub(crate) fn is_refused_saying(&self, reason: &SignerRejection, words: &str) {
        let refusal = self.refusal();
        assert_eq!(refusal, *reason);
        assert_eq!(refusal.to_string(), words);
    }

    /// Refused by path building, with webpki's error of that name and this message.
    #[track_caller]
    pub(crate) fn is_refused_by_path(&self, name: &str, words: &str) {
        let refusal = self.refusal();
        let SignerRejection::Path(why) = &refusal else {
            panic!("refused for another reason: {refusal:?}");
        };
        assert_eq!(variant(why), name);
        assert_eq!(refusal.to_string(), format!("signer's chain is not valid: {words}"));
    }

    /// Refused because of the staple for the certificate with that name.
    #[track_caller]
    pub(crate) fn is_refused_by_staple(&self, certificate: &str, problem: RevocationProblem) {
        self.is_refused(&revocation(certificate, problem));
    }
}

/// The default PKI.
pub(crate) fn pki() -> Pki {
    with(|_| {})
}

/// The default PKI, with changes to its templates.
pub(crate) fn with(change: impl FnOnce(&mut Templates)) -> Pki {
    Pki::with(REGION, DOMAIN, NOW, change)
}

/// The default case, with changes to the PKI's templates.
pub(crate) fn case_with(change: impl FnOnce(&mut Templates)) -> Case {
    Case::of(&with(change))
}

/// The default case in a partition whose signers come from private CAs, with changes to the PKI's templates.
pub(crate) fn isolated_with(change: impl FnOnce(&mut Templates)) -> Case {
    let (region, domain) = ("us-iso-east-1", "c2s.ic.gov");
    Case {
        region: region.to_owned(),
        domain: domain.to_owned(),
        ..Case::of(&Pki::with(region, domain, NOW, change))
    }
}

/// Refused because no root of the store, which has that many certificates, issued the served chain, which ends at this CA.
pub(crate) fn no_anchor(certificates: usize, top: &str) -> SignerRejection {
    SignerRejection::NoAnchor {
        store: STORE.to_owned(),
        certificates,
        top: top.to_owned(),
    }
}

/// A good staple as served.
pub(crate) fn good(pki: &Pki, certificate: &Certificate) -> Vec<u8> {
    served(&pki.staple(certificate))
}

/// A staple as served.
pub(crate) fn served(staple: &StapleTemplate) -> Vec<u8> {
    staple.sign().imds_text(Some(64)).into_bytes()
}

pub(crate) fn pem(certificates: &[Certificate]) -> Vec<u8> {
    certificates.iter().map(Certificate::pem).collect::<String>().into()
}

pub(crate) fn expected(region: &str, domain: &str) -> ExpectedSigner {
    let region = Region::parse(region.as_bytes()).expect("a region of AWS");
    ExpectedSigner::new(region, domain.as_bytes()).expect("the domain of that region's partition")
}

pub(crate) fn revocation(certificate: &str, problem: RevocationProblem) -> SignerRejection {
    SignerRejection::Revocation {
        certificate: certificate.to_owned(),
        problem,
    }
}

/// The keyUsage of this certificate does not allow that usage.
pub(crate) fn key_usage(certificate: &str, missing: &'static str) -> SignerRejection {
    SignerRejection::KeyUsage {
        certificate: certificate.to_owned(),
        missing,
    }
}

pub(crate) const MISSING: RevocationProblem = RevocationProblem::Missing { unparsed: None };

pub(crate) fn span(seconds: i64) -> TimeSpan {
    TimeSpan {
        seconds: u64::try_from(seconds).expect("a span is not negative"),
    }
}

/// The name of an enum's variant, without its values, because webpki is not a dependency of the tests.
pub(crate) fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The position of `part` in `whole`.
pub(crate) fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = whole
        .windows(part.len())
        .position(|window| window == part)
        .expect("it is a part of it");
    start..start + part.len()
}
