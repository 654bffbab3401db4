//! Where the program runs: the kind of machine, the instance, region, partition and domain.

use emulator::imds::IDENTITY_DOCUMENT;
use emulator::{Options, instance};

use crate::harness::{INSTANCE, Instance, USER, not_ec2, provided_none};
use crate::keys::{PublicKey, providing, refused};

/// An instance with these options and a pushed key; returns what a good login prints and logs.
fn with_key(options: Options) -> (Instance, String, String) {
    let key = PublicKey::ed25519(1);
    let instance = Instance::with(options);
    let request = instance.emulator.push(USER, &key.line());
    (instance, key.printed(), providing(&key, &request))
}

#[test]
fn a_machine_that_is_no_instance_asks_nobody() {
    let (instance, ..) = with_key(Options::default());
    let other = instance.folder.path().join("other");
    instance::write_sysfs(&other, &instance::Machine::Other).unwrap();
    let outcome = instance.login(USER).option("--sysfs", &other).run();
    outcome.refused(0, &not_ec2(&other));
    assert_eq!(instance.requests(), 0);
}

#[test]
fn a_sysfs_that_is_not_there_is_named() {
    let (instance, ..) = with_key(Options::default());
    for sysfs in [instance.folder.path().join("nothing"), instance.files.roots.clone()] {
        let outcome = instance.login(USER).option("--sysfs", &sysfs).run();
        let sysfs = sysfs.display();
        let why = format!("cannot determine whether this is an EC2 instance: {sysfs} is not a directory");
        outcome.refused(0, &why);
    }
    assert_eq!(instance.requests(), 0);
}

#[test]
fn a_hypervisor_uuid_of_somebody_else_s_is_no_instance() {
    let (instance, ..) = with_key(Options::default());
    let sysfs = instance.folder.path().join("xen");
    instance::write_sysfs(&sysfs, &instance::Machine::Xen).unwrap();
    std::fs::write(sysfs.join("hypervisor/uuid"), "ed2e1916-9099-7caf-fd21-012345abcdef\n").unwrap();
    let outcome = instance.login(USER).option("--sysfs", &sysfs).run();
    outcome.refused(0, &not_ec2(&sysfs));
    assert_eq!(instance.requests(), 0);
}

#[test]
fn firmware_that_names_another_instance_than_imds_gets_no_keys() {
    let (instance, ..) = with_key(Options::default());
    let other = "i-0fedcba9876543210";
    let sysfs = instance.folder.path().join("other");
    instance::write_sysfs(&sysfs, &instance::Machine::Nitro(other.to_owned())).unwrap();
    let login = instance.login(USER).option("--sysfs", sysfs);

    // The record is for the instance that IMDS names.
    let key = PublicKey::ed25519(1);
    let why = format!("record is for instance {INSTANCE}, but this is {other}");
    login.run().refused(0, &refused(&key, &why));

    // The record is for the instance that the firmware names.
    instance.emulator.with_imds(|imds| {
        imds.unpublish(USER);
        let record = imds.record(&key.line()).with("Instance", other);
        imds.publish(USER, &record);
    });
    let why = format!("the instance ID is {other} according to the DMI data, but {INSTANCE} according to IMDS");
    login.run().refused(0, &provided_none(&why));
}

#[test]
fn the_region_comes_from_the_document_where_imds_does_not_tell_it() {
    let (instance, printed, said) = with_key(Options::default());
    instance.emulator.with_imds(|imds| {
        imds.remove("placement/region");
        // If the zone were used first, this would be another region.
        imds.set("placement/availability-zone", "eu-central-1a");
    });
    instance.login(USER).run().is(0, &printed, &said);
}

#[test]
fn the_region_comes_from_the_zone_where_imds_has_nothing_else() {
    for zone in ["us-west-2b", "us-west-2-lax-1a", "us-west-2-wl1-den-wlz-1"] {
        let (instance, printed, said) = with_key(Options {
            zone: zone.to_owned(),
            ..Options::default()
        });
        instance.emulator.with_imds(|imds| {
            imds.remove("placement/region");
            imds.remove(IDENTITY_DOCUMENT);
        });
        instance.login(USER).run().is(0, &printed, &said);
    }
}

#[test]
fn an_imds_that_has_no_word_on_the_region_is_a_failure() {
    let (instance, ..) = with_key(Options::default());
    instance.emulator.with_imds(|imds| {
        imds.remove("placement/region");
        imds.remove("placement/availability-zone");
        imds.remove(IDENTITY_DOCUMENT);
    });
    let outcome = instance.login(USER).run();
    assert!(outcome.said().starts_with(&provided_none("")), "{}", outcome.said());
    assert!(outcome.said().contains("region"), "{}", outcome.said());
    outcome.is(1, "", outcome.said());
}

#[test]
fn a_local_zone_s_instance_gets_its_keys() {
    let (instance, printed, said) = with_key(Options {
        zone: "us-west-2-lax-1a".to_owned(),
        ..Options::default()
    });
    instance.login(USER).run().is(0, &printed, &said);
}

#[test]
fn each_of_the_eight_partitions_has_its_signer() {
    for (region, partition, domain) in [
        ("eu-central-1", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
        ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
        ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
        ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
    ] {
        let (instance, printed, said) = with_key(Options::in_region(region, partition, domain));
        instance.login(USER).run().is(0, &printed, &said);
    }
}

#[test]
fn a_domain_that_is_not_the_partition_s_is_refused_whoever_holds_its_certificate() {
    for (region, domain) in [
        ("us-west-2", "example.com"),
        ("us-west-2", "amazonaws.com.cn"),
        ("cn-north-1", "amazonaws.com"),
        ("us-west-2", "amazonaws.com.example.com"),
    ] {
        let (instance, ..) = with_key(Options::in_region(region, "aws", domain));
        let outcome = instance.login(USER).run();
        assert!(outcome.said().starts_with(&provided_none("")), "{}", outcome.said());
        assert!(outcome.said().contains(&format!("\"{domain}\"")), "{}", outcome.said());
        outcome.is(1, "", outcome.said());
    }
}

#[test]
fn a_signer_of_another_region_is_refused() {
    let (instance, ..) = with_key(Options::in_region("us-east-1", "aws", "amazonaws.com"));
    instance
        .emulator
        .with_imds(|imds| imds.set("placement/region", "us-west-2"));
    let why = "signer certificate is for us-east-1.amazonaws.com, but this is us-west-2.amazonaws.com";
    instance.login(USER).run().refused(1, &provided_none(why));
}
