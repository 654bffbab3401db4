//! Successive publications of the repositories: clients that are part-way through an update, and clients that downgrade.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::clients::{Apt, Dnf};
use crate::served::{Keys, PACKAGES, TOOLS, dist};
use crate::tools::{command, lacks, read, said, succeed};

/// Two publications, the second in place of the first.
struct Publications {
    _keys: Keys,
    first: TempDir,
    second: TempDir,
    web: Web,
}

impl Publications {
    /// `None` if a tool is missing.
    fn new(what: &str, tool: &str) -> Option<Self> {
        if lacks(what, &[TOOLS, &[tool]].concat(), &format!("{PACKAGES} {tool}")) {
            return None;
        }
        let web = Web::start();
        let keys = Keys::new();
        let key = keys.make("rsa4096", "sign");
        let (first, second) = (dist("2.0.9"), dist("2.1.0"));
        let base = format!("http://{}", web.address);
        done(&keys.repo(&key, first.path(), Some(&base), None));
        done(&keys.repo(&key, second.path(), Some(&base), Some(&first.path().join("repo"))));
        Some(Self {
            _keys: keys,
            first,
            second,
            web,
        })
    }

    fn first(&self) -> PathBuf {
        self.first.path().join("repo")
    }

    fn second(&self) -> PathBuf {
        self.second.path().join("repo")
    }

    fn apt(&self) -> Apt {
        let key = self.first().join("ec2-instance-connect.asc");
        Apt::new(&read(self.first().join("ec2-instance-connect.sources")), &key)
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// A web server whose directory changes while it serves.
struct Web {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    root: PathBuf,
    /// After it has served a path that ends with this, it serves this directory.
    then: Option<(&'static str, PathBuf)>,
    served: Vec<String>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, state }
    }

    /// Serves a directory and, after a path with the given ending has been served, another directory.
    fn serve(&self, root: &Path, then: Option<(&'static str, PathBuf)>) {
        *self.state.lock().unwrap() = State {
            root: root.to_owned(),
            then,
            served: Vec::new(),
        };
    }

    fn served(&self) -> Vec<String> {
        self.state.lock().unwrap().served.clone()
    }
}

trait Serve {
    fn serve(&self, stream: TcpStream);
}

impl Serve for Mutex<State> {
    /// One request per connection.
    fn serve(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap())
            .lines()
            .map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
        let mut state = self.lock().unwrap();
        let (status, body) = match fs::read(state.root.join(path)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        state.served.push(format!("{status} {path}"));
        if state.then.as_ref().is_some_and(|(end, _)| path.ends_with(end)) {
            state.root = state.then.take().unwrap().1;
        }
        drop(state);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    }
}

#[test]
fn an_update_while_the_repository_is_half_published_goes_well() {
    let Some(publications) = Publications::new("half-published repository", "apt-get") else {
        return;
    };
    // In the documented order: first the files, then the indexes that list them.
    let half = tempfile::tempdir().unwrap();
    succeed(
        command("cp")
            .arg("-r")
            .arg(publications.second().join("apt"))
            .arg(half.path()),
    );
    for name in ["InRelease", "Release", "Release.gpg"] {
        let inside = format!("apt/dists/stable/{name}");
        fs::copy(publications.first().join(&inside), half.path().join(&inside)).unwrap();
    }
    publications.web.serve(half.path(), None);
    let apt = publications.apt();
    done(&apt.run(&["update"]));
    assert_eq!(apt.versions(), ["2.0.9-1"]);
    let served = publications.web.served();
    assert!(
        served
            .iter()
            .any(|one| one.starts_with("200") && one.contains("/by-hash/SHA256/")),
        "{served:?}"
    );
}

#[test]
fn an_update_during_which_the_repository_changes_goes_well() {
    let Some(publications) = Publications::new("repository that changes", "apt-get") else {
        return;
    };
    let then = ("/InRelease", publications.second());
    publications.web.serve(&publications.first(), Some(then));
    let apt = publications.apt();
    done(&apt.run(&["update"]));
    assert_eq!(apt.versions(), ["2.0.9-1"]);
    // The files listed in the old index still exist.
    let package = apt.path("cache/archives/ec2-instance-connect_2.0.9-1_amd64.deb");
    done(&apt.run(&["install", "--yes", "--download-only", "ec2-instance-connect"]));
    assert!(package.is_file());
    done(&apt.run(&["update"]));
    assert_eq!(apt.versions(), ["2.1.0-1", "2.0.9-1"]);
}

#[test]
fn an_installation_during_which_the_repository_changes_goes_well() {
    let what = "yum repository that changes";
    if !geteuid().is_root() {
        println!("SKIPPED: {what}: dnf wants a root of its own (run as root)");
        return;
    }
    let Some(publications) = Publications::new(what, "dnf") else {
        return;
    };
    let snippet = read(publications.first().join("ec2-instance-connect.repo"));
    let then = ("-primary.xml.gz", publications.second());
    publications.web.serve(&publications.first(), Some(then));
    let dnf = Dnf::new(&snippet);
    done(&dnf.install("ec2-instance-connect"));
    assert!(dnf.path("root/opt/stand-in").is_file());
    let served = publications.web.served();
    assert!(
        served.contains(&"200 OK yum/ec2-instance-connect-2.0.9-1.x86_64.rpm".to_owned()),
        "{served:?}"
    );
    // Afterwards, that version can be installed.
    publications.web.serve(&publications.second(), None);
    done(&Dnf::new(&snippet).install("ec2-instance-connect-2.0.9"));
}

#[test]
fn what_is_published_stays_byte_for_byte() {
    let Some(publications) = Publications::new("published packages", "apt-get") else {
        return;
    };
    for inside in [
        "yum/ec2-instance-connect-2.0.9-1.x86_64.rpm",
        "apt/pool/main/e/ec2-instance-connect/ec2-instance-connect_2.0.9-1_arm64.deb",
    ] {
        let [first, second] =
            [publications.first(), publications.second()].map(|root| fs::read(root.join(inside)).unwrap());
        assert!(first == second, "{inside}");
    }
}

#[test]
fn another_package_of_a_version_that_is_published_is_refused() {
    if lacks("published versions", TOOLS, PACKAGES) {
        return;
    }
    let keys = Keys::new();
    let key = keys.make("rsa4096", "sign");
    for extension in ["deb", "rpm"] {
        let (first, second) = (dist("2.1.0"), dist("2.1.0"));
        done(&keys.repo(&key, first.path(), None, None));
        let repo = first.path().join("repo");
        // The same package again is not a different one.
        done(&keys.repo(&key, first.path(), None, Some(&repo)));
        for file in fs::read_dir(second.path()).unwrap().flatten() {
            if file.path().extension().is_none_or(|its| its != extension) {
                fs::copy(first.path().join(file.file_name()), file.path()).unwrap();
            }
        }
        let refused = keys.repo(&key, second.path(), None, Some(&repo));
        assert!(
            !refused.status.success() && said(&refused).contains("a version that is published never changes"),
            "{extension}: {}",
            said(&refused)
        );
    }
}
