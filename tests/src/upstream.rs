//! A scripted provider: a raw listener that controls bytes and timing, counts connections, and keeps what it was sent.

use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A provider on loopback. Stops listening on drop.
pub struct Upstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    closed: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

/// One connection, seen from the provider.
pub struct Conversation {
    reader: BufReader<TcpStream>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Answers each connection with `script`, on a thread of its own.
    ///
    /// # Panics
    /// If there is no port on loopback.
    #[expect(clippy::expect_used, reason = "a test without its upstream has failed")]
    pub fn start(script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("the port's number");
        let (connections, requests, closed) = (Arc::default(), Arc::default(), Arc::default());
        let mut upstream = Self { address, connections, requests, closed, listener: None };
        let (connections, requests, closed) =
            (upstream.connections.clone(), upstream.requests.clone(), upstream.closed.clone());
        let script = Arc::new(script);
        upstream.listener = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, script) = (requests.clone(), script.clone());
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let mut conversation = Conversation { reader: BufReader::new(stream), requests };
                    let _ = script(&mut conversation);
                });
            }
        }));
        upstream
    }

    /// Answers each request with this JSON body and status 200, on connections that stay open.
    pub fn json(body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |conversation| {
            loop {
                conversation.request()?;
                conversation.answer("200 OK", "content-type: application/json\r\n", &body)?;
            }
        })
    }

    /// Answers each request with this stream of events, and closes.
    pub fn events(body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |conversation| {
            conversation.request()?;
            conversation.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
            conversation.write(&body)
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All requests so far, heads and bodies as they came.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees that it is over.
        #[expect(clippy::disallowed_methods, reason = "the provider's side of the tests")]
        let _ = TcpStream::connect(self.address);
        // From here on, connections to it are refused.
        let _ = self.listener.take().map(JoinHandle::join);
        reserve(self.address);
    }
}

/// Keeps the port from other tests until the process ends. A socket that is bound and does not listen refuses connections.
fn reserve(address: SocketAddr) {
    let reserve = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        std::mem::forget(socket);
        Ok(())
    };
    // The port may be taken by now: then it is as it was before.
    let _ = reserve();
}

impl Conversation {
    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A body in chunks (RFC 9112, section 7.1), put together.
    fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads one request: its head and its body.
    ///
    /// # Errors
    /// If the connection ends before that.
    pub fn request(&mut self) -> io::Result<String> {
        let (head, body) = self.request_bytes()?;
        Ok(head + &String::from_utf8_lossy(&body))
    }

    /// Reads the head of a request, and leaves its body where it is.
    ///
    /// # Errors
    /// If the connection ends before that.
    pub fn head(&mut self) -> io::Result<String> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut text)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(text)
    }

    /// The same, with the body's bytes as they came.
    ///
    /// # Errors
    /// If the connection ends before that.
    pub fn request_bytes(&mut self) -> io::Result<(String, Vec<u8>)> {
        let text = self.head()?;
        let field = |name: &str| {
            let mut lines = text.lines().map(str::to_ascii_lowercase);
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned()))
        };
        let body = match field("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => self.exactly(length)?,
            None if field("transfer-encoding").is_some() => self.chunked()?,
            None => Vec::new(),
        };
        let whole = format!("{text}{}", String::from_utf8_lossy(&body));
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(whole);
        Ok((text, body))
    }

    /// Writes bytes and flushes them.
    ///
    /// # Errors
    /// If the other side is gone.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Writes an answer of known length. `fields` end with CR LF each.
    ///
    /// # Errors
    /// If the other side is gone.
    pub fn answer(&mut self, status: &str, fields: &str, body: &str) -> io::Result<()> {
        self.write(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len()))
    }

    /// Waits until the other side has closed; false if it has not after `patience`.
    ///
    /// # Errors
    /// If the socket can't be asked.
    pub fn closed_within(&mut self, patience: Duration) -> io::Result<bool> {
        self.reader.get_mut().set_read_timeout(Some(patience))?;
        match self.reader.read(&mut [0; 64]) {
            Ok(0) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(_) => Ok(true),
        }
    }
}
