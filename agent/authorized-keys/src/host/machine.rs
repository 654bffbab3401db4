//! What this machine says about itself: whether it is an EC2 instance, and its instance ID from a source other than IMDS.

use std::path::Path;

use super::{regular_file, safe_path};
use eic_verify::InstanceId;

/// The DMI asset tag, below `/sys`: on Nitro, the instance ID.
const BOARD_ASSET_TAG: &str = "devices/virtual/dmi/id/board_asset_tag";

/// The hypervisor's UUID, below `/sys`: on Xen, that of the domain, which starts with `ec2` on EC2.
const HYPERVISOR_UUID: &str = "hypervisor/uuid";

/// Where cloud-init writes the instance ID that it got from its data source (cloud-init's documentation, "Internal Files"),
/// each time the machine starts.
pub(crate) const CLOUD_INIT_INSTANCE_ID: &str = "/var/lib/cloud/data/instance-id";

/// Each of these files has one short line.
const LINE_BYTES: u64 = 256;

/// The kind of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// An EC2 instance on Nitro; its DMI asset tag is the instance ID.
    Nitro(InstanceId),
    /// An EC2 instance on Xen, whose firmware does not have the instance ID; and the ID that cloud-init wrote, if any.
    ///
    /// cloud-init writes it in its `init` stage (cloud-init.service), which distributions order before sshd. It got the ID
    /// from IMDS, but before anybody could log in, and only root can have changed it since. An image made from an instance
    /// contains that instance's ID until cloud-init has run, and permanently if cloud-init is disabled. Until then the ID
    /// of IMDS differs from the one in the file, no key is printed, and the log line names the file.
    Xen(Option<InstanceId>),
    /// Not an EC2 instance.
    NotEc2,
}

impl Machine {
    /// Reads the files below `sysfs` (usually `/sys`). A file that cannot be read counts as empty.
    #[must_use]
    pub fn detect(sysfs: &Path) -> Self {
        let line = |path: &str| regular_file::read(&sysfs.join(path), LINE_BYTES).unwrap_or_default();
        if let Some(instance) = InstanceId::parse(&line(BOARD_ASSET_TAG)) {
            return Self::Nitro(instance);
        }
        match line(HYPERVISOR_UUID).get(..3) {
            Some(start) if start.eq_ignore_ascii_case(b"ec2") => Self::Xen(cloud_init_instance_id()),
            _ => Self::NotEc2,
        }
    }
}

/// The ID that cloud-init wrote. It does not count if another user than root could have written the file, or if it comes
/// from a data source other than EC2 (`iid-datasource-none`).
fn cloud_init_instance_id() -> Option<InstanceId> {
    let path = Path::new(CLOUD_INIT_INSTANCE_ID);
    safe_path::check_only_root_can_write(path).ok()?;
    InstanceId::parse(&regular_file::read(path, LINE_BYTES).ok()?)
}
