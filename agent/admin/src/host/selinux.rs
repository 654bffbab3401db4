//! Whether SELinux is enabled without the policy module that lets sshd's AuthorizedKeysCommand connect to IMDS.

use std::fs;
use std::path::Path;

/// The name of the module (`semodule -l`); the package `ec2-instance-connect-selinux` loads it.
const MODULE: &str = "ec2-instance-connect";

/// The directories of libsemanage with a directory for each policy: today's, and that of EL7 and Amazon Linux 2
/// (semanage.conf(5), `store-root`).
const STORES: [&str; 2] = ["var/lib/selinux", "etc/selinux"];

/// Whether SELinux is enabled and no policy of the system under `root` has the module.
pub(crate) fn lacks_module(root: &Path) -> bool {
    let is_enabled = fs::read(root.join("sys/fs/selinux/enforce")).is_ok();
    is_enabled
        && !STORES
            .iter()
            .any(|store| entries(&root.join(store)).any(|policy| has_module(&policy)))
}

/// Whether a policy has the module: in a directory for any priority, and not listed in `disabled`.
fn has_module(policy: &Path) -> bool {
    let modules = policy.join("active/modules");
    !modules.join("disabled").join(MODULE).exists() && entries(&modules).any(|priority| priority.join(MODULE).exists())
}

/// The entries of a directory.
fn entries(of: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let found = fs::read_dir(of).into_iter().flatten().flatten();
    found.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_missing_only_if_selinux_is_enabled_and_no_policy_has_it() {
        let root = std::env::temp_dir().join(format!("eic-selinux-{}", std::process::id()));
        let make = |directory: &str| fs::create_dir_all(root.join(directory)).unwrap();
        make("sys/fs/selinux");
        make("var/lib/selinux/targeted/active/modules/100/ssh");
        assert!(!lacks_module(&root), "SELinux is off");
        fs::write(root.join("sys/fs/selinux/enforce"), "0").unwrap();
        assert!(lacks_module(&root));
        for place in [
            "var/lib/selinux/targeted/active/modules/200",
            "etc/selinux/targeted/active/modules/400",
        ] {
            make(&format!("{place}/{MODULE}"));
            assert!(!lacks_module(&root), "{place}");
            fs::create_dir_all(root.join(place).with_file_name("disabled")).unwrap();
            fs::write(root.join(place).with_file_name("disabled").join(MODULE), "").unwrap();
            assert!(lacks_module(&root), "{place}, disabled");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
