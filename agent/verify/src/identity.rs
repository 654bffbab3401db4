//! Where this instance is, by the facts it was told, and so which signer its keys must come from.

use std::fmt;

use serde::Deserialize;

use super::text::quoted;

/// A partition of AWS: which regions are in it, and the domain its services live under.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// As `services/partition` names it.
    pub name: &'static str,
    /// What its regions start with; `None` for any two letters that no other partition claims.
    prefix: Option<&'static str>,
    /// How many words stand between the prefix and the number.
    words: usize,
    /// The domain of its services. This is the fence: a signer under any other domain is somebody else's.
    pub domain: &'static str,
    /// Who issues its signers' certificates.
    pub signer_cas: SignerCas,
}

/// Who issues the certificates of a partition's signers, and so what they can be relied on to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignerCas {
    /// Public CAs. They put each name that they validated into subjectAltName, and serverAuth into extendedKeyUsage
    /// (Baseline Requirements 7.1.2.7); a common name alone, or in a client's certificate, was validated by nobody.
    Public,
    /// Private CAs of an isolated partition, whose certificates nobody outside has seen. What RFC 5280 leaves optional may
    /// be absent there: refusing it could lock everybody out. No public CA can validate a name of those domains.
    Private,
}

/// The eight partitions. A region is of the first one whose prefix it bears.
pub static PARTITIONS: [Partition; 8] = [
    partition("aws-cn", Some("cn"), 1, "amazonaws.com.cn", SignerCas::Public),
    partition("aws-us-gov", Some("us-gov"), 1, "amazonaws.com", SignerCas::Public),
    partition("aws-iso", Some("us-iso"), 1, "c2s.ic.gov", SignerCas::Private),
    partition("aws-iso-b", Some("us-isob"), 1, "sc2s.sgov.gov", SignerCas::Private),
    partition("aws-iso-e", Some("eu-isoe"), 1, "cloud.adc-e.uk", SignerCas::Private),
    partition("aws-iso-f", Some("us-isof"), 1, "csp.hci.ic.gov", SignerCas::Private),
    partition("aws-eusc", Some("eusc"), 2, "amazonaws.eu", SignerCas::Public),
    partition("aws", None, 1, "amazonaws.com", SignerCas::Public),
];

const fn partition(
    name: &'static str,
    prefix: Option<&'static str>,
    words: usize,
    domain: &'static str,
    signer_cas: SignerCas,
) -> Partition {
    Partition {
        name,
        prefix,
        words,
        domain,
        signer_cas,
    }
}

impl Partition {
    /// What follows this partition's prefix and its hyphen, where `region` bears it.
    fn rest_of<'r>(&self, region: &'r str) -> Option<&'r str> {
        match self.prefix {
            Some(prefix) => region.strip_prefix(prefix)?.strip_prefix('-'),
            // Any two letters: a region opened after this program was built must not lock its owners out.
            None => {
                let (letters, rest) = region.split_once('-')?;
                (letters.len() == 2 && is_word(letters)).then_some(rest)
            }
        }
    }

    /// Whether `rest` is this partition's number of words and then a number of one or two digits.
    fn ends_well(&self, rest: &str) -> bool {
        let mut parts = rest.split('-');
        let words = parts.by_ref().take(self.words).filter(|word| is_word(word)).count();
        let number = parts.next().unwrap_or_default();
        words == self.words
            && (1..=2).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
            && parts.next().is_none()
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase())
}

/// A region's name, and the partition it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    name: String,
    partition: &'static Partition,
}

impl Region {
    /// A region by its name.
    ///
    /// # Errors
    /// [`IdentityError::Region`] where the name fits no partition.
    pub fn parse(answer: &[u8]) -> Result<Self, IdentityError> {
        one_line(answer)
            .and_then(Self::named)
            .ok_or_else(|| IdentityError::Region(quoted(answer)))
    }

    fn named(name: &str) -> Option<Self> {
        let (partition, rest) = PARTITIONS
            .iter()
            .find_map(|partition| Some((partition, partition.rest_of(name)?)))?;
        partition.ends_well(rest).then(|| Self {
            name: name.to_owned(),
            partition,
        })
    }

    /// The region a zone lies in: the zone's longest prefix that is a region, followed by one letter and the end
    /// (`us-west-2a`) or by a hyphen (Local Zones and Wavelength, `us-west-2-lax-1a`).
    ///
    /// # Errors
    /// [`IdentityError::Zone`] where no prefix is a region.
    pub fn of_zone(answer: &[u8]) -> Result<Self, IdentityError> {
        let zone = one_line(answer).unwrap_or_default();
        (1..zone.len())
            .rev()
            .filter_map(|end| zone.split_at_checked(end))
            .filter(|(_, rest)| rest.starts_with('-') || (rest.len() == 1 && is_word(rest)))
            .find_map(|(region, _)| Self::named(region))
            .ok_or_else(|| IdentityError::Zone(quoted(answer)))
    }

    /// The name, such as `us-west-2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &'static Partition {
        self.partition
    }
}

/// What `/latest/dynamic/instance-identity/document` says of where we are; its other members are ignored.
#[derive(Debug, Deserialize)]
pub struct IdentityDocument {
    /// The region's name.
    pub region: String,
}

/// The region by whichever answer IMDS has, in the order they are to be believed.
///
/// `placement/region` came to IMDS in 2020; where it is not there (404), the instance-identity document tells, and
/// where that is not there either, the zone does.
///
/// # Errors
/// As [`Region::parse`] and [`Region::of_zone`]; [`IdentityError::Nowhere`] where IMDS has none of the three.
pub fn region(placement: Option<&[u8]>, document: Option<&[u8]>, zone: Option<&[u8]>) -> Result<Region, IdentityError> {
    if let Some(placement) = placement {
        return Region::parse(placement);
    }
    if let Some(document) = document {
        let document: IdentityDocument =
            serde_json::from_slice(document).map_err(|_| IdentityError::Document(quoted(document)))?;
        return Region::parse(document.region.as_bytes());
    }
    Region::of_zone(zone.ok_or(IdentityError::Nowhere)?)
}

/// An EC2 instance id: `i-` and 8 to 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceId(String);

impl InstanceId {
    /// The id that a file or an answer consists of; `None` where it is anything else.
    #[must_use]
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let line = one_line(answer)?;
        let digits = line.strip_prefix("i-")?;
        ((8..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
            .then(|| Self(line.to_owned()))
    }

    /// The id, such as `i-0123456789abcdef0`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one line an answer consists of, with or without its line end.
fn one_line(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer).ok()?;
    Some(text.strip_suffix('\n').unwrap_or(text))
}

/// Who must have signed the keys of this instance: the name in the signer certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedSigner {
    name: String,
    region: Region,
}

/// What a signer's name starts with, whatever its region.
pub const SIGNER_PREFIX: &str = "managed-ssh-signer.";

impl ExpectedSigner {
    /// The signer for `region`, given the domain that IMDS says this instance's services are under.
    ///
    /// # Errors
    /// [`IdentityError::Domain`] where that is not the domain of the region's partition: a signer of that name would
    /// be somebody else's.
    pub fn new(region: Region, domain: &[u8]) -> Result<Self, IdentityError> {
        let belongs = region.partition.domain;
        if one_line(domain) != Some(belongs) {
            return Err(IdentityError::Domain {
                said: quoted(domain),
                region: region.name,
                belongs,
            });
        }
        Ok(Self {
            name: format!("{SIGNER_PREFIX}{}.{belongs}", region.name),
            region,
        })
    }

    /// The name its certificate must bear.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who issues its certificate.
    #[must_use]
    pub fn cas(&self) -> SignerCas {
        self.region.partition.signer_cas
    }

    /// The region it signs for.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// Why the expected signer could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityError {
    /// The region's name fits no partition of AWS.
    Region(String),
    /// The zone lies in no region of AWS.
    Zone(String),
    /// The instance-identity document is not JSON with a region.
    Document(String),
    /// IMDS told neither region, document nor zone.
    Nowhere,
    /// The domain is not the one of the region's partition.
    Domain {
        /// What IMDS said.
        said: String,
        /// The region.
        region: String,
        /// The domain of the region's partition.
        belongs: &'static str,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(said) => write!(f, "\"{said}\" is no region of AWS"),
            Self::Zone(said) => write!(f, "zone \"{said}\" lies in no region of AWS"),
            Self::Document(said) => {
                write!(f, "the instance-identity document names no region: \"{said}\"")
            }
            Self::Nowhere => f.write_str("IMDS tells neither region nor zone"),
            Self::Domain { said, region, belongs } => write!(
                f,
                "IMDS says the services of {region} are under \"{said}\", but they are under {belongs}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partition_of(region: &str) -> Option<&'static str> {
        Region::parse(region.as_bytes())
            .ok()
            .map(|region| region.partition().name)
    }

    #[test]
    fn each_of_the_eight_partitions_claims_its_own_regions() {
        for (region, partition) in [
            ("us-west-2", "aws"),
            ("ap-southeast-12", "aws"),
            ("mx-central-1", "aws"),
            ("zz-somewhere-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), Some(partition), "{region}");
        }
    }

    #[test]
    fn what_is_no_region_is_refused() {
        for region in [
            "",
            "us-west",
            "us-west-",
            "us-west-123",
            "us-west-2a",
            "us--2",
            "usa-west-2",
            "u-west-2",
            "US-west-2",
            "us-w3st-2",
            "us-west-2-lax-1",
            "us-gov-1",
            "us-iso-1",
            "eu-isoe-1",
            "cn-1",
            "eusc-de-1",
            "us-west-2\n\n",
            "us-west-2 ",
            "us-west-٢",
            "evil.example/us-west-2",
        ] {
            assert_eq!(
                Region::parse(region.as_bytes()),
                Err(IdentityError::Region(quoted(region.as_bytes()))),
                "{region:?}"
            );
        }
    }

    #[test]
    fn zones_of_every_kind_lie_in_their_region() {
        for (zone, region) in [
            ("us-west-2a", "us-west-2"),
            ("us-west-2-lax-1a", "us-west-2"),
            ("ap-southeast-1-bkk-1a", "ap-southeast-1"),
            ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
            ("us-east-1-foe-wlz-1a", "us-east-1"),
            ("us-gov-west-1b", "us-gov-west-1"),
            ("us-east-12a", "us-east-12"),
            ("eusc-de-east-1a", "eusc-de-east-1"),
        ] {
            let found = Region::of_zone(zone.as_bytes()).map(|region| region.name().to_owned());
            assert_eq!(found.as_deref(), Ok(region), "{zone}");
        }
    }

    #[test]
    fn a_zone_outside_every_region_is_refused() {
        for zone in [
            "",
            "a",
            "us-west-2",
            "us-west-2ab",
            "us-west-2A",
            "us-west-2.a",
            "us-west-222a",
            "über-west-2a",
        ] {
            assert!(
                matches!(Region::of_zone(zone.as_bytes()), Err(IdentityError::Zone(_))),
                "{zone:?}"
            );
        }
    }

    #[test]
    fn the_region_comes_from_placement_then_the_document_then_the_zone() {
        let document = br#"{"instanceId":"i-1","region":"eu-west-1","accountId":null}"#;
        let name = |region: Result<Region, _>| region.map(|region| region.name);
        assert_eq!(
            name(region(Some(b"us-west-2"), Some(document), Some(b"eu-west-3a"))).as_deref(),
            Ok("us-west-2")
        );
        assert_eq!(
            name(region(None, Some(document), Some(b"eu-west-3a"))).as_deref(),
            Ok("eu-west-1")
        );
        assert_eq!(
            name(region(None, None, Some(b"eu-west-3a"))).as_deref(),
            Ok("eu-west-3")
        );
        assert_eq!(name(region(None, None, None)), Err(IdentityError::Nowhere));
    }

    #[test]
    fn a_wrong_answer_is_not_made_good_by_the_next_one() {
        assert!(matches!(
            region(Some(b"nowhere"), None, Some(b"us-west-2a")),
            Err(IdentityError::Region(_))
        ));
        assert!(matches!(
            region(None, Some(b"<html>"), Some(b"us-west-2a")),
            Err(IdentityError::Document(_))
        ));
    }

    #[test]
    fn the_signer_is_named_after_region_and_domain() {
        let region = Region::parse(b"cn-north-1").unwrap();
        let signer = ExpectedSigner::new(region, b"amazonaws.com.cn").unwrap();
        assert_eq!(signer.name(), "managed-ssh-signer.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn a_domain_of_another_partition_or_of_nobody_is_refused() {
        for domain in [
            "amazonaws.com.cn",
            "amazonaws.com.",
            "evil.example",
            "",
            "AMAZONAWS.COM",
            "amazonaws.com\n\n",
        ] {
            let region = Region::parse(b"us-west-2").unwrap();
            assert_eq!(
                ExpectedSigner::new(region, domain.as_bytes()),
                Err(IdentityError::Domain {
                    said: quoted(domain.as_bytes()),
                    region: "us-west-2".into(),
                    belongs: "amazonaws.com",
                }),
                "{domain:?}"
            );
        }
    }

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
        fn no_answer_makes_the_parsers_panic(bytes: Vec<u8>) {
            let _ = (Region::parse(&bytes), Region::of_zone(&bytes), InstanceId::parse(&bytes));
        }

        #[test]
        fn a_region_is_found_again_in_each_of_its_zones(letters in "[a-z]{2}", word in "[a-z]{1,9}", number in 1..99u8, tail in "[a-z]|-[a-z]{3}-1[a-z]") {
            let name = format!("{letters}-{word}-{number}");
            if let Ok(region) = Region::parse(name.as_bytes()) {
                prop_assert_eq!(Region::of_zone(format!("{name}{tail}").as_bytes()), Ok(region));
            }
        }
    }
}
