//! The region that this instance is in.

use serde::Deserialize;

use super::error::IdentityError;
use super::partition::{Partition, is_word};
use crate::text::{quoted, single_line};

/// The name of a region, and its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    name: String,
    partition: &'static Partition,
}

/// `/latest/dynamic/instance-identity/document`; members other than the region are ignored.
#[derive(Debug, Deserialize)]
struct IdentityDocument {
    /// The region's name.
    region: String,
}

impl Region {
    /// The region according to the first of these IMDS answers that exists: `placement/region`, the instance identity
    /// document, `placement/availability-zone`.
    ///
    /// `placement/region` was added to IMDS in 2020; where IMDS does not have it (404), the document has the region, and
    /// where IMDS does not have that either, the name of the Availability Zone does.
    ///
    /// # Errors
    /// [`IdentityError`] if the first answer that exists has no valid region, or if none exists.
    pub fn from_imds(
        placement: Option<&[u8]>,
        document: Option<&[u8]>,
        zone: Option<&[u8]>,
    ) -> Result<Self, IdentityError> {
        if let Some(placement) = placement {
            return Self::parse(placement);
        }
        if let Some(document) = document {
            let document: IdentityDocument =
                serde_json::from_slice(document).map_err(|_| IdentityError::Document(quoted(document)))?;
            return Self::parse(document.region.as_bytes());
        }
        Self::of_zone(zone.ok_or(IdentityError::NoRegion)?)
    }

    /// The region whose name is the whole answer.
    ///
    /// # Errors
    /// [`IdentityError::Region`] if the name fits no partition.
    pub fn parse(answer: &[u8]) -> Result<Self, IdentityError> {
        single_line(answer)
            .and_then(Self::from_name)
            .ok_or_else(|| IdentityError::Region(quoted(answer)))
    }

    fn from_name(name: &str) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            partition: Partition::of_region(name)?,
        })
    }

    /// The region of an Availability Zone: the longest prefix of the zone's name that is the name of a region, followed
    /// by one letter and the end (`us-west-2a`) or by a hyphen (Local Zones and Wavelength Zones, `us-west-2-lax-1a`).
    fn of_zone(answer: &[u8]) -> Result<Self, IdentityError> {
        let zone = single_line(answer).unwrap_or_default();
        (1..zone.len())
            .rev()
            .filter_map(|end| zone.split_at_checked(end))
            .filter(|(_, rest)| rest.starts_with('-') || (rest.len() == 1 && is_word(rest)))
            .find_map(|(region, _)| Self::from_name(region))
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
    fn each_of_the_eight_partitions_has_its_own_regions() {
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
    fn a_name_that_is_not_a_region_is_refused() {
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
    fn zones_of_every_kind_are_in_their_region() {
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
            name(Region::from_imds(
                Some(b"us-west-2"),
                Some(document),
                Some(b"eu-west-3a")
            ))
            .as_deref(),
            Ok("us-west-2")
        );
        assert_eq!(
            name(Region::from_imds(None, Some(document), Some(b"eu-west-3a"))).as_deref(),
            Ok("eu-west-1")
        );
        assert_eq!(
            name(Region::from_imds(None, None, Some(b"eu-west-3a"))).as_deref(),
            Ok("eu-west-3")
        );
        assert_eq!(name(Region::from_imds(None, None, None)), Err(IdentityError::NoRegion));
    }

    #[test]
    fn a_wrong_answer_is_not_replaced_by_the_next_one() {
        assert!(matches!(
            Region::from_imds(Some(b"nowhere"), None, Some(b"us-west-2a")),
            Err(IdentityError::Region(_))
        ));
        assert!(matches!(
            Region::from_imds(None, Some(b"<html>"), Some(b"us-west-2a")),
            Err(IdentityError::Document(_))
        ));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(bytes: Vec<u8>) {
            let _ = (Region::parse(&bytes), Region::of_zone(&bytes));
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
