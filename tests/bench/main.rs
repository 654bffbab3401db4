//! What a call costs beyond starting a process, compared with its alternatives in one run. It prints figures; it is not a
//! test.
//!
//! It measures all of them in turns, so that a machine that slows down affects all alike, and prints medians. The emulator
//! runs in this process and answers without latency.

use std::env;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use emulator::imds::SIGNER_CERT;
use emulator::instance::InstanceFiles;
use emulator::{Certificate, Emulator, Options};
use nix::sys::resource::{UsageWho, getrusage};

/// How often each alternative is run.
const TURNS: usize = 300;

/// A public key for the benchmark's user; its private key does not exist.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

/// The argument with which this program runs itself to measure the memory of one child.
const MEASURE: &str = "--measure-resident";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == MEASURE) {
        let program = arguments.next().ok_or("no program")?;
        silent(Command::new(program).args(arguments)).status()?;
        println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
        return Ok(ExitCode::SUCCESS);
    }

    let here = env::current_exe()?;
    let beside = |name: &str| here.with_file_name(name);
    let program = beside("eic_run_authorized_keys");
    let folder = tempfile::tempdir()?;
    let emulator = Emulator::start(Options::default())?;
    let files = emulator.write_instance(folder.path())?;
    emulator.push("pushed", KEY);

    let empty = Alternative {
        program: beside("empty"),
        arguments: Vec::new(),
    };
    let nobody = call(&emulator, &files, "nobody")?;
    let pushed = call(&emulator, &files, "pushed")?;
    let curl = Curl {
        imds: emulator.imds_url(),
        there: on_path("curl"),
    };

    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..TURNS {
        let turn = [empty.run()?, nobody.run()?, pushed.run()?, curl.run()?];
        for (all, time) in times.iter_mut().zip(turn) {
            all.push(time);
        }
        // A pushed key lasts 60 seconds.
        emulator.with_imds(|imds| imds.unpublish("pushed"));
        emulator.push("pushed", KEY);
        emulator.clear_requests();
    }
    let [empty_time, nobody_time, pushed_time, curl_time] = times.map(median);

    let over = |time: Duration| ms(time.saturating_sub(empty_time));
    println!(
        "median of {TURNS} turns, one process each; IMDS without latency, {} roots",
        emulator::instance::USUAL_ROOTS
    );
    println!();
    println!("                                      ms     over empty   resident");
    println!(
        "  empty Rust program              {:>8}              -   {:>5.1} MiB",
        ms(empty_time),
        empty.resident(&here)?
    );
    println!(
        "  nobody pushed a key             {:>8}       {:>8}   {:>5.1} MiB",
        ms(nobody_time),
        over(nobody_time),
        nobody.resident(&here)?
    );
    println!(
        "  one key verified                {:>8}       {:>8}   {:>5.1} MiB",
        ms(pushed_time),
        over(pushed_time),
        pushed.resident(&here)?
    );
    if curl.there {
        println!(
            "  curl, token and keys only       {:>8}       {:>8}",
            ms(curl_time),
            over(curl_time)
        );
    } else {
        println!("  curl, token and keys only        SKIPPED: no curl here (apt-get install curl)");
    }
    println!();
    println!("  bounds: nobody 1.0 ms over empty, one key 2.5 ms over empty, 8 MiB, 2.5 MB");
    println!("  program: {:.2} MB", std::fs::metadata(&program)?.len() as f64 / 1e6);
    for (what, alternative) in [("nobody pushed a key", &nobody), ("one key verified", &pushed)] {
        emulator.clear_requests();
        let before = emulator.connections();
        alternative.run()?;
        println!(
            "  {what}: {} requests over {} connections",
            emulator.requests().len(),
            emulator.connections() - before
        );
    }
    for (what, alternative) in [("nobody pushed a key", &nobody), ("one key verified", &pushed)] {
        match alternative.instructions(folder.path()) {
            Ok(count) => println!("  {what}: {:.2} million instructions (callgrind)", count as f64 / 1e6),
            Err(why) => println!("  {what}: SKIPPED: instructions ({why}; apt-get install valgrind)"),
        }
    }
    println!();
    println!("  to refuse what somebody in the place of IMDS serves, CPU of a whole call (bound: 100 ms):");
    for worst in emulator::worst::all("us-west-2", "amazonaws.com", emulator::now()) {
        let emulator = Emulator::start_with(Options::default(), worst.pki.clone())?;
        let files = emulator.write_instance(folder.path())?;
        emulator.with_imds(|imds| {
            let chain: String = worst.chain.iter().map(Certificate::pem).collect();
            imds.set(SIGNER_CERT, chain);
            if !worst.staples.is_empty() {
                for certificate in &worst.pki.chain {
                    imds.remove_staple(certificate);
                }
            }
            for (at, staple) in worst.staples.iter().enumerate() {
                imds.serve_staple_as(&format!("{at}"), &staple.sign());
            }
        });
        emulator.push("pushed", KEY);
        let call = call(&emulator, &files, "pushed")?;
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let before = children()?;
            call.run()?;
            least = least.min(children()?.saturating_sub(before));
        }
        println!("  {:>8}   {}: {}", ms(least), worst.name, call.said()?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The program, called for this user's keys.
fn call(emulator: &Emulator, files: &InstanceFiles, user: &str) -> Result<Alternative, Box<dyn Error>> {
    Ok(Alternative {
        program: env::current_exe()?.with_file_name("eic_run_authorized_keys"),
        arguments: [
            "--imds-endpoint".to_owned(),
            emulator.imds_url(),
            "--sysfs".to_owned(),
            files.sysfs.display().to_string(),
            "--trust-store".to_owned(),
            files.roots.display().to_string(),
            user.to_owned(),
        ]
        .into(),
    })
}

/// The CPU time of all children that have ended.
fn children() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(micros.iter().sum::<i64>().try_into()?))
}

/// A command that is started and waited for.
struct Alternative {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Alternative {
    fn run(&self) -> io::Result<Duration> {
        timed(silent(Command::new(&self.program).args(&self.arguments)))
    }

    /// The last line that it prints.
    fn said(&self) -> io::Result<String> {
        let output = Command::new(&self.program).args(&self.arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// The most memory it had resident, in MiB.
    fn resident(&self, here: &Path) -> Result<f64, Box<dyn Error>> {
        let measured = Command::new(here)
            .arg(MEASURE)
            .arg(&self.program)
            .args(&self.arguments)
            .output()?;
        let kib: f64 = String::from_utf8(measured.stdout)?.trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// The instructions that it executes, counted by callgrind: independent of the load of the machine.
    fn instructions(&self, folder: &Path) -> Result<u64, Box<dyn Error>> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.program)
            .args(&self.arguments)
            .current_dir(folder)
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = told
            .lines()
            .find_map(|line| line.split_once("Collected :"))
            .ok_or("valgrind counted nothing")?;
        Ok(count.1.trim().parse()?)
    }
}

/// The first steps of a shell script: a token, then the keys, without verification.
struct Curl {
    imds: String,
    there: bool,
}

impl Curl {
    fn run(&self) -> io::Result<Duration> {
        if !self.there {
            return Ok(Duration::ZERO);
        }
        let start = Instant::now();
        let token = Command::new("curl")
            .args(["-sS", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60"])
            .arg(format!("{}/latest/api/token", self.imds))
            .output()?
            .stdout;
        let token = format!("X-aws-ec2-metadata-token: {}", String::from_utf8_lossy(&token));
        let keys = format!("{}/latest/meta-data/managed-ssh-keys/active-keys/nobody/", self.imds);
        silent(Command::new("curl").args(["-sS", "-H", &token, &keys])).status()?;
        Ok(start.elapsed())
    }
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn timed(command: &mut Command) -> io::Result<Duration> {
    let start = Instant::now();
    command.status()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn on_path(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}
