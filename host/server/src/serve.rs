//! The socket, the workers behind it, and how they stop.
//!
//! One worker a core, each with a runtime, a router and a door of its own: a request stays on one core from its first byte to
//! its last. The first worker accepts and hands connections round, so that they are spread evenly.

use crate::app::{App, Gateway};
use crate::connections::Place;
use crate::console;
use crate::heads::Heads;
use crate::patience::Patient;
use crate::probe;
use crate::reload;
use crate::router::router;
use crate::socket::{self, Peer};
use crate::telemetry::{self, Export, Telemetry};
use crate::unread;
use crate::wire::Wire;
use axum::Router;
use axum::extract::ConnectInfo;
use hauski_egress::{Door, LedgerError, LedgerWriter, Recovery};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}; stop what listens there, or set `HAUSKI_BIND` to another address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The ledger can't be written, so no request could be let out.
    #[error("can't open the ledger: {0}; or set `HAUSKI_LEDGER` to another file")]
    Ledger(#[from] LedgerError),
    /// No thread or no event queue for a worker.
    #[error("can't start a worker: {0}")]
    Worker(#[from] io::Error),
}

/// A server that runs; stopping it is explicit.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    reload: std::sync::mpsc::Sender<()>,
    gateway: Arc<Gateway>,
    telemetry: Option<Export>,
    ledger: LedgerWriter,
}

/// Binds `address` and serves on it with `workers` threads.
///
/// # Errors
/// If the address is taken or the system gives no threads.
pub fn start(gateway: Gateway, address: SocketAddr, workers: usize) -> Result<Running, StartError> {
    let bind = |source| StartError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    gateway.egress.set_own_addresses(vec![address]);
    let (ledger, recovery) = gateway.egress.ledger().open()?;
    log_recovery(&recovery);
    gateway.access.mark_required();
    let gateway = Arc::new(gateway);
    let exported = gateway.otlp.as_ref().map(|endpoint| telemetry::start(endpoint, &gateway)).transpose()?;
    let (telemetry, export) = exported.map(|(telemetry, export)| (Arc::new(telemetry), export)).unzip();
    let (stop, stopped) = watch::channel(false);
    let mut queues = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..workers.max(1) {
        let (queue, receiver) = mpsc::unbounded_channel();
        queues.push(queue);
        receivers.push(receiver);
    }
    // A thread of its own: a worker that is busy for long must not keep connections from the others.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (accepting, stop_accepting) = (gateway.clone(), stopped.clone());
    let accept = move || runtime.block_on(accept_until(listener, queues, accepting, stop_accepting));
    let mut threads = vec![thread::Builder::new().name("hauski-accept".to_owned()).spawn(accept)?];
    for (number, connections) in receivers.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker { gateway: gateway.clone(), stopped: stopped.clone(), telemetry: telemetry.clone() };
        let run = move || {
            runtime.block_on(worker.run(number == 0, connections));
            // A look-up of the system's can't be cancelled; nobody waits for it.
            runtime.shutdown_background();
        };
        threads.push(thread::Builder::new().name(format!("hauski-worker-{number}")).spawn(run)?);
    }
    let (reload, asked) = std::sync::mpsc::channel();
    let followed = gateway.clone();
    let follow = move || reload::follow(&followed, &asked);
    let followed = gateway.clone();
    let follow_adapters = move || reload::follow_adapters(&followed);
    // Nobody waits for their end: a file system that hangs must not hold up a stop.
    thread::Builder::new().name("hauski-policy".to_owned()).spawn(follow)?;
    thread::Builder::new().name("hauski-adapters".to_owned()).spawn(follow_adapters)?;
    Ok(Running { address, stop, workers: threads, reload, gateway, telemetry: export, ledger })
}

impl Running {
    /// The address that is listened on; the port is the real one where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The gateway that runs.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Reads the policy again, now and whether its files have changed or not.
    pub fn reload(&self) {
        if self.reload.send(()).is_err() || self.gateway.stale().is_some_and(|stale| stale.is_silence()) {
            tracing::error!("the policy can't be read again: its files do not answer; the last good policy holds on");
        }
    }

    /// Takes no more connections, lets running answers end within `server.shutdown_seconds`, and returns then.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        drop(self.reload);
        self.gateway.library.stop();
        self.gateway.console.close();
        for thread in self.workers {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
        // What the workers had to say is said.
        if let Some(export) = self.telemetry {
            export.stop();
        }
        // Last: what the workers cut off has its records too.
        drop(self.ledger);
    }
}

/// Says what the last process has left of the ledger, if it did not close it.
fn log_recovery(recovery: &Recovery) {
    if let Some(torn) = &recovery.torn {
        let (bytes, kept) = (torn.bytes, torn.kept.display());
        tracing::warn!(bytes, %kept, "the ledger's end was not whole: it was cut off and kept");
    }
    if recovery.unclosed {
        tracing::warn!("the ledger was not closed: requests that were under way then have no record");
    }
}

/// The interval at which connections are looked at whose heads take long.
const HEADS_INTERVAL: Duration = Duration::from_secs(1);

/// How long those whose answers are cut off have to be told so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The bytes that a connection buffers of a request's head, or of its body at once, before it reads no more. A last read may bring as much
/// again: a head of twice this is rejected in any case. Each connection may hold as much before it shows a key.
const MAX_HEAD: usize = 64 << 10;

/// A connection, and its place among the most that may be open.
type Accepted = (TcpStream, Place);
type Queue = mpsc::UnboundedSender<Accepted>;
type Connections = mpsc::UnboundedReceiver<Accepted>;

/// One core's part of the server.
struct Worker {
    gateway: Arc<Gateway>,
    stopped: watch::Receiver<bool>,
    telemetry: Option<Arc<Telemetry>>,
}

impl Worker {
    /// Serves the connections it is handed until the stop, then waits for them to end. The first one does what all have in common as well.
    async fn run(self, is_first: bool, mut connections: Connections) {
        let door = Arc::new(Door::new(self.gateway.egress.clone()));
        let (cut, is_cut) = watch::channel(false);
        let telemetry = self.telemetry.clone();
        let app = App { gateway: self.gateway.clone(), door, cut: is_cut, telemetry };
        let router = router(app.clone());
        let mut tasks = JoinSet::new();
        if is_first {
            let (mut stopped, gateway) = (self.stopped.clone(), self.gateway.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = probe::look(app) => {}
                    () = console::keep_time(gateway) => {}
                    _ = stopped.changed() => {}
                }
            });
        }
        let serve = |accepted| connection(accepted, router.clone(), self.gateway.clone(), self.stopped.clone());
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                Some(accepted) = connections.recv() => drop(tasks.spawn(serve(accepted))),
                Some(_) = tasks.join_next() => {}
                _ = stopped.changed() => break,
            }
        }
        // Those that were accepted before the stop are served.
        while let Ok(accepted) = connections.try_recv() {
            tasks.spawn(serve(accepted));
        }
        if timeout(self.gateway.limits().server.shutdown, drain(&mut tasks)).await.is_err() {
            tracing::warn!("answers that ran longer than `server.shutdown_seconds` were cut off");
            // Their clients are told.
            let _ = cut.send(true);
            let _ = timeout(LAST_WORDS, drain(&mut tasks)).await;
        }
    }
}

/// Waits until all have ended.
async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Accepts connections until the stop and hands them round.
async fn accept_until(
    listener: TcpListener,
    queues: Vec<Queue>,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the listening socket can't be used"),
    };
    let accept = async {
        for queue in queues.iter().cycle() {
            // At the limit, new connections wait in the socket's backlog, behind the one that is being admitted.
            let accepted = loop {
                let (stream, address) = next(&listener).await;
                let limit = gateway.limits().server.connections;
                if let Some(place) = gateway.connections.admit(address.ip(), limit, gateway.access.is_public).await {
                    break (stream, place);
                }
            };
            if queue.send(accepted).is_err() {
                return;
            }
        }
    };
    let watch = async {
        loop {
            sleep(HEADS_INTERVAL).await;
            gateway.connections.close_slow_heads();
        }
    };
    tokio::select! {
        () = accept => {}
        () = watch => {}
        _ = stopped.changed() => {}
    }
}

/// The next connection, and its other end. Without descriptors or memory it waits a little rather than spin.
async fn next(listener: &tokio::net::TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let accepted = match listener.accept().await {
            Ok((stream, address)) => socket::accepted(stream).map(|stream| (stream, address)),
            Err(error) => Err(error),
        };
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection; after the stop it ends with the answer that it is at.
async fn connection(
    (stream, place): Accepted,
    router: Router,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
    let Ok(address) = stream.peer_addr() else { return };
    let open = Open::new(&gateway);
    let patience = gateway.limits().server.request_time;
    let (stream, peer) = socket::split(stream);
    match &gateway.tls {
        None => http((stream, peer), (&place, address), router, patience, stopped).await,
        Some(tls) => {
            // Here, so that one who is slow at it or sends something else holds up nobody.
            let shaken = tokio::select! {
                shaken = tls.handshake(stream, patience) => shaken,
                () = place.closed() => return,
                _ = stopped.changed() => return,
            };
            match shaken {
                Ok(stream) => Box::pin(http((stream, peer), (&place, address), router, patience, stopped)).await,
                Err(error) => tracing::debug!(%error, "a connection ended before TLS began"),
            }
        }
    }
    drop(open);
}

/// Speaks HTTP over `stream` until it ends, or its `peer` has left.
async fn http(
    (stream, peer): (impl AsyncRead + AsyncWrite + Unpin, Peer),
    (place, address): (&Place, SocketAddr),
    router: Router,
    patience: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let (wire, heads, activity) = (Wire::default(), Heads::default(), place.activity());
    let stream = Patient::new(stream, patience, wire.clone(), heads.clone()).telling(activity.clone());
    let stream = TokioIo::new(stream);
    let router = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        if let Some(ambiguous) = heads.next() {
            request.extensions_mut().insert(ambiguous);
        }
        request.extensions_mut().insert(ConnectInfo(address));
        let busy = activity.begin();
        let (answer, wire) = (unread::answer(&router, request), wire.clone());
        async move { answer.await.map(|response| response.map(|body| wire.body(body, busy))) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .serve_connection(stream, answer);
    let mut http = std::pin::pin!(http);
    let left = async {
        tokio::select! {
            () = peer.left() => {}
            () = place.closed() => {}
        }
    };
    let mut left = std::pin::pin!(left);
    let served = tokio::select! {
        biased;
        served = http.as_mut() => served,
        () = left.as_mut() => return,
        _ = stopped.changed() => {
            http.as_mut().graceful_shutdown();
            tokio::select! {
                served = http.as_mut() => served,
                () = left.as_mut() => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Counts an open connection while it lives.
struct Open(prometheus::IntGauge);

impl Open {
    fn new(gateway: &Gateway) -> Self {
        let gauge = gateway.metrics.connections.clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
