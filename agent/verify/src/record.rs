//! One record: what the service says of one pushed key, and whether the signer said so.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::blob::Refusal;
use super::identity::InstanceId;
use super::limits::Limits;
use super::signer::TrustedSigner;
use super::ssh_key::{KeyRejection, PublicKey};
use super::text::{Span, quoted};

/// A well-formed record. Nothing in it is to be believed before [`Record::verify`].
#[derive(Debug)]
pub struct Record<'a> {
    /// The bytes as received that the signature covers: first line to key line, each with its `\n`.
    signed: &'a [u8],
    /// When the key ends, in seconds since the epoch.
    expires: u64,
    instance: &'a [u8],
    caller: Option<&'a [u8]>,
    request: Option<&'a [u8]>,
    key: PublicKey,
    signature: Vec<u8>,
}

impl<'a> Record<'a> {
    /// Reads a record: lines `#Name=value` in any order, the key line, the signature in base64.
    ///
    /// # Errors
    /// The refusal, with its reason; it names the key wherever that could be read, as a record for another key than
    /// the one that is offered is none of this login's business, whatever is wrong with it.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let parts = Parts::of(bytes);
        let key = parts.key(limits).map_err(|reason| Refusal {
            fingerprint: None,
            reason,
        })?;
        let fingerprint = Some(key.fingerprint().to_owned());
        Self::read(&parts, key, limits).map_err(|reason| Refusal { fingerprint, reason })
    }

    fn read(parts: &Parts<'a>, key: PublicKey, limits: &Limits) -> Result<Self, RecordRejection> {
        let headers = Headers::read(parts.headers, limits)?;
        let signature: Vec<u8> = parts.signature.iter().copied().filter(|&byte| byte != b'\n').collect();
        if signature.is_empty() {
            return Err(RecordRejection::NoSignature);
        }
        Ok(Self {
            signed: parts.signed,
            expires: expiry(headers.timestamp.ok_or(RecordRejection::Missing("Timestamp"))?)?,
            instance: headers.instance.ok_or(RecordRejection::Missing("Instance"))?,
            caller: headers.caller,
            request: headers.request,
            key,
            signature: STANDARD
                .decode(signature)
                .map_err(|_| RecordRejection::SignatureNotBase64)?,
        })
    }

    /// The key that was pushed, they say.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When the key ends, they say, in seconds since the epoch.
    pub(super) fn expires(&self) -> u64 {
        self.expires
    }

    /// Whether the record is for this instance, and its key has not ended at `now` (seconds since the epoch).
    ///
    /// # Errors
    /// [`RecordRejection::OtherInstance`], [`RecordRejection::Expired`].
    pub fn holds_for(&self, instance: &InstanceId, now: u64) -> Result<(), RecordRejection> {
        if self.instance != instance.as_str().as_bytes() {
            return Err(RecordRejection::OtherInstance {
                said: quoted(self.instance),
                here: instance.as_str().to_owned(),
            });
        }
        if self.expires <= now {
            return Err(RecordRejection::Expired(Span::between(self.expires, now)));
        }
        Ok(())
    }

    /// Whether the signer said all this, and it holds for this instance at `now` (seconds since the epoch, read after
    /// everything was gathered).
    ///
    /// # Errors
    /// The refusal, with its reason.
    pub fn verify(self, signer: &TrustedSigner, instance: &InstanceId, now: u64) -> Result<VerifiedKey, Refusal> {
        let signature = signer
            .verify(self.signed, &self.signature)
            .map_err(|_| RecordRejection::Signature);
        match signature.and_then(|()| self.holds_for(instance, now)) {
            Ok(()) => Ok(VerifiedKey {
                caller: self.caller.map(<[u8]>::to_vec),
                request: self.request.map(<[u8]>::to_vec),
                key: self.key,
            }),
            Err(reason) => Err(self.refusal(reason)),
        }
    }

    /// The refusal of this record for `reason`.
    #[must_use]
    pub fn refusal(&self, reason: RecordRejection) -> Refusal {
        Refusal {
            fingerprint: Some(self.key.fingerprint().to_owned()),
            reason,
        }
    }
}

/// A key that its trusted signer vouches for, for this instance and this moment.
///
/// This is the only type that is printed, and [`Record::verify`] its only maker.
#[derive(Debug)]
pub struct VerifiedKey {
    key: PublicKey,
    caller: Option<Vec<u8>>,
    request: Option<Vec<u8>>,
}

impl VerifiedKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The IAM principal that pushed it, where the record says.
    #[must_use]
    pub fn caller(&self) -> Option<&[u8]> {
        self.caller.as_deref()
    }

    /// The id of the request that pushed it, where the record says; CloudTrail has it too.
    #[must_use]
    pub fn request(&self) -> Option<&[u8]> {
        self.request.as_deref()
    }
}

/// A record cut at its key line, the first one that does not start with `#`.
struct Parts<'a> {
    /// Headers and key line.
    signed: &'a [u8],
    headers: &'a [u8],
    key_line: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let lines = || bytes.split_inclusive(|&byte| byte == b'\n');
        let headers_end = lines().take_while(|line| line.starts_with(b"#")).map(<[u8]>::len).sum();
        let (headers, rest) = bytes.split_at(headers_end);
        let key_line = rest.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let (signed, signature) = bytes.split_at(headers_end + key_line.len());
        Self {
            signed,
            headers,
            key_line,
            signature,
        }
    }

    fn key(&self, limits: &Limits) -> Result<PublicKey, RecordRejection> {
        if self.key_line.is_empty() {
            return Err(RecordRejection::NoKey);
        }
        check_length(self.key_line, limits)?;
        PublicKey::parse(without_line_end(self.key_line)).map_err(RecordRejection::Key)
    }
}

fn check_length(line: &[u8], limits: &Limits) -> Result<(), RecordRejection> {
    if line.len() > limits.record_line_bytes {
        return Err(RecordRejection::LongLine(limits.record_line_bytes));
    }
    Ok(())
}

fn without_line_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The headers this program knows; unknown ones are covered by the signature and otherwise ignored.
#[derive(Default)]
struct Headers<'a> {
    timestamp: Option<&'a [u8]>,
    instance: Option<&'a [u8]>,
    caller: Option<&'a [u8]>,
    request: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    fn read(lines: &'a [u8], limits: &Limits) -> Result<Self, RecordRejection> {
        let mut headers = Self::default();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            check_length(line, limits)?;
            let line = without_line_end(line);
            headers.take(line.strip_prefix(b"#").unwrap_or(line))?;
        }
        Ok(headers)
    }

    fn take(&mut self, header: &'a [u8]) -> Result<(), RecordRejection> {
        let Some(equals) = header.iter().position(|&byte| byte == b'=') else {
            return Ok(());
        };
        let (name, value) = header.split_at(equals);
        let value = value.strip_prefix(b"=").unwrap_or_default();
        let (place, name) = match name {
            b"Timestamp" => (&mut self.timestamp, "Timestamp"),
            b"Instance" => (&mut self.instance, "Instance"),
            b"Caller" => (&mut self.caller, "Caller"),
            b"Request" => (&mut self.request, "Request"),
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(RecordRejection::Twice(name)),
        }
    }
}

/// The most digits of a timestamp: as many as fit into 64 bits, whatever they are. The service's have ten.
const TIMESTAMP_DIGITS: usize = 18;

/// Seconds since the epoch, in plain ASCII decimal.
fn expiry(timestamp: &[u8]) -> Result<u64, RecordRejection> {
    let refused = || RecordRejection::Timestamp(quoted(timestamp));
    if timestamp.is_empty() || !timestamp.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    if timestamp.len() > TIMESTAMP_DIGITS {
        return Err(RecordRejection::TimestampDigits(timestamp.len()));
    }
    let digits = std::str::from_utf8(timestamp).map_err(|_| refused())?;
    digits.parse().map_err(|_| refused())
}

/// Why a record leads to no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordRejection {
    /// It ends before its key line.
    NoKey,
    /// It ends after its key line.
    NoSignature,
    /// A line is longer than this many bytes.
    LongLine(usize),
    /// It lacks this header.
    Missing(&'static str),
    /// It has this header twice.
    Twice(&'static str),
    /// Its timestamp is not a plain decimal number.
    Timestamp(String),
    /// Its timestamp has this many digits.
    TimestampDigits(usize),
    /// Its key is not taken.
    Key(KeyRejection),
    /// Its signature is not base64.
    SignatureNotBase64,
    /// Its signature is not the signer's over these bytes.
    Signature,
    /// It is for another instance.
    OtherInstance {
        /// The one it is for.
        said: String,
        /// This one.
        here: String,
    },
    /// It ended this long ago.
    Expired(Span),
}

impl fmt::Display for RecordRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("record ends before its key"),
            Self::NoSignature => f.write_str("record ends before its signature"),
            Self::LongLine(limit) => write!(f, "record has a line of more than {limit} bytes"),
            Self::Missing(name) => write!(f, "record has no {name}"),
            Self::Twice(name) => write!(f, "record has {name} twice"),
            Self::Timestamp(said) => write!(f, "record's Timestamp is \"{said}\", no number"),
            Self::TimestampDigits(digits) => {
                write!(
                    f,
                    "record's Timestamp has {digits} digits, more than {TIMESTAMP_DIGITS}"
                )
            }
            Self::Key(why) => write!(f, "record's {why}"),
            Self::SignatureNotBase64 => f.write_str("record's signature is not base64"),
            Self::Signature => f.write_str("record's signature is not the signer's"),
            Self::OtherInstance { said, here } => write!(f, "record is for instance {said}, this is {here}"),
            Self::Expired(ago) => write!(f, "record expired {ago} ago"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn parse(text: &str) -> Result<Record<'_>, RecordRejection> {
        Record::parse(text.as_bytes(), &Limits::default()).map_err(|refusal| refusal.reason)
    }

    fn with_headers(headers: &str) -> String {
        format!("{headers}{KEY}\nc2ln\n")
    }

    #[test]
    fn the_signature_covers_the_bytes_from_the_first_line_to_the_key_line() {
        let signed = format!("#Timestamp=7\n#Later=x\n#Instance=i-01234567\n{KEY}  a comment\n");
        let text = format!("{signed}c2\nln");
        let record = parse(&text).unwrap();
        assert_eq!(record.signed, signed.as_bytes());
        assert_eq!(record.signature, b"sig");
        assert_eq!(record.expires, 7);
    }

    #[test]
    fn headers_come_in_any_order_and_unknown_ones_are_ignored() {
        let text = with_headers("#Request=r=1\n#New=1\n#New=2\n#note\n#Caller=c\n#Instance=i\n#Timestamp=1\n");
        let record = parse(&text).unwrap();
        assert_eq!(record.request, Some(&b"r=1"[..]));
        assert_eq!(record.caller, Some(&b"c"[..]));
    }

    #[test]
    fn caller_and_request_may_be_missing_but_timestamp_and_instance_may_not() {
        assert!(parse(&with_headers("#Timestamp=1\n#Instance=i\n")).is_ok());
        assert_eq!(
            parse(&with_headers("#Instance=i\n")).unwrap_err(),
            RecordRejection::Missing("Timestamp")
        );
        assert_eq!(
            parse(&with_headers("#Timestamp=1\n")).unwrap_err(),
            RecordRejection::Missing("Instance")
        );
    }

    #[test]
    fn a_known_header_twice_is_refused() {
        for name in ["Timestamp", "Instance", "Caller", "Request"] {
            let text = with_headers(&format!(
                "#Timestamp=1\n#Instance=1\n#Caller=1\n#Request=1\n#{name}=1\n"
            ));
            assert_eq!(parse(&text).unwrap_err(), RecordRejection::Twice(name));
        }
    }

    #[test]
    fn a_timestamp_is_plain_decimal_of_at_most_18_digits() {
        for (text, expires) in [("0", 0), ("007", 7), ("999999999999999999", 999_999_999_999_999_999)] {
            assert_eq!(expiry(text.as_bytes()), Ok(expires));
        }
        for text in ["1000000000000000000", "0000000001750000060", "18446744073709551616"] {
            assert_eq!(
                expiry(text.as_bytes()),
                Err(RecordRejection::TimestampDigits(text.len()))
            );
        }
        for text in ["", " 1", "1 ", "+1", "-1", "1.5", "0x10", "1e9", "١"] {
            assert!(
                matches!(expiry(text.as_bytes()), Err(RecordRejection::Timestamp(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_record_cut_short_is_refused_by_what_it_lacks() {
        assert_eq!(
            parse("#Timestamp=1\n#Instance=i\n").unwrap_err(),
            RecordRejection::NoKey
        );
        let no_signature = format!("#Timestamp=1\n#Instance=i\n{KEY}\n");
        assert_eq!(parse(&no_signature).unwrap_err(), RecordRejection::NoSignature);
    }

    #[test]
    fn a_signature_that_is_not_base64_is_refused() {
        for signature in ["****", "c2ln#", "c2ln\r", " c2ln", "c2ln=", "c2l"] {
            let text = format!("#Timestamp=1\n#Instance=i\n{KEY}\n{signature}\n");
            assert_eq!(
                parse(&text).unwrap_err(),
                RecordRejection::SignatureNotBase64,
                "{signature:?}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_key_wherever_it_could_be_read() {
        let refused = |text: &str| {
            Record::parse(text.as_bytes(), &Limits::default())
                .unwrap_err()
                .fingerprint
        };
        let named = PublicKey::parse(KEY.as_bytes()).unwrap().fingerprint().to_owned();
        assert_eq!(refused(&with_headers("#Instance=i\n")), Some(named));
        assert_eq!(refused("#Timestamp=1\n#Instance=i\nssh-dss AAAA\nc2ln\n"), None);
    }

    #[test]
    fn a_key_that_is_not_taken_spoils_its_record() {
        let text = "#Timestamp=1\n#Instance=i\nssh-dss AAAA\nc2ln\n";
        assert_eq!(
            parse(text).unwrap_err(),
            RecordRejection::Key(KeyRejection::Kind("ssh-dss".into()))
        );
    }

    #[test]
    fn a_line_over_the_limit_is_refused() {
        let limits = Limits {
            record_line_bytes: 100,
            ..Limits::default()
        };
        let fits = with_headers("#Timestamp=1\n#Instance=i\n");
        assert!(Record::parse(fits.as_bytes(), &limits).is_ok());
        let long = with_headers(&format!("#Timestamp=1\n#Instance=i\n#Long={}\n", "x".repeat(100)));
        assert_eq!(
            Record::parse(long.as_bytes(), &limits).unwrap_err().reason,
            RecordRejection::LongLine(100)
        );
    }

    #[test]
    fn a_record_ends_with_its_last_second_and_is_for_one_instance() {
        let text = with_headers("#Timestamp=100\n#Instance=i-01234567\n");
        let record = parse(&text).unwrap();
        let this = InstanceId::parse(b"i-01234567").unwrap();
        let other = InstanceId::parse(b"i-012345678").unwrap();
        assert_eq!(record.holds_for(&this, 99), Ok(()));
        assert_eq!(
            record.holds_for(&this, 100),
            Err(RecordRejection::Expired(Span { seconds: 0 }))
        );
        assert_eq!(
            record.holds_for(&this, 112).unwrap_err().to_string(),
            "record expired 12 s ago"
        );
        assert_eq!(
            record.holds_for(&other, 99),
            Err(RecordRejection::OtherInstance {
                said: "i-01234567".into(),
                here: "i-012345678".into()
            })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Record::parse(&bytes, &Limits::default());
        }

        #[test]
        fn what_is_signed_is_always_where_the_record_starts(headers in "(#[A-Za-z]{1,9}=[ -~]{0,20}\n){0,4}", tail in "[A-Za-z0-9+/\n]{0,40}") {
            let text = format!("#Timestamp=1\n#Instance=i\n{headers}{KEY}\n{tail}");
            if let Ok(record) = parse(&text) {
                prop_assert!(text.as_bytes().starts_with(record.signed));
                let key_line = format!("{KEY}\n");
                prop_assert!(record.signed.ends_with(key_line.as_bytes()));
            }
        }
    }
}
