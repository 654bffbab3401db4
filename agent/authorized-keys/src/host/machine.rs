//! What this machine itself says it is: the witness that IMDS cannot speak for.

use std::path::Path;

use super::read::regular_file;
use super::safe_path;
use eic_verify::identity::InstanceId;

/// Where Nitro writes the instance id, under `/sys`.
const BOARD_ASSET_TAG: &str = "devices/virtual/dmi/id/board_asset_tag";

/// Where Xen writes its domain's UUID, under `/sys`. On EC2 it starts with `ec2`.
const HYPERVISOR_UUID: &str = "hypervisor/uuid";

/// Where cloud-init writes the instance id that it got from its data source (cloud-init's documentation, "Internal
/// Files"), each time the machine starts.
pub(crate) const CLOUD_INIT_ID: &str = "/var/lib/cloud/data/instance-id";

/// Each of them is one short line.
const LINE_BYTES: u64 = 256;

/// What kind of machine this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// An EC2 instance on Nitro, whose DMI tag is its instance id.
    Nitro(InstanceId),
    /// An EC2 instance on Xen, whose firmware does not tell its id, and the id that cloud-init wrote down, if it did.
    ///
    /// cloud-init writes it in its `init` stage (cloud-init.service), which distributions order before sshd. It had it
    /// from IMDS, but before anybody could log in, and only root can have changed it since. An image that was made of
    /// an instance carries that instance's id until cloud-init has run, and for good where cloud-init is disabled. For
    /// so long IMDS contradicts the file, no key is printed, and the log line names the file.
    Xen(Option<InstanceId>),
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
            Some(start) if start.eq_ignore_ascii_case(b"ec2") => Self::Xen(written_by_cloud_init()),
            _ => Self::Elsewhere,
        }
    }
}

/// The id that cloud-init wrote down. A file that others than root could have written is no witness, and neither is
/// what another data source than EC2's wrote (`iid-datasource-none`).
fn written_by_cloud_init() -> Option<InstanceId> {
    let path = Path::new(CLOUD_INIT_ID);
    safe_path::check_written_by_root(path).ok()?;
    InstanceId::parse(&regular_file(path, LINE_BYTES).ok()?)
}
