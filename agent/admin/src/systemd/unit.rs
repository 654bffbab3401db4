//! Reads what systemd would start as sshd: the unit's file, its drop-ins, and the one ExecStart that comes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment_file;
use super::exec_start::{self, Backslash, WHITE_SPACE};
use crate::sshd::command_line::Arguments;
use crate::sshd::pattern;
use crate::sshd::sshd_config::{Files, Place};

/// Where systemd looks for units and their drop-ins; what stands earlier goes before (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What the unit of sshd is called: Debian and Ubuntu, everybody else.
const NAMES: [&str; 2] = ["ssh", "sshd"];

/// A service that starts sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// As systemctl takes it: `ssh.service`.
    pub(crate) name: String,
    /// Its one ExecStart, as written, and where; `None` where there are none or several, or a file cannot be read.
    pub(crate) exec_start: Option<(String, Place)>,
    /// Environment and the EnvironmentFiles that are there, read: what `$SSHD_OPTS` stands for.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether stopping it ends the listener alone: open connections stay through a restart.
    pub(crate) spares_connections: bool,
}

/// The services that start sshd: the listener, and the template that socket activation starts for each connection.
pub(crate) fn read(files: &dyn Files, without: &dyn Fn(&Path) -> bool) -> Vec<Unit> {
    let found = |suffix: &str| {
        let mut names = NAMES.iter().map(|name| format!("{name}{suffix}"));
        names.find_map(|name| read_unit(files, &name, without))
    };
    [found(".service"), found("@.service")].into_iter().flatten().collect()
}

fn read_unit(files: &dyn Files, name: &str, without: &dyn Fn(&Path) -> bool) -> Option<Unit> {
    let fragment = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| files.exists(path))?;
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    let base = name.split(['@', '.']).next().unwrap_or_default();
    let aliases = NAMES.iter().map(|alias| name.replacen(base, alias, 1));
    let known = aliases.filter(|alias| {
        alias == name
            || FOLDERS
                .iter()
                .any(|folder| files.exists(&Path::new(folder).join(alias)))
    });
    for alias in known {
        for folder in FOLDERS.map(|folder| Path::new(folder).join(format!("{alias}.d"))) {
            for file in files.names(&folder).into_iter().filter(|file| file.ends_with(".conf")) {
                let path = folder.join(&file);
                if !without(&path) {
                    drop_ins.entry(file).or_insert(path);
                }
            }
        }
    }
    let mut unit = Unit {
        name: name.to_owned(),
        exec_start: None,
        environment: BTreeMap::new(),
        spares_connections: false,
    };
    let mut starts = Vec::new();
    let mut environment_files = Vec::new();
    let mut is_all_read = true;
    for path in [fragment].into_iter().chain(drop_ins.into_values()) {
        let text = files.read(&path).unwrap_or_else(|_| {
            is_all_read = false;
            Vec::new()
        });
        for (line, key, value) in service_lines(&String::from_utf8_lossy(&text)) {
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
                ("KillMode", mode) => unit.spares_connections = mode == "process",
                _ => {}
            }
        }
    }
    for file in environment_files {
        let text = files.read(&file).unwrap_or_else(|_| {
            // One that is not there is as good as empty; a pattern (systemd.exec(5)) stands for others.
            is_all_read &= !files.has_name(&file) && !pattern::is_pattern(&file.to_string_lossy());
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

/// The `Key=value` lines of a unit's `[Service]`, each with the number of its first line. A line that ends with a backslash
/// continues on the next one.
fn service_lines(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut in_service = false;
    let mut add = |start: usize, whole: &str| {
        let whole = whole.trim_matches(WHITE_SPACE);
        if whole.starts_with('[') {
            in_service = whole == "[Service]";
        } else if let Some((key, value)) = whole.split_once('=').filter(|_| in_service) {
            let [key, value] = [key, value].map(|part| part.trim_matches(WHITE_SPACE).to_owned());
            found.push((start, key, value));
        }
    };
    let mut continued: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches(WHITE_SPACE);
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (start, mut whole) = continued.take().unwrap_or((number + 1, String::new()));
        whole.push_str(line);
        // Of two backslashes, the first escapes the second.
        let backslashes = whole.chars().rev().take_while(|c| *c == '\\').count();
        if backslashes % 2 == 0 {
            add(start, &whole);
        } else {
            whole.pop();
            whole.push(' ');
            continued = Some((start, whole));
        }
    }
    if let Some((start, whole)) = continued {
        add(start, &whole);
    }
    found
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

impl Unit {
    /// The arguments that sshd gets; `None` where that cannot be told from the files.
    pub(crate) fn arguments(&self) -> Option<Arguments> {
        let (line, _) = self.exec_start.as_ref()?;
        let command_line = line.trim_start_matches(['-', '+', '!', ':']);
        let prefixes = line.strip_suffix(command_line).unwrap_or_default();
        // Other prefixes (`@`, `|`) make no absolute path of what follows.
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
        Arguments::read(program, words).filter(|_| is_sshd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Tree;

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
            spares_connections: true,
        }
    }

    #[test]
    fn the_options_of_an_exec_start_are_those_that_sshd_gets() {
        let aws = "/usr/sbin/sshd -D $SSHD_OPTS -o \"AuthorizedKeysCommand /x %%u %%f\" -oPort=2222";
        let arguments = unit(aws, &[("SSHD_OPTS", "-f /etc/other -o 'Banner none' -e")])
            .arguments()
            .unwrap();
        assert_eq!(arguments.program, PathBuf::from("/usr/sbin/sshd"));
        assert_eq!(arguments.config, Some(PathBuf::from("/etc/other")));
        assert_eq!(
            arguments.options,
            ["Banner none", "AuthorizedKeysCommand /x %u %f", "Port=2222"]
        );
        let arguments = unit(":/usr/sbin/sshd -o Banner=${O}\\x20$O", &[("O", "-6")])
            .arguments()
            .unwrap();
        assert_eq!(arguments.options, ["Banner=${O} $O"], "no variables after a colon");
        let arguments = unit("/usr/sbin/sshd $O", &[("O", "-oBanner=%%h ")])
            .arguments()
            .unwrap();
        assert_eq!(arguments.options, ["Banner=%%h"], "no specifiers in variables");
        let arguments = unit("-/usr/sbin/sshd -i ${O}", &[("O", "-6")]).arguments().unwrap();
        assert_eq!(arguments.when_asking, ["-6"]);
    }

    #[test]
    fn an_exec_start_that_is_no_sshd_s_tells_nothing() {
        for exec in [
            "/bin/sh -c 'exec /usr/sbin/sshd -D'",
            "@/usr/sbin/sshd sshd -D",
            "/usr/sbin/sshd \"-D",
            "sshd -D",
            "/usr/sbin/sshd -o \"AuthorizedKeysCommand /x %u\"",
            "/usr/sbin/sshd -D ; /bin/true",
        ] {
            assert_eq!(unit(exec, &[]).arguments(), None, "{exec}");
        }
    }

    #[test]
    fn lines_are_put_together_and_comments_passed_over() {
        let text = "[Unit]\nExecStart=/no\n[Service]\n# x\nExecStart=/a \\\n  -b\n; y\nKillMode = process\n";
        let lines = service_lines(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], (5, "ExecStart".to_owned(), "/a  -b".to_owned()));
        assert_eq!(lines[1].2, "process");
        for (text, value) in [
            ("ExecStart=a \\\n# x\n\tb\\\n", "a  b"),
            ("ExecStart=a\\\\\nb\n", "a\\\\"),
            ("ExecStart=a\\ \nb\n", "a\\"),
            ("ExecStart=a\\\n\nb\n", "a"),
        ] {
            let lines = service_lines(&format!("[Service]\n{text}"));
            assert_eq!(lines, [(2, "ExecStart".to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn a_unit_of_which_a_file_cannot_be_read_tells_nothing() {
        const UNIT: &str = "/lib/systemd/system/ssh.service";
        const EXEC: &str = "[Service]\nExecStart=/usr/sbin/sshd $O\nEnvironmentFile=-/etc/default/ssh\n";
        let exec_start = |files: &[(&str, Option<&str>)]| {
            let units = read(&Tree::of(files), &|_| false);
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
