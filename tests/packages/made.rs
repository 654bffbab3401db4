//! The packages under test, and what `tests/packages/prepare` makes for them once per run: repositories, and AWS's
//! packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use emulator::instance::{Machine, write_sysfs};

use crate::surroundings::{self, is_there, target};

/// The instance that every container imitates.
pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";

/// Our previous version, which [`made`] also puts into the repositories.
pub(crate) const PREVIOUS: &str = "2.0.9-1";

/// Whether all tools for containers and packages are installed; otherwise prints what is missing.
pub(crate) fn ready(what: &str) -> bool {
    let tools = [
        ("apt-ftparchive", "apt-utils"),
        ("createrepo_c", "createrepo-c"),
        ("dpkg-scanpackages", "dpkg-dev"),
        ("gpg", "gnupg"),
        ("rpmbuild", "rpm"),
        ("rpmsign", "rpm"),
    ];
    let lacking = tools.into_iter().find(|(tool, _)| !is_there(tool));
    if let Some((tool, package)) = lacking {
        println!("SKIPPED: {what}, no {tool} ({package})");
    }
    lacking.is_none() && surroundings::ready(what)
}

/// The directory of the packages that `make packages` made, or `EIC_DIST`.
pub(crate) fn dist() -> PathBuf {
    let dist =
        env::var_os("EIC_DIST").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist"), PathBuf::from);
    assert!(
        dist.is_dir(),
        "{} is not there: `make packages` makes it",
        dist.display()
    );
    dist
}

/// The only package whose name starts and ends with these.
pub(crate) fn package(start: &str, end: &str) -> PathBuf {
    let files = fs::read_dir(dist())
        .expect("it can be read")
        .map(|entry| entry.expect("it can be read").path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut found = files.filter(named);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {start}…{end} in {}", dist().display()));
    assert_eq!(found.next(), None, "there is another");
    first
}

/// The directory of everything that is made; `layer` is mounted over every root.
pub(crate) fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let out = target().join("packages-test");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/prepare");
        let ran = Command::new(script).arg(dist()).arg(&out).output().expect("it starts");
        assert!(
            ran.status.success(),
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        write_sysfs(&out.join("sysfs"), &Machine::Nitro(INSTANCE.to_owned())).expect("the folder is ours");
        out
    })
}
