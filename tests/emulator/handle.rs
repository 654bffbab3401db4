//! A running emulator: starts and ends its thread, and accesses what it serves meanwhile.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fault::{Fault, FaultRule, Faults, Share};
use crate::http::{self, Answer, Request, Site};
use crate::imds::Imds;
use crate::instance::{self, InstanceFiles};
use crate::log::{Listener, LoggedRequest};
use crate::options::Options;
use crate::pki::Pki;
use crate::service::Service;

/// A running emulator; it ends when this value is dropped.
pub struct Emulator {
    options: Options,
    imds_addresses: Vec<SocketAddr>,
    service_address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The state that the emulator's thread and its handle share.
struct State {
    started: Instant,
    changing: Mutex<Changing>,
}

struct Changing {
    imds: Imds,
    service: Service,
    faults: Faults,
    /// Which of IMDS's connections to reset, and how many there have been since this was set.
    resets: Option<(Share, usize)>,
    /// Whether IMDS closes each connection after one answer, and says so.
    closing: bool,
    latency: Duration,
    requests: Vec<LoggedRequest>,
    imds_connections: usize,
    service_connections: usize,
    observer: Option<std::sync::mpsc::Sender<LoggedRequest>>,
}

impl Emulator {
    /// Starts without faults.
    pub fn start(options: Options) -> io::Result<Self> {
        let now = options.now.unwrap_or_else(crate::now);
        let pki = Pki::new(&options.region, &options.domain, now);
        Self::start_with(options, pki)
    }

    /// Starts with that PKI, and with good staples for the certificates that it serves.
    pub fn start_with(options: Options, pki: Pki) -> io::Result<Self> {
        let imds = options
            .imds_addresses
            .iter()
            .map(bind)
            .collect::<io::Result<Vec<_>>>()?;
        let service = bind(&options.service_address)?;
        let imds_addresses = imds.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let service_address = service.local_addr()?;

        let state = Arc::new(State {
            started: Instant::now(),
            changing: Mutex::new(Changing {
                imds: Imds::new(&options, pki),
                service: Service::new(&options),
                faults: Faults::default(),
                resets: None,
                closing: false,
                latency: options.latency,
                requests: Vec::new(),
                imds_connections: 0,
                service_connections: 0,
                observer: options.observer.clone(),
            }),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            runtime.block_on(async {
                spawn(imds, Listener::Imds, &shared);
                spawn(vec![service], Listener::Service, &shared);
                // An error means that the handle has been dropped, which has the same meaning.
                stopped.await.ok();
            });
            // Dropping the runtime ends every connection, however slow.
        })?;
        Ok(Self {
            options,
            imds_addresses,
            service_address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Ends it. When this returns, every connection is closed.
    pub fn stop(self) {}

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The URL of IMDS (of its first address), without a slash at the end.
    pub fn imds_url(&self) -> String {
        let address = self.imds_addresses.first();
        crate::url(*address.expect("IMDS has an address"))
    }

    /// The URLs of all of IMDS's addresses, in the order of the options.
    pub fn imds_urls(&self) -> Vec<String> {
        self.imds_addresses.iter().copied().map(crate::url).collect()
    }

    /// The URL of the service, without a slash at the end.
    pub fn service_url(&self) -> String {
        crate::url(self.service_address)
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state.lock().requests.clone()
    }

    /// `METHOD path` of every request to IMDS so far: what most tests compare.
    pub fn imds_paths(&self) -> Vec<String> {
        let state = self.state.lock();
        let imds = state.requests.iter().filter(|r| r.listener == Listener::Imds);
        imds.map(|r| format!("{} {}", r.method, r.path)).collect()
    }

    /// How many connections IMDS has accepted so far.
    pub fn connections(&self) -> usize {
        self.state.lock().imds_connections
    }

    /// How many connections the service has accepted so far.
    pub fn service_connections(&self) -> usize {
        self.state.lock().service_connections
    }

    /// Forgets the requests so far, and counts connections from zero.
    pub fn clear_requests(&self) {
        let mut state = self.state.lock();
        state.requests.clear();
        state.imds_connections = 0;
        state.service_connections = 0;
    }

    /// Looks at or changes what IMDS serves; no request is answered meanwhile.
    pub fn with_imds<T>(&self, change: impl FnOnce(&mut Imds) -> T) -> T {
        change(&mut self.state.lock().imds)
    }

    /// A copy of the signer's current PKI.
    pub fn pki(&self) -> Pki {
        self.with_imds(|imds| imds.pki.clone())
    }

    /// Changes the PKI, then serves its chain with good staples.
    pub fn change_pki(&self, change: impl FnOnce(&mut Pki)) {
        self.with_imds(|imds| {
            change(&mut imds.pki);
            imds.serve_signer();
        });
    }

    /// Pushes a key as the service does, without its checks: a record with caller and request id, good for its lifetime.
    /// Gives back the request id.
    pub fn push(&self, user: &str, key_line: &str) -> String {
        let request_id = crate::service::request_id();
        self.with_imds(|imds| {
            let record = imds
                .record(key_line)
                .with("Caller", &self.options.caller)
                .with("Request", &request_id);
            imds.publish(user, &record);
        });
        request_id
    }

    /// Applies the fault to every answer of IMDS to paths that start with this, until [`Emulator::clear_faults`].
    pub fn fault(&self, path_prefix: &str, fault: Fault) {
        self.fault_rule(FaultRule::imds(path_prefix, fault));
    }

    /// Applies the rule's fault to the answers that it describes. If several rules apply, the one added first is used.
    pub fn fault_rule(&self, rule: FaultRule) {
        self.state.lock().faults.add(rule);
    }

    /// Removes all faults, from the next request on.
    pub fn clear_faults(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.resets = None;
    }

    /// Resets this share of IMDS's connections as they are accepted, until [`Emulator::clear_faults`].
    pub fn reset_connections(&self, share: Share) {
        self.state.lock().resets = Some((share, 0));
    }

    /// Makes IMDS answer each request with `Connection: close` and close the connection, as the real one does.
    pub fn close_each_connection(&self) {
        self.state.lock().closing = true;
    }

    /// How long every answer takes from the next request on.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// Writes the instance's files of this emulator into a directory: `sysfs/` (Nitro), and `roots.pem` with
    /// [`instance::USUAL_ROOTS`] certificates.
    pub fn write_instance(&self, folder: &Path) -> io::Result<InstanceFiles> {
        let anchors = self.pki().anchors;
        let id = &self.options.instance_id;
        instance::write_instance(folder, id, &anchors, instance::USUAL_ROOTS)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // This fails if the thread has already ended, which is the desired state.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            // The thread's panic has been printed; another one in a drop would abort the tests.
            thread.join().ok();
        }
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("imds", &self.imds_addresses)
            .field("service", &self.service_address)
            .finish_non_exhaustive()
    }
}

impl State {
    /// After a test panicked inside a closure, the other tests must not fail because of the poisoned lock.
    fn lock(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Binds now, so that a port in use is an error of `start`.
fn bind(address: &SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn spawn(listeners: Vec<TcpListener>, listener: Listener, state: &Arc<State>) {
    for socket in listeners {
        let socket = tokio::net::TcpListener::from_std(socket).expect("the runtime takes a non-blocking socket");
        let front = Front {
            listener,
            state: Arc::clone(state),
        };
        tokio::spawn(http::serve(socket, Arc::new(front)));
    }
}

/// The state for one listener.
struct Front {
    listener: Listener,
    state: Arc<State>,
}

impl Site for Front {
    fn connected(&self) -> Option<usize> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let (count, resets) = match self.listener {
            Listener::Imds => (&mut state.imds_connections, state.resets.as_mut()),
            Listener::Service => (&mut state.service_connections, None),
        };
        *count += 1;
        let reset = resets.is_some_and(|(share, nth)| {
            *nth += 1;
            share.picks("connections", *nth)
        });
        (!reset).then_some(*count)
    }

    fn answer(&self, connection: usize, request: Request) -> Answer {
        let at = self.state.started.elapsed();
        let mut state = self.state.lock();
        let state = &mut *state;
        let response = match self.listener {
            Listener::Imds if state.closing => state.imds.answer(&request).with("Connection", "close"),
            Listener::Imds => state.imds.answer(&request),
            Listener::Service => state.service.answer(&request, &mut state.imds),
        };
        let fault = state.faults.pick(self.listener, &request.method, &request.path);
        let logged = LoggedRequest {
            at,
            listener: self.listener,
            connection,
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body,
            status: response.status,
            request_id: http::header(&response.headers, "x-amzn-RequestId").map(str::to_owned),
            fault: fault.as_ref().map(Fault::name),
        };
        if let Some(observer) = &state.observer {
            // It is no error if nobody listens.
            observer.send(logged.clone()).ok();
        }
        state.requests.push(logged);
        Answer {
            response,
            fault,
            delay: state.latency,
        }
    }
}
