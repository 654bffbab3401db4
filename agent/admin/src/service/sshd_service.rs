//! One sshd service: the units that start it, its command line, and its configuration as this program reads it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::files::{AfterChanges, Changes, Files, Place};
use crate::hook::our_lines::{is_unit_drop_in, original_exec_start};
use crate::host::root_directory::RootDirectory;
use crate::host::sshd_program::{SshdProgram, SshdUnavailable};
use crate::host::temporary_directory::TemporaryDirectory;
use crate::sshd::command_line::CommandLine;
use crate::sshd::sshd_config::SshdConfig;
use crate::systemd::unit::{self, Unit};

/// The configuration that sshd reads without `-f` (`_PATH_SERVER_CONFIG_FILE`), as distributions build it.
pub(crate) const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// sshd's program where no unit names one.
const SSHD: &str = "/usr/sbin/sshd";

/// The service of one system.
pub(crate) struct SshdService<'a> {
    /// The system.
    pub(crate) root: &'a RootDirectory,
    /// The listener's unit, and the template that a socket starts for each connection; our drop-ins are applied.
    pub(crate) units: Vec<Unit>,
    /// The listener's command line.
    pub(crate) command_line: CommandLine,
    /// The main configuration file.
    pub(crate) config_file: PathBuf,
    /// The listener's configuration.
    pub(crate) config: SshdConfig,
    /// The configuration of each template.
    pub(crate) template_configs: Vec<SshdConfig>,
    /// The file that this sshd reads without `-f`, if sshd was run and named another than [`SSHD_CONFIG`].
    pub(crate) other_default: OnceCell<PathBuf>,
}

/// Why the service cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// This configuration file does not exist.
    NoConfig(PathBuf),
    /// The ExecStart of this unit is not one sshd by its path.
    ExecStart(String),
}

impl<'a> SshdService<'a> {
    /// Reads the service as it will be after `changes`.
    ///
    /// # Errors
    /// A configuration file that does not exist, or an ExecStart that is not understood.
    pub(crate) fn read(root: &'a RootDirectory, changes: &Changes) -> Result<Self, Unreadable> {
        let files = AfterChanges { files: root, changes };
        let units = unit::read(&files, &|_| false);
        let command_line = match units.first() {
            Some(unit) => unit
                .command_line()
                .ok_or_else(|| Unreadable::ExecStart(unit.name.clone()))?,
            None => CommandLine {
                program: PathBuf::from(SSHD),
                ..CommandLine::default()
            },
        };
        let config_file = config_file_of(&command_line).to_owned();
        if !root.exists(&config_file) {
            return Err(Unreadable::NoConfig(config_file));
        }
        let config = SshdConfig::read(&files, &config_file, &options(&command_line, units.first()));
        let templates = units.iter().skip(1).filter_map(|unit| {
            let command_line = unit.command_line()?;
            let options = options(&command_line, Some(unit));
            Some(SshdConfig::read(&files, config_file_of(&command_line), &options))
        });
        let template_configs = templates.collect();
        Ok(Self {
            root,
            units,
            command_line,
            config_file,
            config,
            template_configs,
            other_default: OnceCell::new(),
        })
    }

    /// What [`crate::hook::installed::find`] looks through: the configuration, and the units.
    pub(crate) fn config_and_units(&self) -> (&SshdConfig, &[Unit]) {
        (&self.config, &self.units)
    }

    /// The units without the drop-ins that this program wrote.
    pub(crate) fn units_without_ours(files: &dyn Files) -> Vec<Unit> {
        unit::read(files, &|path| {
            is_unit_drop_in(path)
                && files
                    .read(path)
                    .is_ok_and(|bytes| original_exec_start(&bytes).is_some())
        })
    }

    /// The sshd that the unit starts.
    ///
    /// # Errors
    /// There is none, it does not run here, or it reads another configuration than [`SshdService::config_file`].
    pub(crate) fn sshd(&self, temporary: &'a TemporaryDirectory) -> Result<SshdProgram<'a>, SshdUnavailable> {
        let command_line = &self.command_line;
        let arguments = command_line.test_arguments.clone();
        let sshd = SshdProgram::find(self.root, temporary, &command_line.program, arguments)?;
        if command_line.config.is_none()
            && let Some(other) = sshd.default_config().filter(|path| *path != self.config_file)
        {
            let other = self.other_default.get_or_init(|| other).clone();
            return Err(SshdUnavailable::OtherConfiguration(other));
        }
        Ok(sshd)
    }
}

/// The configuration file that an sshd with this command line reads.
fn config_file_of(command_line: &CommandLine) -> &Path {
    command_line.config.as_deref().unwrap_or(Path::new(SSHD_CONFIG))
}

/// The `-o` options that a unit gives sshd, each with the line of the unit.
fn options(command_line: &CommandLine, unit: Option<&Unit>) -> Vec<(String, Place)> {
    let Some((_, place)) = unit.and_then(|unit| unit.exec_start.as_ref()) else {
        return Vec::new();
    };
    let options = command_line.options.iter();
    options.map(|option| (option.clone(), place.clone())).collect()
}
