//! All eight partitions, end to end: a signer of that region and domain is accepted there and nowhere else.

use eic_verify::{ExpectedSigner, IdentityError, PARTITIONS, Region, SignerRejection};
use emulator::Pki;

use crate::judge::{Case, NOW};

/// A region of each partition, with the partition's domain.
const PLACES: [(&str, &str, &str); 8] = [
    ("aws", "eu-central-1", "amazonaws.com"),
    ("aws-cn", "cn-northwest-1", "amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-east-1", "amazonaws.com"),
    ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
    ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
    ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
    ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
    ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
];

fn region(name: &str) -> Region {
    Region::parse(name.as_bytes()).expect("a region of AWS")
}

fn case(region: &str, domain: &str) -> Case {
    Case {
        region: region.to_owned(),
        domain: domain.to_owned(),
        ..Case::of(&Pki::new(region, domain, NOW))
    }
}

#[test]
fn each_partition_has_its_place_here() {
    for partition in &PARTITIONS {
        assert!(
            PLACES.contains(&(
                partition.name,
                PLACES
                    .iter()
                    .find(|place| place.0 == partition.name)
                    .expect("a place")
                    .1,
                partition.domain
            ))
        );
    }
    assert_eq!(PARTITIONS.len(), PLACES.len());
    for (name, place, domain) in PLACES {
        assert_eq!(region(place).partition().name, name);
        assert_eq!(region(place).partition().domain, domain);
    }
}

#[test]
fn a_signer_is_accepted_in_its_own_region_and_refused_in_every_other() {
    let cases: Vec<Case> = PLACES.iter().map(|(_, region, domain)| case(region, domain)).collect();
    for (index, case) in cases.iter().enumerate() {
        case.is_accepted();
        for (_, region, domain) in PLACES.iter().filter(|place| place.1 != case.region) {
            let elsewhere = Case {
                region: (*region).to_owned(),
                domain: (*domain).to_owned(),
                ..case.clone()
            };
            elsewhere.is_refused(&SignerRejection::OtherRegion {
                signer: format!("{}.{}", PLACES[index].1, PLACES[index].2),
                here: format!("{region}.{domain}"),
            });
        }
    }
}

#[test]
fn a_domain_of_another_partition_is_refused_before_any_certificate_is_read() {
    for (_, place, domain) in PLACES {
        for (_, _, other) in PLACES.iter().filter(|other| other.2 != domain) {
            assert_eq!(
                ExpectedSigner::new(region(place), other.as_bytes()),
                Err(IdentityError::Domain {
                    served: (*other).to_owned(),
                    region: place.to_owned(),
                    expected: region(place).partition().domain,
                })
            );
        }
        let error = ExpectedSigner::new(region(place), b"example.com").expect_err("nobody's domain");
        assert_eq!(
            error.to_string(),
            format!("IMDS returned the services domain \"example.com\", but that of {place} is {domain}")
        );
    }
}

#[test]
fn a_region_that_opens_tomorrow_is_served() {
    case("zz-north-1", "amazonaws.com").is_accepted();
    case("eusc-fr-west-2", "amazonaws.eu").is_accepted();
    case("us-gov-central-12", "amazonaws.com").is_accepted();
}
