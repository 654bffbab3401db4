//! One login: a key blob is read and verified with a trusted signer, as in the program.

use std::ffi::OsStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eic_verify::{
    BlobError, FingerprintFilter, InstanceId, KeyBlob, Limits, PublicKey, RecordRejection, RefusedRecord,
    TrustedSigner, VerifiedKey,
};
use emulator::{Key, Pki, Record, RecordTemplate};

use crate::judge::{Case, NOW, pki};

pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";
pub(crate) const CALLER: &str = "arn:aws:sts::123412341234:assumed-role/Name/session";
pub(crate) const REQUEST: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// A user who logs in.
pub(crate) struct Login {
    pub(crate) pki: Pki,
    pub(crate) signer: TrustedSigner,
    pub(crate) instance: String,
    pub(crate) fingerprint: Option<String>,
    pub(crate) now: i64,
}

impl Login {
    /// To this instance, now, with any key.
    pub(crate) fn new() -> Self {
        Self::with(pki())
    }

    pub(crate) fn with(pki: Pki) -> Self {
        Self {
            signer: Case::of(&pki).verdict().expect("the default signer is trusted"),
            pki,
            instance: INSTANCE.to_owned(),
            fingerprint: None,
            now: NOW,
        }
    }

    pub(crate) fn signing_key(&self) -> &Key {
        self.pki.leaf.key()
    }

    /// This record as IMDS serves it, signed by the signer.
    pub(crate) fn sign(&self, record: &RecordTemplate) -> Record {
        record.sign(self.signing_key())
    }

    /// The verified keys and the refused records.
    pub(crate) fn try_judge(&self, blob: &[u8]) -> Result<(Vec<VerifiedKey>, Vec<RefusedRecord>), BlobError> {
        let instance = InstanceId::parse(self.instance.as_bytes()).expect("an instance id");
        let filter = FingerprintFilter::parse(self.fingerprint.as_deref().map(OsStr::new));
        let now = u64::try_from(self.now).expect("a time after 1970");
        let candidates = KeyBlob::new(blob).select_candidates(&filter, &instance, now, &Limits::default())?;
        let mut keys = Vec::new();
        let mut refused = candidates.refused;
        for record in candidates.records {
            match record.verify(&self.signer, &instance, now) {
                Ok(key) => keys.push(key),
                Err(refusal) => refused.push(refusal),
            }
        }
        Ok((keys, refused))
    }

    pub(crate) fn judge(&self, blob: &[u8]) -> (Vec<VerifiedKey>, Vec<RefusedRecord>) {
        self.try_judge(blob).expect("it is a key blob")
    }

    /// The lines that would be printed for a blob in which no record is refused.
    #[track_caller]
    pub(crate) fn printed(&self, blob: &[u8]) -> Vec<String> {
        let (keys, refused) = self.judge(blob);
        assert_eq!(refused, []);
        lines(&keys)
    }

    /// The only refusal for a blob from which no key would be printed.
    #[track_caller]
    pub(crate) fn refusal(&self, blob: &[u8]) -> RecordRejection {
        let (keys, refused) = self.judge(blob);
        assert_eq!(lines(&keys), [""; 0]);
        assert_eq!(refused.len(), 1, "{refused:?}");
        refused.into_iter().next().expect("there is one").reason
    }
}

pub(crate) fn lines(keys: &[VerifiedKey]) -> Vec<String> {
    keys.iter().map(|key| key.key().authorized_keys_line()).collect()
}

/// An ED25519 key that consists of this byte.
pub(crate) fn key(byte: u8) -> String {
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
    let blob = [string(b"ssh-ed25519"), string(&[byte; 32])].concat();
    format!("ssh-ed25519 {}", STANDARD.encode(blob))
}

pub(crate) fn fingerprint(line: &str) -> String {
    let key = PublicKey::parse(line.as_bytes()).expect("a key that is accepted");
    key.fingerprint().to_owned()
}

/// A record for this instance and the next 60 seconds, with the key that consists of that byte.
pub(crate) fn record(byte: u8) -> RecordTemplate {
    RecordTemplate::new(NOW + 60, INSTANCE, &key(byte))
        .with("Caller", CALLER)
        .with("Request", REQUEST)
}
