//! The ID of an EC2 instance.

use crate::text::single_line;

/// An EC2 instance ID: `i-` and 8 to 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceId(String);

impl InstanceId {
    /// The instance ID that is the whole content of a file or an IMDS answer; `None` if the content is anything else.
    #[must_use]
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let line = single_line(answer)?;
        let digits = line.strip_prefix("i-")?;
        ((8..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
            .then(|| Self(line.to_owned()))
    }

    /// The ID, such as `i-0123456789abcdef0`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instance_ids_have_8_to_32_lower_case_hexadecimal_digits() {
        for good in ["i-01234567", "i-0123456789abcdef0", "i-0123456789abcdef0\n"] {
            assert!(InstanceId::parse(good.as_bytes()).is_some(), "{good:?}");
        }
        let long = format!("i-{}", "a".repeat(33));
        for bad in [
            "",
            "i-",
            "i-0123456",
            "i-0123456G",
            "i-0123456A",
            "I-01234567",
            "x-01234567",
            " i-01234567",
            "i-01234567\n\n",
            &long,
        ] {
            assert!(InstanceId::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(bytes: Vec<u8>) {
            let _ = InstanceId::parse(&bytes);
        }
    }
}
