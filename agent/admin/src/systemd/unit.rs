//! Reads what systemd would start as sshd: the unit's file, its drop-ins, and the one ExecStart that comes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
                ("EnvironmentFile", file) => environment_files.push(PathBuf::from(file.trim_start_matches('-'))),
                ("Environment", "") => unit.environment.clear(),
                ("Environment", _) => unit.environment.extend(assignments(&value)),
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
            .extend(environment_file(&String::from_utf8_lossy(&text)));
    }
    unit.exec_start = match starts.as_slice() {
        [only] if is_all_read => Some(only.clone()),
        _ => None,
    };
    Some(unit)
}

/// The `Key=value` lines of a unit's `[Service]`, continued lines put together.
fn service_lines(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut in_service = false;
    let mut pending: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) || (line.is_empty() && pending.is_none()) {
            continue;
        }
        let (start, mut whole) = pending.take().unwrap_or((number + 1, String::new()));
        whole.push_str(line.trim_end_matches('\\'));
        if line.ends_with('\\') {
            whole.push(' ');
            pending = Some((start, whole));
            continue;
        }
        if whole.starts_with('[') {
            in_service = whole == "[Service]";
        } else if let Some((key, value)) = whole.split_once('=').filter(|_| in_service) {
            found.push((start, key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

fn assignments(text: &str) -> Vec<(String, String)> {
    let words = split(text).unwrap_or_default().into_iter();
    let pairs = words.filter_map(|word| {
        word.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// The assignments of an EnvironmentFile (systemd.exec(5)): one a line, the value perhaps in quotes.
fn environment_file(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", "");
    let lines = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = unquoted.map_or_else(|| value.to_owned(), |inside| inside.replace("\\\"", "\""));
        Some((name.trim().to_owned(), value))
    });
    pairs.collect()
}

/// A command line as systemd splits it: quotes and escapes taken out; `None` where a quote is never closed.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        rest.peek()?.is_ascii().then_some(())?;
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = rest.next_if(|c| quote.is_some() || !c.is_whitespace()) {
            match (c, quote) {
                ('\\', _) => word.push(match rest.next()? {
                    's' => ' ',
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                }),
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
        if rest.peek().is_none() {
            return Some(words);
        }
    }
}

impl Unit {
    /// The arguments that sshd gets; `None` where that cannot be told from the files.
    pub(crate) fn arguments(&self) -> Option<Arguments> {
        let (line, _) = self.exec_start.as_ref()?;
        let line = line.trim_start_matches(['-', '+', '!', ':']);
        // Other prefixes (`@`, `|`) make no absolute path of what follows.
        let mut words = split(line)?.into_iter();
        let program = PathBuf::from(words.next()?);
        let is_sshd = program.is_absolute() && program.file_name().is_some_and(|name| name == "sshd");
        let expanded = words.flat_map(|word| self.expand(&word));
        Arguments::read(program, expanded).filter(|_| is_sshd)
    }

    /// `$NAME` alone becomes as many words as it has, `${NAME}` a part of its word; `%%` is a per cent sign.
    fn expand(&self, word: &str) -> Vec<String> {
        let value = |name: &str| self.environment.get(name).map(String::as_str).unwrap_or_default();
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
            return split(value(name)).unwrap_or_default();
        }
        let mut expanded = String::new();
        let mut rest = word;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}').filter(|(name, _)| is_name(name)) else {
                break;
            };
            expanded.push_str(before);
            expanded.push_str(value(name));
            rest = after;
        }
        expanded.push_str(rest);
        vec![expanded.replace("%%", "%")]
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
    }

    #[test]
    fn environment_files_lose_their_quotes() {
        let text = "# x\nSSHD_OPTS=\"-o Banner=none\"\nOPTIONS='-u0'\n A = b \n";
        let read: Vec<_> = environment_file(text);
        assert_eq!(read[0].1, "-o Banner=none");
        assert_eq!(read[1].1, "-u0");
        assert_eq!(read[2], ("A".to_owned(), "b".to_owned()));
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
        let again = "[Service]\nExecStart=/usr/sbin/sshd -4\n";
        assert_eq!(
            exec_start(&[(UNIT, Some(EXEC)), (drop_in, Some(again))]),
            None,
            "two ExecStarts"
        );
    }
}
