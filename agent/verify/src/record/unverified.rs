//! One well-formed record, before its signature is checked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::headers::{Headers, check_length, parse_timestamp, without_line_feed};
use super::public_key::PublicKey;
use super::rejection::{RecordRejection, RefusedRecord};
use crate::identity::InstanceId;
use crate::limits::Limits;
use crate::text::{TimeSpan, quoted};

/// A well-formed record of one pushed key. Nothing in it is trusted before [`UnverifiedRecord::verify`].
#[derive(Debug)]
pub struct UnverifiedRecord<'a> {
    /// The bytes that the signature covers, as received: from the first line to the key line, each with its line feed.
    pub(super) signed: &'a [u8],
    /// The time at which the key expires, in seconds since the epoch.
    expires: u64,
    /// The instance that the key was pushed to.
    instance: &'a [u8],
    /// The IAM principal that pushed the key.
    pub(super) caller: Option<&'a [u8]>,
    /// The ID of the request that pushed the key.
    pub(super) request: Option<&'a [u8]>,
    pub(super) key: PublicKey,
    pub(super) signature: Vec<u8>,
}

impl<'a> UnverifiedRecord<'a> {
    /// Parses a record: header lines `#Name=value` in any order, the key line, the signature in base64.
    ///
    /// # Errors
    /// [`RefusedRecord`], with the key's fingerprint whenever the key could be read: a malformed record of a key that the
    /// user did not offer is not reported.
    pub(super) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, RefusedRecord> {
        let parts = Parts::split(bytes);
        let key = parts.key(limits).map_err(|reason| RefusedRecord {
            fingerprint: None,
            reason,
        })?;
        let fingerprint = Some(key.fingerprint().to_owned());
        Self::from_parts(&parts, key, limits).map_err(|reason| RefusedRecord { fingerprint, reason })
    }

    fn from_parts(parts: &Parts<'a>, key: PublicKey, limits: &Limits) -> Result<Self, RecordRejection> {
        let headers = Headers::parse(parts.headers, limits)?;
        let signature: Vec<u8> = parts.signature.iter().copied().filter(|&byte| byte != b'\n').collect();
        if signature.is_empty() {
            return Err(RecordRejection::NoSignature);
        }
        Ok(Self {
            signed: parts.signed,
            expires: parse_timestamp(headers.timestamp.ok_or(RecordRejection::Missing("Timestamp"))?)?,
            instance: headers.instance.ok_or(RecordRejection::Missing("Instance"))?,
            caller: headers.caller,
            request: headers.request,
            key,
            signature: STANDARD
                .decode(signature)
                .map_err(|_| RecordRejection::SignatureNotBase64)?,
        })
    }

    /// The key that the record contains.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The time at which the key expires according to the record, in seconds since the epoch.
    pub(super) fn expires(&self) -> u64 {
        self.expires
    }

    /// Checks that the record is for this instance and has not expired at `now` (seconds since the epoch).
    pub(super) fn check_instance_and_expiry(&self, instance: &InstanceId, now: u64) -> Result<(), RecordRejection> {
        if self.instance != instance.as_str().as_bytes() {
            return Err(RecordRejection::OtherInstance {
                record: quoted(self.instance),
                here: instance.as_str().to_owned(),
            });
        }
        if self.expires <= now {
            return Err(RecordRejection::Expired(TimeSpan::between(self.expires, now)));
        }
        Ok(())
    }

    /// This record, refused for `reason`.
    pub(super) fn refused(&self, reason: RecordRejection) -> RefusedRecord {
        RefusedRecord {
            fingerprint: Some(self.key.fingerprint().to_owned()),
            reason,
        }
    }
}

/// A record split at its key line, which is the first line that does not start with `#`.
struct Parts<'a> {
    /// The headers and the key line.
    signed: &'a [u8],
    headers: &'a [u8],
    key_line: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(bytes: &'a [u8]) -> Self {
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
        PublicKey::parse(without_line_feed(self.key_line)).map_err(RecordRejection::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::public_key::PublicKeyError;
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn parse(text: &str) -> Result<UnverifiedRecord<'_>, RecordRejection> {
        UnverifiedRecord::parse(text.as_bytes(), &Limits::default()).map_err(|refusal| refusal.reason)
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
            assert_eq!(parse(&text).unwrap_err(), RecordRejection::Duplicate(name));
        }
    }

    #[test]
    fn a_truncated_record_is_refused_for_its_first_missing_part() {
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
    fn a_refused_record_names_its_key_if_that_could_be_read() {
        let refused = |text: &str| {
            UnverifiedRecord::parse(text.as_bytes(), &Limits::default())
                .unwrap_err()
                .fingerprint
        };
        let named = PublicKey::parse(KEY.as_bytes()).unwrap().fingerprint().to_owned();
        assert_eq!(refused(&with_headers("#Instance=i\n")), Some(named));
        assert_eq!(refused("#Timestamp=1\n#Instance=i\nssh-dss AAAA\nc2ln\n"), None);
    }

    #[test]
    fn a_record_whose_key_is_not_accepted_is_refused() {
        let text = "#Timestamp=1\n#Instance=i\nssh-dss AAAA\nc2ln\n";
        assert_eq!(
            parse(text).unwrap_err(),
            RecordRejection::Key(PublicKeyError::Type("ssh-dss".into()))
        );
    }

    #[test]
    fn a_line_over_the_limit_is_refused() {
        let limits = Limits {
            record_line_bytes: 100,
            ..Limits::default()
        };
        let fits = with_headers("#Timestamp=1\n#Instance=i\n");
        assert!(UnverifiedRecord::parse(fits.as_bytes(), &limits).is_ok());
        let long = with_headers(&format!("#Timestamp=1\n#Instance=i\n#Long={}\n", "x".repeat(100)));
        assert_eq!(
            UnverifiedRecord::parse(long.as_bytes(), &limits).unwrap_err().reason,
            RecordRejection::LongLine(100)
        );
    }

    #[test]
    fn a_record_is_valid_before_its_timestamp_and_for_one_instance() {
        let text = with_headers("#Timestamp=100\n#Instance=i-01234567\n");
        let record = parse(&text).unwrap();
        let this = InstanceId::parse(b"i-01234567").unwrap();
        let other = InstanceId::parse(b"i-012345678").unwrap();
        assert_eq!(record.check_instance_and_expiry(&this, 99), Ok(()));
        assert_eq!(
            record.check_instance_and_expiry(&this, 100),
            Err(RecordRejection::Expired(TimeSpan { seconds: 0 }))
        );
        assert_eq!(
            record.check_instance_and_expiry(&this, 112).unwrap_err().to_string(),
            "record expired 12 s ago"
        );
        assert_eq!(
            record.check_instance_and_expiry(&other, 99),
            Err(RecordRejection::OtherInstance {
                record: "i-01234567".into(),
                here: "i-012345678".into()
            })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = UnverifiedRecord::parse(&bytes, &Limits::default());
        }

        #[test]
        fn the_signed_bytes_are_always_the_start_of_the_record(headers in "(#[A-Za-z]{1,9}=[ -~]{0,20}\n){0,4}", tail in "[A-Za-z0-9+/\n]{0,40}") {
            let text = format!("#Timestamp=1\n#Instance=i\n{headers}{KEY}\n{tail}");
            if let Ok(record) = parse(&text) {
                prop_assert!(text.as_bytes().starts_with(record.signed));
                let key_line = format!("{KEY}\n");
                prop_assert!(record.signed.ends_with(key_line.as_bytes()));
            }
        }
    }
}
