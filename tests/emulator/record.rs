//! Records of pushed keys: the bytes that the signer signs, and the text that IMDS serves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::tamper;
use crate::key::{Key, SignatureAlgorithm};

/// How a record is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSignature {
    /// RSASSA-PSS, SHA-256, MGF1-SHA-256, with a salt of that many bytes; only 32 is right.
    Pss(usize),
    /// RSASSA-PKCS1-v1_5 with SHA-256: to be refused.
    Pkcs1v15,
}

/// All fields of a record, which can be changed before [`RecordTemplate::sign`].
#[derive(Clone, Debug)]
pub struct RecordTemplate {
    /// The lines before the key, in their order, each with its `#` and without its line end.
    pub headers: Vec<String>,
    /// The line with the key.
    pub key_line: String,
    /// The bytes to sign and serve instead of the lines above.
    pub signed: Option<Vec<u8>>,
    /// A signing key other than that of the signer's certificate.
    pub signing_key: Option<Key>,
    /// The scheme.
    pub signature: RecordSignature,
    /// The length of the signature's lines; `None` for one long line.
    pub line_length: Option<usize>,
    /// Flips a bit of the signature.
    pub tamper_signature: bool,
}

impl RecordTemplate {
    /// A record with the two headers that every record has: expiry (seconds since the epoch) and instance.
    pub fn new(expires: i64, instance: &str, key_line: &str) -> Self {
        Self {
            headers: vec![format!("#Timestamp={expires}"), format!("#Instance={instance}")],
            key_line: key_line.to_owned(),
            signed: None,
            signing_key: None,
            signature: RecordSignature::Pss(32),
            line_length: None,
            tamper_signature: false,
        }
    }

    /// With `#name=value`: replaces the header if the record has it, else adds it after the others.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let line = format!("#{name}={value}");
        let prefix = format!("#{name}=");
        match self.headers.iter_mut().find(|h| h.starts_with(&prefix)) {
            Some(header) => *header = line,
            None => self.headers.push(line),
        }
        self
    }

    /// Without that header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let prefix = format!("#{name}=");
        self.headers.retain(|header| !header.starts_with(&prefix));
        self
    }

    /// The bytes that are signed: every line up to and with the key's, each with its line end.
    pub fn signed_bytes(&self) -> Vec<u8> {
        if let Some(signed) = &self.signed {
            return signed.clone();
        }
        let lines = self.headers.iter().chain([&self.key_line]);
        lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
    }

    /// Signs it with the signer's key, unless the template names another.
    pub fn sign(&self, signer: &Key) -> Record {
        let key = self.signing_key.as_ref().unwrap_or(signer);
        let signed = self.signed_bytes();
        let mut signature = match self.signature {
            RecordSignature::Pss(salt_length) => key.sign_pss(salt_length, &signed),
            RecordSignature::Pkcs1v15 => key.sign(SignatureAlgorithm::RsaSha256, &signed),
        };
        if self.tamper_signature {
            tamper(&mut signature);
        }
        Record {
            signature_text: crate::base64_lines(&signature, self.line_length),
            signed,
            signature,
        }
    }
}

/// A signed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes that were signed.
    pub signed: Vec<u8>,
    /// The signature over them.
    pub signature: Vec<u8>,
    signature_text: String,
}

impl Record {
    /// As IMDS serves it, with its final newline and without the blank line that follows.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.signed, self.signature_text.as_bytes()].concat()
    }

    /// The signature in base64, without line ends.
    pub fn signature_base64(&self) -> String {
        STANDARD.encode(&self.signature)
    }
}

/// A key blob of these records: a blank line between two, a newline at the end.
pub fn blob<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let records: Vec<_> = records.into_iter().map(Record::bytes).collect();
    records.join(&b"\n"[..])
}
