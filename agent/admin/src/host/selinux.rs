//! Whether SELinux is on without the policy module that lets sshd's key command reach IMDS.

use std::fs;
use std::path::Path;

/// The module, as `semodule -l` names it; the package `ec2-instance-connect-selinux` loads it.
const MODULE: &str = "ec2-instance-connect";

/// Where libsemanage keeps policies, a folder for each: now, and on EL7 and Amazon Linux 2 (semanage.conf(5), `store-root`).
const STORES: [&str; 2] = ["var/lib/selinux", "etc/selinux"];

/// Whether SELinux is on, and no policy of the system under `root` has the module.
pub(crate) fn lacks_module(root: &Path) -> bool {
    let is_on = fs::read(root.join("sys/fs/selinux/enforce")).is_ok();
    is_on
        && !STORES
            .iter()
            .any(|store| folders(&root.join(store)).any(|policy| has_module(&policy)))
}

/// A policy's modules lie in folders named by their priority; `disabled` beside them has the names of those left out.
fn has_module(policy: &Path) -> bool {
    let modules = policy.join("active/modules");
    !modules.join("disabled").join(MODULE).exists() && folders(&modules).any(|priority| priority.join(MODULE).exists())
}

fn folders(of: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_missed_only_where_selinux_is_on_and_no_policy_has_it() {
        let root = std::env::temp_dir().join(format!("eic-selinux-{}", std::process::id()));
        let make = |folder: &str| fs::create_dir_all(root.join(folder)).unwrap();
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
