//! The instance's files in a directory: a sysfs tree that identifies the machine, and a trust store of ordinary size.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use crate::certificate::{Certificate, CertificateTemplate, NameAttribute};
use crate::key::Key;

/// About how many roots an operating system trusts: Debian 12 has 140, Amazon Linux 2023 has 146.
pub const USUAL_ROOTS: usize = 150;

/// The kind of machine, as sysfs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A Nitro instance: its board asset tag is its id.
    Nitro(String),
    /// A Xen instance: the hypervisor's UUID starts with `ec2`.
    Xen,
    /// Not an instance: a board with some other tag.
    Other,
}

/// Writes that machine's files below a directory, which replaces `/sys`.
pub fn write_sysfs(sysfs: &Path, machine: &Machine) -> io::Result<()> {
    match machine {
        Machine::Nitro(instance_id) => write_board_tag(sysfs, instance_id),
        Machine::Xen => {
            let hypervisor = sysfs.join("hypervisor");
            fs::create_dir_all(&hypervisor)?;
            let uuid = "ec2e1916-9099-7caf-fd21-012345abcdef\n";
            fs::write(hypervisor.join("uuid"), uuid)
        }
        Machine::Other => write_board_tag(sysfs, "Not Specified"),
    }
}

fn write_board_tag(sysfs: &Path, tag: &str) -> io::Result<()> {
    let dmi = sysfs.join("devices/virtual/dmi/id");
    fs::create_dir_all(&dmi)?;
    fs::write(dmi.join("board_asset_tag"), format!("{tag}\n"))
}

/// These anchors in the middle of unrelated root certificates, in PEM, `total` certificates in all.
pub fn roots(anchors: &[Certificate], total: usize) -> Vec<String> {
    let mut roots = strangers(total.saturating_sub(anchors.len()));
    let middle = roots.len() / 2;
    roots.splice(middle..middle, anchors.iter().map(Certificate::pem));
    roots
}

/// Writes roots into one file, like `ca-certificates.crt` and `tls-ca-bundle.pem`.
pub fn write_bundle(path: &Path, roots: &[String]) -> io::Result<()> {
    fs::write(path, roots.concat())
}

/// Writes roots into a directory, each into its own file, like `/etc/ssl/certs`.
pub fn write_folder(folder: &Path, roots: &[String]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, root) in roots.iter().enumerate() {
        fs::write(folder.join(format!("Root_{number:03}.pem")), root)?;
    }
    Ok(())
}

/// The paths that [`write_instance`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFiles {
    /// The replacement for `/sys`.
    pub sysfs: PathBuf,
    /// The trust store.
    pub roots: PathBuf,
}

/// Writes `sysfs/` (Nitro) and `roots.pem` into a directory.
pub fn write_instance(
    folder: &Path,
    instance_id: &str,
    anchors: &[Certificate],
    total_roots: usize,
) -> io::Result<InstanceFiles> {
    let files = InstanceFiles {
        sysfs: folder.join("sysfs"),
        roots: folder.join("roots.pem"),
    };
    fs::create_dir_all(folder)?;
    write_sysfs(&files.sysfs, &Machine::Nitro(instance_id.to_owned()))?;
    write_bundle(&files.roots, &roots(anchors, total_roots))?;
    Ok(files)
}

/// Self-signed roots unrelated to the signer; made once per process, because hundreds of tests use them.
fn strangers(count: usize) -> Vec<String> {
    static MADE: OnceLock<Mutex<HashMap<usize, String>>> = OnceLock::new();
    let mut made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .expect("nothing panics while it holds the roots");
    (0..count)
        .map(|number| made.entry(number).or_insert_with(|| stranger(number)).clone())
        .collect()
}

fn stranger(number: usize) -> String {
    let year = 365 * 24 * 60 * 60;
    let now = crate::now();
    let name = vec![
        NameAttribute::organization("EC2 Instance Connect emulator"),
        NameAttribute::common_name(&format!("Unrelated Root CA {number}")),
    ];
    CertificateTemplate::new(name, Key::p256(), now - 5 * year, now + 15 * year)
        .for_ca(None)
        .self_signed()
        .pem()
}
