//! All packets of the namespace, as its kernel sends them: by a packet socket on every interface.
//!
//! A packet on `lo` passes twice, once on its way out and once on its way in, and counts once.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Whatever protocol is in the frame (`ETH_P_ALL`).
const ALL: u16 = 3;

/// What the test itself sends comes from here, so that it can be told from what the gateway sends.
pub(crate) const TEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// A packet that begins something: a connection, or a datagram, or what is neither TCP nor UDP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) protocol: &'static str,
    pub(crate) to: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.to)
    }
}

/// A packet as far as it matters here.
struct Packet {
    from: SocketAddr,
    flow: Flow,
    begins: bool,
    /// TCP's: a port that is used again is another connection, and a packet that is sent again is none.
    sequence: Option<[u8; 4]>,
}

#[derive(Default)]
struct Seen {
    whole: HashSet<Vec<u8>>,
    flows: BTreeSet<Flow>,
    connections: HashSet<(SocketAddr, SocketAddr, Option<[u8; 4]>)>,
    datagrams: usize,
    marks: usize,
}

/// What is captured while it lives.
pub(crate) struct Capture {
    seen: Arc<Mutex<Seen>>,
    mark: UdpSocket,
}

impl Capture {
    /// Captures from now on.
    pub(crate) fn start() -> Self {
        let protocol = Protocol::from(i32::from(ALL.to_be()));
        // Without the frame's head: what is read begins with the head of IP.
        let mut socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)).unwrap();
        socket.set_recv_buffer_size(8 << 20).unwrap();
        let mark = UdpSocket::bind((TEST, 0)).unwrap();
        let marked = mark.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let into = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            loop {
                let length = socket.read(&mut bytes).unwrap();
                into.lock().unwrap().note(&bytes[..length], marked);
            }
        });
        Self { seen, mark }
    }

    /// What the gateway has begun since the last call. Waits until all that was sent up to now has been captured.
    pub(crate) fn take(&self) -> BTreeSet<Flow> {
        let marks = self.seen.lock().unwrap().marks;
        self.mark.send_to(format!("mark {marks}").as_bytes(), self.mark.local_addr().unwrap()).unwrap();
        let begin = Instant::now();
        loop {
            let mut seen = self.seen.lock().unwrap();
            if seen.marks > marks {
                return std::mem::take(&mut seen.flows);
            }
            drop(seen);
            assert!(begin.elapsed() < Duration::from_secs(5), "the capture has stopped");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many connections were begun and datagrams sent in the namespace since the capture's start, the test's own included.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let seen = self.seen.lock().unwrap();
        (seen.connections.len(), seen.datagrams)
    }
}

impl Seen {
    fn note(&mut self, bytes: &[u8], mark: SocketAddr) {
        if !self.whole.insert(bytes.to_vec()) {
            return;
        }
        let Packet { from, flow, begins, sequence } =
            parse(bytes).unwrap_or_else(|| panic!("no packet of IP: {bytes:?}"));
        if !begins {
            return;
        }
        match flow.protocol {
            "tcp" => drop(self.connections.insert((from, flow.to, sequence))),
            "udp" => self.datagrams += 1,
            _ => {}
        }
        let answer = flow.protocol == "udp" && from.port() == 53;
        if flow.to == mark {
            self.marks += 1;
        } else if from.ip() != TEST && !answer {
            self.flows.insert(flow);
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Packet> {
    let (number, from, to, payload): (u8, IpAddr, IpAddr, &[u8]) = match bytes.first()? >> 4 {
        4 => {
            let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?).into());
            let head = usize::from(bytes[0] & 15) * 4;
            (*bytes.get(9)?, address(12)?, address(16)?, bytes.get(head..)?)
        }
        6 => {
            let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?).into());
            (*bytes.get(6)?, address(8)?, address(24)?, bytes.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(payload.get(at..at + 2)?.try_into().ok()?));
    let (protocol, begins, ports) = match number {
        // SYN without ACK.
        6 => ("tcp", payload.get(13)? & 0b1_0010 == 0b10, (port(0)?, port(2)?)),
        17 => ("udp", true, (port(0)?, port(2)?)),
        // The kernel's answer to what nobody takes, such as a name server's second answer.
        1 if payload.first()? == &3 => ("unreachable", false, (0, 0)),
        58 if payload.first()? == &1 => ("unreachable", false, (0, 0)),
        _ => ("neither tcp nor udp", true, (0, 0)),
    };
    let flow = Flow { protocol, to: SocketAddr::new(to, ports.1) };
    let sequence = payload.get(4..8).and_then(|bytes| bytes.try_into().ok());
    Some(Packet { from: SocketAddr::new(from, ports.0), flow, begins, sequence })
}

/// How many connections the kernel has begun and datagrams it has sent in this namespace, by its own count.
pub(crate) fn kernels_counts() -> (usize, usize) {
    let text = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let value = |protocol: &str, name: &str| -> usize {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
        let at = lines.next().unwrap().split(' ').position(|column| column == name).unwrap();
        lines.next().unwrap().split(' ').nth(at).unwrap().parse().unwrap()
    };
    let v6 = std::fs::read_to_string("/proc/self/net/snmp6").unwrap();
    let v6 =
        v6.lines().find_map(|line| line.strip_prefix("Udp6OutDatagrams")).unwrap().trim().parse::<usize>().unwrap();
    (value("Tcp", "ActiveOpens"), value("Udp", "OutDatagrams") + v6)
}
