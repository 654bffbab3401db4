//! On Xen, where the firmware does not name the instance: the file that cloud-init wrote is compared with IMDS.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::Command;

use emulator::instance;

use crate::harness::{INSTANCE, Instance, Login, USER, provided_none};
use crate::keys::{PublicKey, providing, refused};
use crate::surroundings::{is_root, skipped, works};

/// An instance other than the emulator's.
const OTHER: &str = "i-0fedcba9876543210";

/// The path of the file below the directory that is mounted at `/var/lib`.
const FILE: &str = "cloud/data/instance-id";

/// Mounts the second directory at `/var/lib` of a root directory that it builds in the first, and executes the program there.
/// In a user namespace, this root directory and its `/var` belong to root; the machine's do not.
const IN_A_NEW_ROOT: &str = r#"
set -e
mount -t tmpfs -o mode=755 root "$0"
mkdir "$0/var" "$0/var/lib"
mount --bind "$1" "$0/var/lib"
for path in /* /var/tmp; do
    if [ -L "$path" ]; then
        cp -P "$path" "$0$path"
    elif [ -d "$path" ] && [ "$path" != /var ]; then
        mkdir "$0$path"
        mount --rbind "$path" "$0$path"
    fi
done
shift
PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$0" "$@"
"#;

/// Mounts the second directory at the machine's `/var/lib`, and executes the program. In a user namespace, the machine's `/` and
/// `/var` belong to another user than root.
const IN_THE_MACHINE_S_ROOT: &str = "mount --bind \"$1\" /var/lib && shift && exec \"$@\"";

/// The files of cloud-init.
pub(crate) enum CloudInit {
    /// None.
    Absent,
    /// Its file, with this content and this mode.
    File(String, u32),
}

impl CloudInit {
    /// Its file as cloud-init writes it.
    pub(crate) fn file(instance: &str) -> Self {
        Self::File(format!("{instance}\n"), 0o644)
    }
}

/// A login on a Xen instance with these files, if that is possible here.
pub(crate) fn on_xen(instance: &Instance, cloud_init: &CloudInit) -> Option<Login> {
    let var_lib = instance.folder.path().join("var-lib");
    let file = var_lib.join(FILE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::remove_file(&file).ok();
    if let CloudInit::File(line, mode) = cloud_init {
        fs::write(&file, line).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
    }
    login_mounted(instance, IN_A_NEW_ROOT)
}

/// A login on a Xen instance whose `/var/lib` that script has mounted.
fn login_mounted(instance: &Instance, script: &str) -> Option<Login> {
    let folder = instance.folder.path();
    let (root, var_lib, sysfs) = (folder.join("root"), folder.join("var-lib"), folder.join("xen"));
    fs::create_dir_all(&root).unwrap();
    instance::write_sysfs(&sysfs, &instance::Machine::Xen).unwrap();
    let mut wrapper = vec!["unshare", "--mount", "--propagation=private"];
    if !is_root() {
        wrapper.push("--map-root-user");
    }
    wrapper.extend(["/bin/sh", "-c", script]);
    wrapper.extend([&root, &var_lib].map(|path| path.to_str().expect("temporary folders are ASCII")));
    if !works(&[wrapper.as_slice(), &["true"]].concat()) {
        skipped("Xen: no mount namespace of our own (package util-linux, and the right to unshare)");
        return None;
    }
    Some(instance.login(USER).option("--sysfs", sysfs).wrapped(wrapper))
}

/// An instance with a pushed key; returns what a good login prints and logs.
fn with_key() -> (Instance, String, String) {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    (instance, key.printed(), providing(&key, &request))
}

/// An IMDS that names another instance, and serves a record that the service signed for that one.
fn impostor() -> Instance {
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        imds.set("instance-id", OTHER);
        let record = imds.record(&PublicKey::ed25519(1).line()).with("Instance", OTHER);
        imds.publish(USER, &record);
    });
    instance
}

#[test]
fn the_record_must_be_for_the_instance_that_imds_names() {
    let (instance, ..) = with_key();
    instance.emulator.with_imds(|imds| imds.set("instance-id", OTHER));
    let Some(login) = on_xen(&instance, &CloudInit::Absent) else {
        return;
    };
    let outcome = login.run();
    let why = format!("record is for instance {INSTANCE}, but this is {OTHER}");
    outcome.refused(0, &refused(&PublicKey::ed25519(1), &why));
}

#[test]
fn an_imds_that_names_another_instance_than_cloud_init_gets_no_key_printed() {
    let instance = impostor();
    let Some(login) = on_xen(&instance, &CloudInit::file(INSTANCE)) else {
        return;
    };
    let why = format!(
        "the instance ID is {INSTANCE} according to /var/lib/cloud/data/instance-id, but {OTHER} according to IMDS (if \
         the file is from another instance, delete it)"
    );
    login.run().refused(0, &provided_none(&why));
    // Neither the signer nor the staples were requested.
    assert_eq!(instance.requests(), 3);
}

#[test]
fn where_nobody_pushed_a_key_an_id_of_another_instance_is_not_looked_at() {
    let instance = Instance::start();
    let Some(login) = on_xen(&instance, &CloudInit::file(OTHER)) else {
        return;
    };
    login.run().nobody_pushed();
}

#[test]
fn what_another_data_source_wrote_is_no_witness() {
    for line in [
        "iid-datasource-none\n",
        "",
        "nocloud\n",
        "i-0fedcba9876543210\ni-0\n",
        "i-0FEDCBA9876543210\n",
    ] {
        let (instance, printed, said) = with_key();
        let Some(login) = on_xen(&instance, &CloudInit::File(line.to_owned(), 0o644)) else {
            return;
        };
        login.run().is(0, &printed, &said);
    }
}

#[test]
fn a_file_that_others_than_root_could_have_written_is_no_witness() {
    for mode in [0o664, 0o646] {
        let (instance, printed, said) = with_key();
        let Some(login) = on_xen(&instance, &CloudInit::File(OTHER.to_owned(), mode)) else {
            return;
        };
        login.run().is(0, &printed, &said);
    }
    let (instance, printed, said) = with_key();
    let Some(login) = on_xen(&instance, &CloudInit::file(OTHER)) else {
        return;
    };
    let var_lib = instance.folder.path().join("var-lib");
    fs::set_permissions(var_lib.join("cloud"), fs::Permissions::from_mode(0o777)).unwrap();
    login.run().is(0, &printed, &said);
    fs::set_permissions(var_lib.join("cloud"), fs::Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        chown(var_lib.join(FILE), Some(1), None).unwrap();
        login.run().is(0, &printed, &said);
    } else if let Some(login) = login_mounted(&instance, IN_THE_MACHINE_S_ROOT) {
        // Only root can give the file to another user; the directories above it already belong to one.
        login.run().is(0, &printed, &said);
    }
}

#[test]
fn a_link_to_the_file_is_followed_and_what_is_no_file_is_no_witness() {
    let instance = impostor();
    let Some(login) = on_xen(&instance, &CloudInit::file(INSTANCE)) else {
        return;
    };
    let file = instance.folder.path().join("var-lib").join(FILE);
    fs::rename(&file, file.with_file_name("real")).unwrap();
    symlink("real", &file).unwrap();
    let outcome = login.run();
    let why = "according to /var/lib/cloud/data/instance-id, but ";
    assert!(outcome.said().contains(why), "{outcome:?}");

    let printed = PublicKey::ed25519(1).printed();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(login.run().printed(), printed);
    fs::remove_dir(&file).unwrap();
    let fifo = Command::new("mkfifo").arg(&file).status();
    assert!(fifo.is_ok_and(|status| status.success()), "mkfifo (package coreutils)");
    assert_eq!(login.run().printed(), printed);
}
