//! The defaults that sshd relies on: the paths of the CA certificates and of the DMI data, without any option.

use std::fs;
use std::path::Path;

use crate::harness::{Instance, Login, USER, provided_none};
use crate::keys::{PublicKey, providing, querying};
use crate::surroundings::{is_root, skipped, works};

/// Mounts the first directory over `/etc` and the second over `/sys`, and executes the program.
const OVERLAID: &str = "mount --bind \"$0\" /etc && mount --bind \"$1\" /sys && shift && exec \"$@\"";

/// The call on a machine with this `/etc` and this `/sys`, if that is possible here.
pub(crate) fn on_machine(login: Login, etc: &Path, sys: &Path) -> Option<Login> {
    let mut wrapper = vec!["unshare", "--mount", "--propagation=private"];
    if !is_root() {
        wrapper.push("--map-root-user");
    }
    let paths = [etc, sys].map(|path| path.to_str().expect("temporary folders are ASCII"));
    wrapper.extend(["/bin/sh", "-c", OVERLAID]);
    wrapper.extend(paths);
    if !works(&[wrapper.as_slice(), &["true"]].concat()) {
        skipped("the defaults: no mount namespace of our own (package util-linux, and the right to unshare)");
        return None;
    }
    Some(login.wrapped(wrapper))
}

/// A login with no option except the address of IMDS.
fn login(instance: &Instance) -> Login {
    Login::new(USER).option("--imds-endpoint", instance.emulator.imds_url())
}

#[test]
fn the_roots_are_found_where_each_os_keeps_them() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    for place in [
        "ssl/certs/ca-certificates.crt",
        "pki/tls/certs/ca-bundle.crt",
        "pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "ssl/ca-bundle.pem",
        "ssl/certs/Some_Root.pem",
    ] {
        let etc = tempfile::tempdir().unwrap();
        let store = etc.path().join(place);
        fs::create_dir_all(store.parent().unwrap()).unwrap();
        fs::copy(&instance.files.roots, &store).unwrap();
        let Some(login) = on_machine(login(&instance), etc.path(), &instance.files.sysfs) else {
            return;
        };
        let outcome = login.run();
        outcome.is(0, &key.printed(), &providing(&key, &request));
    }
}

#[test]
fn a_machine_without_roots_says_where_they_were_looked_for() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let etc = tempfile::tempdir().unwrap();
    let Some(login) = on_machine(login(&instance), etc.path(), &instance.files.sysfs) else {
        return;
    };
    let outcome = login.run();
    assert!(
        outcome
            .said()
            .starts_with(&provided_none("no trust store found at any of /etc/")),
        "{outcome:?}"
    );
    outcome.is(1, "", outcome.said());
}

/// In a network in which IMDS is at its real address: see `network`.
pub(crate) fn without_any_option(instance: &Instance) {
    let key = PublicKey::ed25519(2);
    let request = instance.emulator.push(USER, &key.line());
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir_all(etc.path().join("ssl/certs")).unwrap();
    fs::copy(&instance.files.roots, etc.path().join("ssl/certs/ca-certificates.crt")).unwrap();
    let login = Login::new(USER).offering(key.fingerprint());
    let Some(login) = on_machine(login, etc.path(), &instance.files.sysfs) else {
        return;
    };
    let said = querying(&key.fingerprint()) + &providing(&key, &request);
    login.run().is(0, &key.printed(), &said);
}
