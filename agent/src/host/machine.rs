//! What this machine's own firmware says it is: the one witness that IMDS cannot speak for.

use std::path::Path;

use super::read::regular_file;
use crate::verify::identity::InstanceId;

/// Where Nitro writes the instance id, under `/sys`.
const BOARD_ASSET_TAG: &str = "devices/virtual/dmi/id/board_asset_tag";

/// Where Xen writes its domain's UUID, under `/sys`. On EC2 it starts with `ec2`.
const HYPERVISOR_UUID: &str = "hypervisor/uuid";

/// Both are one short line.
const LINE_BYTES: u64 = 256;

/// What kind of machine this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// An EC2 instance on Nitro, whose DMI tag is its instance id.
    Nitro(InstanceId),
    /// An EC2 instance on Xen; only IMDS tells its id.
    Xen,
    /// Not an EC2 instance.
    Elsewhere,
}

impl Machine {
    /// What the files under `sysfs` (usually `/sys`) say. One that cannot be read says nothing.
    #[must_use]
    pub fn look(sysfs: &Path) -> Self {
        let line = |path: &str| regular_file(&sysfs.join(path), LINE_BYTES).unwrap_or_default();
        if let Some(instance) = InstanceId::parse(&line(BOARD_ASSET_TAG)) {
            return Self::Nitro(instance);
        }
        match line(HYPERVISOR_UUID).get(..3) {
            Some(start) if start.eq_ignore_ascii_case(b"ec2") => Self::Xen,
            _ => Self::Elsewhere,
        }
    }
}
