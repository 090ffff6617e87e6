//! A provider of raw bytes: a thread for each connection, which the test writes as plain blocking code.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    closed: mpsc::Receiver<()>,
}

impl Upstream {
    /// Listens on loopback; `serve` gets each connection and its number, from 0.
    pub(crate) fn start(serve: impl Fn(&mut Conn, usize) + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", serve)
    }

    pub(crate) fn start_on(bind: &str, serve: impl Fn(&mut Conn, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(bind).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counter, seen, serve) = (accepted.clone(), requests.clone(), Arc::new(serve));
        let (close, closed) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut conn = Conn { stream, requests: seen.clone() };
                let (serve, close) = (serve.clone(), close.clone());
                thread::spawn(move || {
                    serve(&mut conn, number);
                    drop(conn);
                    let _ = close.send(());
                });
            }
        });
        Self { address, accepted, requests, closed }
    }

    /// Answers each request on each connection with `answer`.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::start(move |conn, _| {
            while conn.request().is_some() {
                conn.write(answer);
            }
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Heads and bodies, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits, without letting the runtime run, until one more connection's code has returned.
    pub(crate) fn wait_for_a_close(&self) {
        self.closed.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

impl Upstream {
    /// Whether a connection's code has returned by now.
    pub(crate) fn has_closed(&self) -> bool {
        self.closed.try_recv().is_ok()
    }
}

pub(crate) struct Conn {
    stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Conn {
    /// The next request's head and, by its `content-length` or chunks, its body; `None` at the end of the connection.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut text = self.head()?;
        let lower = text.to_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            text += &self.until(|text| text.ends_with("0\r\n\r\n"))?;
        } else if let Some((_, rest)) = lower.split_once("content-length: ") {
            let length: usize = rest.split_once("\r\n").unwrap().0.parse().unwrap();
            text += &self.until(|text| text.len() == length)?;
        }
        self.requests.lock().unwrap().push(text.clone());
        Some(text)
    }

    /// The next request's head.
    pub(crate) fn head(&mut self) -> Option<String> {
        self.until(|text| text.ends_with("\r\n\r\n"))
    }

    fn until(&mut self, done: impl Fn(&str) -> bool) -> Option<String> {
        let mut text = String::new();
        while !done(&text) {
            let mut byte = [0];
            if self.stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            text.push(byte[0].into());
        }
        Some(text)
    }

    /// All that comes until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Leaves what comes unread for a while; `false` once the other side is gone.
    pub(crate) fn wait(&mut self) -> bool {
        thread::sleep(Duration::from_millis(20));
        self.stream.take_error().is_ok_and(|error| error.is_none())
    }

    /// `false` once the other side is gone.
    pub(crate) fn write(&mut self, bytes: &str) -> bool {
        self.stream.write_all(bytes.as_bytes()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Whether the other side closes or resets the connection, rather than sending something.
    pub(crate) fn sees_the_end(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// An answer with this body.
pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
