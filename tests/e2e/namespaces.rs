//! Gives this thread, and all processes that it starts, a network and mounts of their own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::child::run_with_input;

/// The directory for the test's own files, on a file system that ends with the namespace.
pub(crate) const SCRATCH: &str = "/run/e2e";

/// The addresses of IMDS, and those under which EC2 knows the instance.
pub(crate) const IPV4: [&str; 3] = ["169.254.169.254", "203.0.113.10", "10.0.0.10"];
/// The same for IPv6.
pub(crate) const IPV6: [&str; 2] = ["fd00:ec2::254", "2001:db8::10"];

/// Whether the kernel supports IPv6.
pub(crate) fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Leaves the machine's own network and mounts. Threads and children that are started later do the same.
///
/// Writes to `/etc`, `/opt` and `/run` do not affect the machine.
pub(crate) fn enter() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("mounts can be made private");
    tmpfs("/run", "mode=0755");
    fs::create_dir(SCRATCH).expect("/run is ours");
    for folder in ["/etc", "/opt"] {
        cover(folder);
    }
    tmpfs("/var/log", "mode=0755");
    bring_up_loopback();
}

/// Mounts an empty file system over a directory.
pub(crate) fn tmpfs(folder: impl AsRef<Path>, options: &str) {
    let folder = folder.as_ref();
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options))
        .unwrap_or_else(|error| panic!("tmpfs over {}: {error}", folder.display()));
}

/// A directory with the content of another one, and its own changes.
pub(crate) fn overlay(lower: impl AsRef<Path>, name: &str, at: impl AsRef<Path>) {
    let [upper, work] = ["upper", "work"].map(|part| Path::new(SCRATCH).join(part).join(name));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).expect("/run is ours");
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("/run is ours");
    }
    let (lower, at) = (lower.as_ref().display(), at.as_ref());
    let options = format!(
        "lowerdir={lower},upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        at,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .unwrap_or_else(|error| panic!("overlay at {}: {error}", at.display()));
}

/// Keeps changes to a directory within the namespace.
fn cover(folder: &str) {
    overlay(folder, &folder[1..], folder);
}

/// A private `/dev`: files created in it, such as `/dev/log`, are not created on the machine.
pub(crate) fn own_dev() {
    let dev = Path::new(SCRATCH).join("dev");
    fs::create_dir(&dev).expect("/run is ours");
    tmpfs(&dev, "mode=0755");
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        File::create(dev.join(name)).expect("it is ours");
        let device = Path::new("/dev").join(name);
        mount(Some(&device), &dev.join(name), None::<&str>, bind, None::<&str>).expect("devices can be bound");
    }
    fs::create_dir(dev.join("pts")).expect("it is ours");
    mount(Some("/dev/pts"), &dev.join("pts"), None::<&str>, bind, None::<&str>).expect("terminals can be bound");
    fs::create_dir(dev.join("shm")).expect("it is ours");
    fs::set_permissions(dev.join("shm"), Permissions::from_mode(0o1777)).expect("it is ours");
    for (name, to) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(to, dev.join(name)).expect("it is ours");
    }
    mount(Some(&dev), "/dev", None::<&str>, bind, None::<&str>).expect("/dev can be covered");
}

/// Routes these addresses of IMDS to an interface without a peer: there is no answer, not even a refusal.
pub(crate) fn drop_what_is_sent_to(addresses: &[&str]) {
    let mut script = "link add wire type veth peer name end\nlink set wire up\nlink set end up\n\
                      address add 192.0.2.1/24 dev wire\n"
        .to_owned();
    for address in addresses {
        let (length, v6) = if address.contains(':') {
            (128, true)
        } else {
            (32, false)
        };
        if v6 && !has_ipv6() {
            continue;
        }
        if v6 {
            script.push_str("address add 2001:db8:1::1/64 dev wire nodad\n");
        }
        script.push_str(&format!(
            "address del {address}/{length} dev lo\nroute add {address}/{length} dev wire\n\
             neighbour add {address} lladdr 02:00:00:00:00:01 dev wire nud permanent\n"
        ));
    }
    ip(&script);
}

fn bring_up_loopback() {
    let mut script = "link set lo up\n".to_owned();
    for address in IPV4 {
        script.push_str(&format!("address add {address}/32 dev lo\n"));
    }
    for address in IPV6.iter().filter(|_| has_ipv6()) {
        script.push_str(&format!("address add {address}/128 dev lo nodad\n"));
    }
    ip(&script);
}

fn ip(script: &str) {
    let mut ip = Command::new("/usr/sbin/ip");
    run_with_input(ip.args(["-batch", "-"]), script, Duration::from_secs(10)).success();
}
