//! Symbolic links, followed as they would be by a system whose root is some folder of ours.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that are followed before giving up, as the kernel does (path_resolution(7)).
const LINKS: usize = 40;

/// A path with its links followed within `root`, as seen from there, and each folder in which a link lies that was
/// followed; `None` where they go round in circles. What is not there resolves to itself.
pub fn followed(root: &Path, path: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
    let mut folders = Vec::new();
    let mut left = parts(path);
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.components().next() {
            Some(Component::RootDir) => resolved = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                resolved.pop();
            }
            Some(Component::Normal(name)) => {
                let next = resolved.join(name);
                match fs::read_link(on_host(root, &next)) {
                    Ok(target) => {
                        links += 1;
                        folders.push(resolved.clone());
                        if links > LINKS {
                            return None;
                        }
                        left.extend(parts(&target));
                    }
                    Err(_) => resolved = next,
                }
            }
            _ => {}
        }
    }
    Some((resolved, folders))
}

/// A path seen from `root`, as the running system has it; no link is followed.
pub fn on_host(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path's parts, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
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
        let resolved = |path: &str| followed(&root, Path::new(path)).map(|(resolved, _)| resolved);
        assert_eq!(resolved("/etc/a/ssh/x"), Some(PathBuf::from("/etc/ssh/x")));
        assert_eq!(resolved("/c"), Some(PathBuf::from("/b")));
        assert_eq!(resolved("/loop/x"), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
