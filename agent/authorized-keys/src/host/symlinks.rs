//! Resolves symbolic links as a system does whose root is a given directory (openat2(2), `RESOLVE_IN_ROOT`).

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most links that are followed, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A path without symbolic links, as seen from its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The path.
    pub path: PathBuf,
    /// The directory of each link that was followed.
    pub link_directories: Vec<PathBuf>,
}

/// Follows every symbolic link in `path` within `root`; `None` if there are too many, as in a loop. A file that does not
/// exist resolves to itself.
#[must_use]
pub fn resolve_in_root(root: &Path, path: &Path) -> Option<Resolved> {
    let mut link_directories = Vec::new();
    let mut left = components_reversed(path);
    let mut resolved = PathBuf::from("/");
    while let Some(part) = left.pop() {
        match part.components().next() {
            Some(Component::RootDir) => resolved = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                resolved.pop();
            }
            Some(Component::Normal(name)) => {
                let next = resolved.join(name);
                match fs::read_link(below_root(root, &next)) {
                    Ok(target) => {
                        link_directories.push(resolved.clone());
                        if link_directories.len() > MAX_LINKS {
                            return None;
                        }
                        left.extend(components_reversed(&target));
                    }
                    Err(_) => resolved = next,
                }
            }
            _ => {}
        }
    }
    Some(Resolved {
        path: resolved,
        link_directories,
    })
}

/// The path below `root`, without following any link: `/etc` is `ROOT/etc`.
pub(crate) fn below_root(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The components of a path, the last one first.
fn components_reversed(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev();
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_within_the_root() {
        let root = std::env::temp_dir().join(format!("eic-links-{}", std::process::id()));
        fs::create_dir_all(root.join("etc/ssh")).unwrap();
        for (target, link) in [("/etc", "etc/a"), ("../../../../b", "c"), ("loop", "loop")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let resolved = |path: &str| resolve_in_root(&root, Path::new(path)).map(|resolved| resolved.path);
        assert_eq!(resolved("/etc/a/ssh/x"), Some(PathBuf::from("/etc/ssh/x")));
        assert_eq!(resolved("/c"), Some(PathBuf::from("/b")));
        assert_eq!(resolved("/loop/x"), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
