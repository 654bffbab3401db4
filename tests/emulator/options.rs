//! What an emulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::LoggedRequest;

/// How IMDS names the staples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StapleNames {
    /// SHA-1 of the certificate, as it is as a rule.
    #[default]
    Sha1,
    /// SHA-256 of the certificate, as it once was.
    Sha256,
}

/// The instance to play, and where. `..Options::default()` leaves the rest as it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The region.
    pub region: String,
    /// The availability zone.
    pub zone: String,
    /// The domain of the partition's services.
    pub domain: String,
    /// The partition.
    pub partition: String,
    /// The instance.
    pub instance_id: String,
    /// The account that owns it.
    pub account: String,
    /// The principal that the service takes every caller for.
    pub caller: String,
    /// Where IMDS listens; port 0 is a free one. Several addresses have the same contents.
    pub imds_addresses: Vec<SocketAddr>,
    /// Where the service listens.
    pub service_address: SocketAddr,
    /// How long every answer takes.
    pub latency: Duration,
    /// How long a pushed key lives.
    pub key_lifetime: Duration,
    /// The clock reading (seconds since the epoch) around which certificates and staples are made; the clock's own where `None`.
    pub now: Option<i64>,
    /// The names of the staples.
    pub staple_names: StapleNames,
    /// Is told of each request when its answer is decided.
    pub observer: Option<Sender<LoggedRequest>>,
}

impl Default for Options {
    fn default() -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            region: "us-west-2".to_owned(),
            zone: "us-west-2a".to_owned(),
            domain: "amazonaws.com".to_owned(),
            partition: "aws".to_owned(),
            instance_id: "i-0123456789abcdef0".to_owned(),
            account: "123412341234".to_owned(),
            caller: "arn:aws:sts::123412341234:assumed-role/Developer/session".to_owned(),
            imds_addresses: vec![anywhere],
            service_address: anywhere,
            latency: Duration::ZERO,
            key_lifetime: Duration::from_secs(60),
            now: None,
            staple_names: StapleNames::Sha1,
            observer: None,
        }
    }
}

impl Options {
    /// The defaults in another region, in its zone `a`.
    pub fn in_region(region: &str, partition: &str, domain: &str) -> Self {
        Self {
            region: region.to_owned(),
            zone: format!("{region}a"),
            partition: partition.to_owned(),
            domain: domain.to_owned(),
            ..Self::default()
        }
    }
}
