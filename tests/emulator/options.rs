//! The options with which an emulator is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::LoggedRequest;

/// How IMDS names the staples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StapleNames {
    /// SHA-1 of the certificate, the usual name.
    #[default]
    Sha1,
    /// SHA-256 of the certificate, which the real IMDS once used.
    Sha256,
}

/// The credentials with which requests to the service must be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The access key ID.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// When temporary credentials end, in seconds since the epoch.
    pub expires: Option<i64>,
}

impl Credentials {
    /// New credentials, without expiry and without a session token.
    pub fn random() -> Self {
        let id = crate::upper_hex(&rand::random::<[u8; 8]>());
        Self {
            access_key_id: format!("AKIA{id}"),
            secret_access_key: crate::upper_hex(&rand::random::<[u8; 20]>()).to_lowercase(),
            session_token: None,
            expires: None,
        }
    }
}

/// The addresses that EC2 returns for the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public IPv4 address.
    pub public_ipv4: Option<String>,
    /// The private IPv4 address.
    pub private_ipv4: String,
    /// The IPv6 address.
    pub ipv6: Option<String>,
    /// The public name.
    pub public_name: Option<String>,
    /// The private name.
    pub private_name: String,
}

impl Default for Addresses {
    /// Addresses that are set aside for examples (RFC 5737, RFC 3849).
    fn default() -> Self {
        Self {
            public_ipv4: Some("203.0.113.10".to_owned()),
            private_ipv4: "10.0.0.10".to_owned(),
            ipv6: Some("2001:db8::10".to_owned()),
            public_name: Some("ec2-203-0-113-10.us-west-2.compute.amazonaws.com".to_owned()),
            private_name: "ip-10-0-0-10.us-west-2.compute.internal".to_owned(),
        }
    }
}

/// The instance and its surroundings. Use `..Options::default()` for the other fields.
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
    /// The principal of every caller of the service.
    pub caller: String,
    /// The credentials with which requests to the service must be signed; `None` to ignore signatures.
    pub credentials: Option<Credentials>,
    /// The addresses that EC2 returns for the instance.
    pub addresses: Addresses,
    /// Where IMDS listens; port 0 is a free one. Several addresses have the same contents.
    pub imds_addresses: Vec<SocketAddr>,
    /// Where the service listens.
    pub service_address: SocketAddr,
    /// How long every answer takes.
    pub latency: Duration,
    /// How long a pushed key lives.
    pub key_lifetime: Duration,
    /// The clock reading (seconds since the epoch) around which certificates and staples are made; `None` for the current
    /// time.
    pub now: Option<i64>,
    /// The names of the staples.
    pub staple_names: StapleNames,
    /// Receives each request when its answer is known.
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
            credentials: None,
            addresses: Addresses::default(),
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
