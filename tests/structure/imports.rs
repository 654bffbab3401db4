//! Which file imports which, read from the sources: imports between files, and between directories, run one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::workspace;

/// A module's path within its crate; the root's is empty.
type Module = Vec<String>;

/// What imports what, within one crate.
type Imports = BTreeSet<(String, String)>;

/// The files of one crate.
struct Crate {
    files: BTreeMap<Module, File>,
}

/// One file, the code of its unit tests left out.
struct File {
    syntax: syn::File,
    /// What it hands on (`pub use`): the name, and the path it stands for.
    handed_on: BTreeMap<String, Vec<String>>,
}

impl Crate {
    fn read(name: &str) -> Self {
        let mut files = BTreeMap::new();
        add_files(
            &workspace().join("agent").join(name).join("src"),
            &Module::new(),
            &mut files,
        );
        assert!(files.len() > 5, "{name} has {} files", files.len());
        Self { files }
    }

    /// The file in which what `path` names is defined, seen from the module `from`; `None` for what is not of this crate.
    fn defining(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            child => {
                let child = [from.as_slice(), &[child.to_owned()]].concat();
                self.files.contains_key(&child).then_some(child)?
            }
        };
        while let Some((next, after)) = rest.split_first() {
            let child = [at.as_slice(), std::slice::from_ref(next)].concat();
            if next == "super" {
                at.pop()?;
            } else if self.files.contains_key(&child) {
                at = child;
            } else {
                break;
            }
            rest = after;
        }
        let handed_on = rest.first().and_then(|name| self.files[&at].handed_on.get(name));
        match handed_on {
            Some(path) => self.defining(&at, path),
            None => Some(at),
        }
    }

    /// Each import of one file by another.
    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (module, file) in &self.files {
            let mut paths = Paths::default();
            paths.visit_file(&file.syntax);
            for path in paths.found {
                if let Some(defining) = self.defining(module, &path)
                    && defining != *module
                {
                    imports.insert((name(module), name(&defining)));
                }
            }
        }
        imports
    }
}

fn name(module: &Module) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("/")
    }
}

fn add_files(directory: &Path, module: &Module, files: &mut BTreeMap<Module, File>) {
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("it can be read").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let child = [module.as_slice(), std::slice::from_ref(&stem)].concat();
        if path.is_dir() {
            add_files(&path, &child, files);
        } else if stem != "main" && !stem.contains("test") {
            let module = if matches!(stem.as_str(), "lib" | "mod") {
                module.clone()
            } else {
                child
            };
            let text = fs::read_to_string(&path).expect("it can be read");
            files.insert(module, File::parse(&text));
        }
    }
}

impl File {
    fn parse(text: &str) -> Self {
        let mut syntax = syn::parse_file(text).expect("it is Rust");
        syntax.items.retain(|item| !is_for_tests(attributes(item)));
        let mut handed_on = BTreeMap::new();
        for item in &syntax.items {
            if let Item::Use(used) = item
                && is_handed_on(used)
            {
                for (name, path) in leaves(&used.tree) {
                    handed_on.insert(name, path);
                }
            }
        }
        Self { syntax, handed_on }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|what| what.is_ident("test"))
    })
}

fn is_handed_on(used: &ItemUse) -> bool {
    !matches!(used.vis, Visibility::Inherited)
}

/// The names that a `use` brings, each with its whole path.
fn leaves(tree: &UseTree) -> Vec<(String, Vec<String>)> {
    match tree {
        UseTree::Path(path) => {
            let mut below = leaves(&path.tree);
            for (_, whole) in &mut below {
                whole.insert(0, path.ident.to_string());
            }
            below
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(name) => vec![(name.rename.to_string(), vec![name.ident.to_string()])],
        UseTree::Glob(_) => vec![("*".to_owned(), Vec::new())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Every path that a file names, in its imports and in its code.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, used: &'a ItemUse) {
        if !is_handed_on(used) {
            self.found.extend(leaves(&used.tree).into_iter().map(|(_, path)| path));
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        assert!(
            module.content.is_none(),
            "a module within a file is not followed: {}",
            module.ident
        );
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        // A single name comes from a `use`, or says how far something is visible.
        if path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.found.push(segments.collect());
        }
        visit::visit_path(self, path);
    }
}

/// The imports that are part of a circle.
fn circles(imports: &Imports) -> Vec<&(String, String)> {
    let reaches = |from: &str, to: &str| {
        let mut reached = BTreeSet::from([from]);
        let mut pending = vec![from];
        while let Some(one) = pending.pop() {
            for (_, next) in imports.iter().filter(|(importer, _)| importer == one) {
                if reached.insert(next) {
                    pending.push(next);
                }
            }
        }
        reached.contains(to)
    };
    imports.iter().filter(|(from, to)| reaches(to, from)).collect()
}

const CRATES: [&str; 3] = ["verify", "authorized-keys", "admin"];

/// The circles of each crate, with one `name` for each file or for each room.
fn circles_of_crates(name: impl Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for directory in CRATES {
        let imports = Crate::read(directory).imports();
        assert!(imports.len() > 10, "{directory}: {imports:?}");
        let imports: Imports = imports
            .iter()
            .map(|(from, to)| (name(from), name(to)))
            .filter(|(from, to)| from != to)
            .collect();
        let of_crate = circles(&imports);
        found.extend(
            of_crate
                .iter()
                .map(|(from, to)| format!("{directory}: {from} imports {to}")),
        );
    }
    found
}

#[test]
fn no_two_files_import_each_other() {
    let found = circles_of_crates(str::to_owned);
    assert!(found.is_empty(), "imports in a circle:\n{}", found.join("\n"));
}

#[test]
fn no_two_directories_of_a_crate_import_each_other() {
    let found = circles_of_crates(|file| file.split('/').next().unwrap_or(file).to_owned());
    assert!(found.is_empty(), "imports in a circle:\n{}", found.join("\n"));
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let files = [
        ("", "mod a; mod b; pub use b::Handed;"),
        (
            "a",
            "use crate::Handed; fn f() { super::c::g() } #[cfg(test)] mod tests { use crate::d; }",
        ),
        ("b", "use super::{c::{self, X}, d as e}; use std::fs;"),
        ("c", "impl crate::d::T for U {}"),
        ("d", "use crate::b;"),
    ];
    let files = files.map(|(name, text)| {
        let module: Module = name
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        (module, File::parse(text))
    });
    let imports = Crate { files: files.into() }.imports();
    let expected = [("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d"), ("d", "b")];
    let expected: Imports = expected.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    assert_eq!(imports, expected);
    let of_circles: Imports = circles(&imports).into_iter().cloned().collect();
    let expected: Imports = expected.into_iter().filter(|(from, _)| from != "a").collect();
    assert_eq!(of_circles, expected);
}
