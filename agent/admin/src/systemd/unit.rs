//! The units that start sshd: their unit files with drop-ins applied, and the command line that results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment_file;
use super::exec_start::{self, Backslash};
use super::unit_file::service_settings;
use crate::files::{Files, Place};
use crate::glob;
use crate::sshd::command_line::CommandLine;

/// The directories of units and drop-ins, in order of precedence (systemd.unit(5)).
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The name of sshd's unit on Debian and Ubuntu, and on other distributions.
const NAMES: [&str; 2] = ["ssh", "sshd"];

/// A service that starts sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The name, with its suffix: `ssh.service`.
    pub(crate) name: String,
    /// The only ExecStart, as written, and its line; `None` if there is none or several, or if a file cannot be read.
    pub(crate) exec_start: Option<(String, Place)>,
    /// The variables that Environment and EnvironmentFile set.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether open connections survive a restart: KillMode=process.
    pub(crate) keeps_connections: bool,
}

/// The units that start sshd: the listener, and the template that a socket starts for each connection. Drop-ins for which
/// `ignore` is true do not count.
pub(crate) fn read(files: &dyn Files, ignore: &dyn Fn(&Path) -> bool) -> Vec<Unit> {
    let found = |suffix: &str| {
        let mut names = NAMES.iter().map(|name| format!("{name}{suffix}"));
        names.find_map(|name| read_unit(files, &name, ignore))
    };
    [found(".service"), found("@.service")].into_iter().flatten().collect()
}

/// The drop-ins of a unit by file name: of its name, and of its other name if that is an alias.
fn drop_ins(files: &dyn Files, name: &str, ignore: &dyn Fn(&Path) -> bool) -> BTreeMap<String, PathBuf> {
    let base = name.split(['@', '.']).next().unwrap_or_default();
    let aliases = NAMES.iter().map(|alias| name.replacen(base, alias, 1));
    let exists = |alias: &String| {
        let mut paths = DIRECTORIES.iter().map(|directory| Path::new(directory).join(alias));
        paths.any(|path| files.exists(&path))
    };
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for alias in aliases.filter(|alias| alias == name || exists(alias)) {
        for directory in DIRECTORIES.map(|directory| Path::new(directory).join(format!("{alias}.d"))) {
            let names = files.names(&directory).into_iter();
            for name in names.filter(|name| name.ends_with(".conf")) {
                let path = directory.join(&name);
                if !ignore(&path) {
                    drop_ins.entry(name).or_insert(path);
                }
            }
        }
    }
    drop_ins
}

fn read_unit(files: &dyn Files, name: &str, ignore: &dyn Fn(&Path) -> bool) -> Option<Unit> {
    let fragment = DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| files.exists(path))?;
    let mut unit = Unit {
        name: name.to_owned(),
        exec_start: None,
        environment: BTreeMap::new(),
        keeps_connections: false,
    };
    let mut starts = Vec::new();
    let mut environment_files = Vec::new();
    let mut is_all_read = true;
    for path in [fragment]
        .into_iter()
        .chain(drop_ins(files, name, ignore).into_values())
    {
        let text = files.read(&path).unwrap_or_else(|_| {
            is_all_read = false;
            Vec::new()
        });
        for (line, key, value) in service_settings(&String::from_utf8_lossy(&text)) {
            let place = Place {
                file: path.clone(),
                line,
            };
            match (key.as_str(), value.as_str()) {
                ("ExecStart", "") => starts.clear(),
                ("ExecStart", _) => starts.push((value, place)),
                ("EnvironmentFile", "") => environment_files.clear(),
                ("EnvironmentFile", file) => match exec_start::without_specifiers(file.trim_start_matches('-')) {
                    Some(file) => environment_files.push(PathBuf::from(file)),
                    None => is_all_read = false,
                },
                ("Environment", "") => unit.environment.clear(),
                ("Environment", _) => {
                    for word in exec_start::words(&value, Backslash::Escape).unwrap_or_default() {
                        match exec_start::without_specifiers(&word) {
                            Some(word) => unit.environment.extend(assignment(&word)),
                            None => is_all_read = false,
                        }
                    }
                }
                ("KillMode", mode) => unit.keeps_connections = mode == "process",
                _ => {}
            }
        }
    }
    for file in environment_files {
        let text = files.read(&file).unwrap_or_else(|_| {
            // A missing file is as good as empty; a pattern (systemd.exec(5)) may match other files.
            is_all_read &= !files.has_name(&file) && !glob::is_pattern(&file.to_string_lossy());
            Vec::new()
        });
        unit.environment
            .extend(environment_file::assignments(&String::from_utf8_lossy(&text)));
    }
    unit.exec_start = match starts.as_slice() {
        [only] if is_all_read => Some(only.clone()),
        _ => None,
    };
    Some(unit)
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

impl Unit {
    /// The command line of sshd; `None` if it is not clear from the files.
    pub(crate) fn command_line(&self) -> Option<CommandLine> {
        let (line, _) = self.exec_start.as_ref()?;
        let command_line = line.trim_start_matches(['-', '+', '!', ':']);
        let prefixes = line.strip_suffix(command_line).unwrap_or_default();
        // With another prefix (`@`, `|`), the program is not an absolute path.
        let words = exec_start::words(command_line, Backslash::Escape)?.into_iter();
        let mut words = words.map(|word| exec_start::without_specifiers(&word));
        let program = PathBuf::from(words.next()??);
        let is_sshd = program.is_absolute() && program.file_name().is_some_and(|name| name == "sshd");
        let words: Vec<String> = words.collect::<Option<_>>()?;
        let words = if prefixes.contains(':') {
            words
        } else {
            exec_start::with_variables(words, &self.environment)
        };
        CommandLine::read(program, words).filter(|_| is_sshd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::InMemory;

    fn unit(exec: &str, environment: &[(&str, &str)]) -> Unit {
        let place = Place {
            file: PathBuf::from("/x"),
            line: 1,
        };
        Unit {
            name: "ssh.service".to_owned(),
            exec_start: Some((exec.to_owned(), place)),
            environment: environment
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect(),
            keeps_connections: true,
        }
    }

    #[test]
    fn the_options_of_an_exec_start_are_those_that_sshd_gets() {
        let aws = "/usr/sbin/sshd -D $SSHD_OPTS -o \"AuthorizedKeysCommand /x %%u %%f\" -oPort=2222";
        let command_line = unit(aws, &[("SSHD_OPTS", "-f /etc/other -o 'Banner none' -e")])
            .command_line()
            .unwrap();
        assert_eq!(command_line.program, PathBuf::from("/usr/sbin/sshd"));
        assert_eq!(command_line.config, Some(PathBuf::from("/etc/other")));
        assert_eq!(
            command_line.options,
            ["Banner none", "AuthorizedKeysCommand /x %u %f", "Port=2222"]
        );
        let command_line = unit(":/usr/sbin/sshd -o Banner=${O}\\x20$O", &[("O", "-6")])
            .command_line()
            .unwrap();
        assert_eq!(command_line.options, ["Banner=${O} $O"], "no variables after a colon");
        let command_line = unit("/usr/sbin/sshd $O", &[("O", "-oBanner=%%h ")])
            .command_line()
            .unwrap();
        assert_eq!(command_line.options, ["Banner=%%h"], "no specifiers in variables");
        let command_line = unit("-/usr/sbin/sshd -i ${O}", &[("O", "-6")]).command_line().unwrap();
        assert_eq!(command_line.test_arguments, ["-6"]);
    }

    #[test]
    fn an_exec_start_that_is_not_one_sshd_has_no_command_line() {
        for exec in [
            "/bin/sh -c 'exec /usr/sbin/sshd -D'",
            "@/usr/sbin/sshd sshd -D",
            "/usr/sbin/sshd \"-D",
            "sshd -D",
            "/usr/sbin/sshd -o \"AuthorizedKeysCommand /x %u\"",
            "/usr/sbin/sshd -D ; /bin/true",
        ] {
            assert_eq!(unit(exec, &[]).command_line(), None, "{exec}");
        }
    }

    #[test]
    fn a_unit_with_an_unreadable_file_has_no_exec_start() {
        const UNIT: &str = "/lib/systemd/system/ssh.service";
        const EXEC: &str = "[Service]\nExecStart=/usr/sbin/sshd $O\nEnvironmentFile=-/etc/default/ssh\n";
        let exec_start = |files: &[(&str, Option<&str>)]| {
            let units = read(&InMemory::of(files), &|_| false);
            units.first().and_then(|unit| unit.exec_start.clone())
        };
        assert!(
            exec_start(&[(UNIT, Some(EXEC))]).is_some(),
            "an absent environment file"
        );
        assert!(exec_start(&[(UNIT, Some(EXEC)), ("/etc/default/ssh", Some("O=-4"))]).is_some());
        assert_eq!(exec_start(&[(UNIT, Some(EXEC)), ("/etc/default/ssh", None)]), None);
        let drop_in = "/etc/systemd/system/ssh.service.d/x.conf";
        assert_eq!(exec_start(&[(UNIT, Some(EXEC)), (drop_in, None)]), None);
        let pattern = "[Service]\nEnvironmentFile=/etc/default/*\n";
        assert_eq!(exec_start(&[(UNIT, Some(EXEC)), (drop_in, Some(pattern))]), None);
        for specifier in [
            "[Service]\nEnvironmentFile=-/etc/default/%p\n",
            "[Service]\nEnvironment=X=%i\n",
        ] {
            assert_eq!(exec_start(&[(UNIT, Some(EXEC)), (drop_in, Some(specifier))]), None);
        }
        let again = "[Service]\nExecStart=/usr/sbin/sshd -4\n";
        assert_eq!(
            exec_start(&[(UNIT, Some(EXEC)), (drop_in, Some(again))]),
            None,
            "two ExecStarts"
        );
    }
}
