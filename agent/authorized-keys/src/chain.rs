//! `--chain`: EC2 Instance Connect and another AuthorizedKeysCommand at the same time. If one of them fails, only its own
//! keys are missing.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::decision::Failure;
use crate::host::audit_log::LogLine;
use crate::host::chained_command::{ChainedCommand, ProcessGroup};
use crate::host::deadline::{Activity, Deadline, OnOverdueAnswer, TimedOut};
use crate::host::process;
use crate::options::Options;
use crate::report::Report;

/// How much longer than the chained command EC2 Instance Connect may take, as both are given up at the same time.
const GRACE: Duration = Duration::from_millis(20);

/// What both commands need before either is started.
pub(crate) struct Chain {
    group: ProcessGroup,
    sender: Sender<Report>,
    receiver: Receiver<Report>,
}

impl Chain {
    /// Prepares the process. Call it before anything is opened.
    pub(crate) fn prepare() -> Self {
        process::close_inherited_descriptors();
        let (sender, receiver) = mpsc::channel();
        Self {
            group: ProcessGroup::default(),
            sender,
            receiver,
        }
    }

    /// The process group of the chained command, for the watchdog to kill.
    pub(crate) fn process_group(&self) -> ProcessGroup {
        self.group.clone()
    }

    /// What the watchdog does if an answer of IMDS is overdue: EC2 Instance Connect fails, and the process continues,
    /// because the keys of the chained command must not be lost.
    pub(crate) fn on_overdue_answer(&self) -> OnOverdueAnswer {
        let sender = self.sender.clone();
        Box::new(move |error| drop(sender.send(Report::failure(&Failure::Imds(error)))))
    }

    /// Runs both, and returns the report and the keys of the chained command. `instance_connect` runs in a thread, because
    /// its blocking work may never end (an unreachable NFS server below the trust store).
    pub(crate) fn run(
        self,
        options: &Options,
        deadline: &Deadline,
        instance_connect: fn(&Options, &Deadline) -> Report,
    ) -> (Report, Vec<u8>) {
        let command = ChainedCommand::start(&options.chain, &self.group);
        let sender = self.sender;
        let (thread_options, thread_deadline) = (options.clone(), deadline.clone());
        let thread = thread::Builder::new().spawn(move || {
            let _ = sender.send(instance_connect(&thread_options, &thread_deadline));
        });
        let keys = command.and_then(|command| command.keys(deadline.give_up_at()));
        let until = deadline.give_up_at() + GRACE;
        let report = self
            .receiver
            .recv_timeout(until.saturating_duration_since(Instant::now()));
        let mut report = match (thread, report) {
            (Ok(_), Ok(report)) => report,
            (Ok(_), Err(_)) => Report::failure(&Failure::TimedOut(TimedOut {
                seconds: options.timeout.into(),
                activity: Activity::FetchingAndVerifying,
            })),
            (Err(error), _) => Report::failure(&Failure::Runtime(error)),
        };
        let keys = match keys {
            Ok(keys) => {
                // At least one of the two has succeeded.
                report.failed = false;
                keys
            }
            Err(error) => {
                report.log.push(LogLine::new(error.to_string()));
                Vec::new()
            }
        };
        (report, keys)
    }
}
