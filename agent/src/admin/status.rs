//! `status`: whom sshd asks for keys, by which line, and whether the running sshd knows.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::change::Marker;
use super::hook::lines::made_from;
use super::hook::pair::{self, InEffect, Owner};
use super::hook::sshd_config::{Files, Setting, SshdConfig, Who};
use super::hook::unit::Unit;
use super::options;
use super::setup::{Changes, Setup, unit_drop_in_path};
use super::verdict::Verdict;
use super::world::disk::Disk;
use super::world::scratch::Scratch;
use super::world::sshd::{Refused, Silent};
use super::world::systemd::Systemd;
use crate::verify::text::printable;

/// Where sshd does not ask this program: systemctl's status for "not active".
const NOT_HOOKED: u8 = 3;

/// What is told.
#[derive(Debug, Default, Serialize)]
struct Told {
    /// `hooked`, `hooked by AWS's package`, `another command`, `not hooked`, `unknown`.
    state: &'static str,
    command: Option<Line>,
    user: Option<Line>,
    /// Each Match block in which another pair is in effect than for everybody.
    matches: Vec<Within>,
    /// Whether sshd itself was asked, and said the same.
    confirmed_by_sshd: bool,
    /// The running listener.
    listener: Option<Running>,
    /// What is worth knowing besides.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    value: String,
    place: String,
}

/// What is in effect within a Match block.
#[derive(Debug, Serialize)]
struct Within {
    /// The block's criteria, as written.
    criteria: String,
    place: String,
    command: Option<Line>,
    user: Option<Line>,
}

#[derive(Debug, Serialize)]
struct Running {
    pid: u32,
    command_line: String,
    started: u64,
    /// Whether it has read the files as they are now.
    up_to_date: bool,
}

impl Line {
    fn of(setting: &Setting) -> Self {
        Self {
            value: setting.value.clone(),
            place: setting.place.to_string(),
        }
    }
}

/// Tells how things are.
pub(super) fn status(options: &options::Status) -> ExitCode {
    let disk = Disk::new(&options.root);
    let told = look(&disk, options.run_sshd);
    let mut stdout = io::stdout().lock();
    let _ = if options.json {
        serde_json::to_writer(&mut stdout, &told)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout))
    } else {
        as_text(&told, &mut stdout)
    };
    match told.state {
        "hooked" | "hooked by AWS's package" => ExitCode::SUCCESS,
        "unknown" => ExitCode::FAILURE,
        _ => ExitCode::from(NOT_HOOKED),
    }
}

fn as_text(told: &Told, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{}", told.state)?;
    pair_as_text("  ", (&told.command, &told.user), to)?;
    for within in &told.matches {
        writeln!(to, "  within \"Match {}\" ({}):", within.criteria, within.place)?;
        if within.command.is_none() {
            writeln!(to, "    no command")?;
        }
        pair_as_text("    ", (&within.command, &within.user), to)?;
    }
    if let Some(running) = &told.listener {
        let knows = if running.up_to_date {
            "knows"
        } else {
            "has not read this yet: reload or restart it"
        };
        writeln!(to, "  running sshd ({}): {knows}", running.pid)?;
    }
    for note in &told.notes {
        writeln!(to, "  {note}")?;
    }
    Ok(())
}

fn pair_as_text(indent: &str, pair: (&Option<Line>, &Option<Line>), to: &mut impl Write) -> io::Result<()> {
    for (what, line) in [("command", pair.0), ("user", pair.1)] {
        if let Some(line) = line {
            writeln!(
                to,
                "{indent}{what}: {} ({})",
                printable(line.value.as_bytes()),
                line.place
            )?;
        }
    }
    Ok(())
}

/// The blocks in which another pair is in effect than for everybody.
fn matches(config: &SshdConfig) -> Vec<Within> {
    let everybody = config.effective(Who::Everyone).unwrap_or_default();
    let blocks = config.blocks.iter().enumerate();
    let differing = blocks.filter_map(|(number, block)| {
        let pair = config.effective(Who::Block(number)).filter(|pair| *pair != everybody)?;
        Some(Within {
            criteria: block.text.clone(),
            place: block.place.to_string(),
            command: pair.command.map(Line::of),
            user: pair.user.map(Line::of),
        })
    });
    differing.collect()
}

fn look(disk: &Disk, run_sshd: bool) -> Told {
    let mut told = Told {
        state: "unknown",
        ..Told::default()
    };
    for (marker, words) in [
        (
            Marker::NoEnable,
            "/etc/ec2-instance-connect/no-enable keeps it from being enabled",
        ),
        (Marker::Disabled, "disabled by an admin: packages leave it so"),
    ] {
        if marker.is_set(disk) {
            told.notes.push(words.to_owned());
        }
    }
    let setup = match Setup::read(disk, &Changes::new()) {
        Ok(setup) => setup,
        Err(verdict) => {
            if matches!(verdict, Verdict::NoSshd(_)) {
                told.state = "not hooked";
            }
            told.notes.push(verdict.to_string());
            return told;
        }
    };
    let in_effect = pair::in_effect(&setup.config);
    let shown = setup.config.effective(Who::Everyone).unwrap_or_default();
    told.command = shown.command.map(Line::of);
    told.user = shown.user.map(Line::of);
    told.matches = matches(&setup.config);
    told.state = match &in_effect {
        InEffect::Nothing => "not hooked",
        InEffect::Ours(Owner::Aws) | InEffect::OursForSome(Owner::Aws) => "hooked by AWS's package",
        InEffect::Ours(_) | InEffect::OursForSome(_) => "hooked",
        InEffect::Others(contender) => {
            told.notes.push(format!("asked in its place: {contender}"));
            "another command"
        }
    };
    if !setup.config.files.contains_key(&setup.main) {
        // Not for us to read, or by no means: then there is nothing to tell.
        told.state = "unknown";
    }
    told.notes.extend(
        setup
            .config
            .problems
            .iter()
            .map(|problem| format!("sshd would not start: {problem}")),
    );
    told.notes.extend(setup.config.unread.iter().cloned());
    told.notes.extend(stale_units(disk));
    if !(disk.is_own_root() || run_sshd) {
        // Looking at a system must not run its programs as root.
        told.notes.push(format!(
            "the sshd under {} was not run to confirm this; --run-sshd runs it, as root",
            printable(disk.root().as_os_str().as_encoded_bytes())
        ));
        return told;
    }
    match Scratch::new(disk) {
        Ok(scratch) => ask(&setup, &scratch, &mut told),
        Err(error) => told.notes.push(format!("sshd could not be asked: {error}")),
    }
    told
}

/// Drop-ins of ours that were made from another ExecStart than there is now, or that somebody has changed.
fn stale_units(disk: &Disk) -> Vec<String> {
    let units = Setup::units_without_ours(disk).into_iter();
    let notes = units.filter_map(|unit| {
        let path = unit_drop_in_path(&unit.name);
        let bytes = disk.read(&path).ok()?;
        match (made_from(&bytes), unit.exec_start) {
            (Some(from), Some((now, _))) if from == now => None,
            (Some(_), _) => Some(format!(
                "{} starts sshd otherwise than when {} was made: `ec2-instance-connect enable` makes it anew",
                unit.name,
                path.display()
            )),
            (None, _) => Some(format!("{} was changed by somebody", path.display())),
        }
    });
    notes.collect()
}

fn ask(setup: &Setup<'_>, scratch: &Scratch, told: &mut Told) {
    match setup.sshd(scratch) {
        Ok(sshd) => match setup.confirmed(&sshd, &setup.main) {
            Ok(confirmed) => {
                told.confirmed_by_sshd = true;
                told.notes.extend(confirmed.note());
            }
            Err(verdict) => told.notes.push(verdict.to_string()),
        },
        Err(Silent::Missing) => told.notes.push("sshd is not installed".to_owned()),
        Err(Silent::DoesNotRun(words)) => told.notes.push(format!("sshd could not be asked: {}", Refused(words))),
    }
    let Some(systemd) = Systemd::find(setup.disk, scratch.on_host()) else {
        return;
    };
    let running = |unit: &Unit| {
        systemd
            .listener(&unit.name)
            .map(|listener| (listener, unit.name.clone()))
    };
    told.listener = setup.units.iter().find_map(running).map(|(listener, unit)| {
        let carries = listener.command_line.contains("AuthorizedKeysCommand");
        let needs = setup
            .arguments
            .options
            .iter()
            .any(|option| option.contains("AuthorizedKeysCommand"));
        let read = systemd.last_changed(&unit).unwrap_or(0).max(listener.started);
        let newest = setup
            .config
            .files
            .keys()
            .filter_map(|path| setup.disk.changed(path))
            .max()
            .unwrap_or(0);
        Running {
            pid: listener.pid,
            command_line: listener.command_line,
            started: listener.started,
            up_to_date: carries == needs && newest <= read,
        }
    });
}
