//! Emulates what an instance and its clients use when a key is pushed: IMDSv2, the service's `SendSSHPublicKey`, and the
//! part of EC2's API that clients use before it.
//!
//! ```text
//!                SendSSHPublicKey                          PUT token, GET managed-ssh-keys/…
//!  a client ───────────────────────┐              ┌──────────────────────── the program under test
//!                                  ▼              ▼                                  │
//!                            ┌─ service ─┐  ┌── imds ──┐                             │ reads
//!                            │ validates │  │ tokens   │                             ▼
//!                            │ a key     │  │ paths    │                    sysfs/, roots.pem
//!                            └────┬──────┘  └──▲───▲───┘                         (instance)
//!                                 │            │   │                                 ▲
//!                                 └─► record ──┘   └── chain, staple ◄── pki ────────┘
//!                                 signed by the leaf                     root
//!
//!  http  serves both, on plain TCP      fault  applies faults to answers      key, certificate  can make anything wrong
//! ```
//!
//! Each [`Emulator`] has its own thread, ports, tokens and log; keys are made once per process and shared. All methods are
//! synchronous, so that a plain `#[test]` can use them:
//!
//! ```
//! let emulator = emulator::Emulator::start(emulator::Options::default())?;
//! emulator.push("ec2-user", "ssh-ed25519 AAAA…");
//! println!("{}", emulator.imds_url());
//! assert_eq!(emulator.requests().len(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod certificate;
pub mod dead_end;
pub mod ec2;
mod encoding;
pub mod fault;
mod handle;
pub mod http;
pub mod imds;
pub mod instance;
pub mod kept_keys;
pub mod key;
mod log;
pub mod name;
mod options;
pub mod pki;
pub mod record;
pub mod service;
pub mod sigv4;
pub mod staple;
#[cfg(test)]
mod tests;
pub mod worst;

pub use certificate::{Certificate, CertificateTemplate};
pub use dead_end::{RefusingPort, SilentListener};
pub use encoding::{base64_lines, now, pem, upper_hex};
pub use fault::{Fault, FaultRule, Share};
pub use handle::Emulator;
pub use imds::Imds;
pub use key::{Key, SignatureAlgorithm};
pub use log::{Listener, LoggedRequest};
pub use options::{Addresses, Credentials, Options, StapleNames};
pub use pki::Pki;
pub use record::{Record, RecordSignature, RecordTemplate};
pub use staple::{Staple, StapleTemplate};

pub(crate) use encoding::url;
