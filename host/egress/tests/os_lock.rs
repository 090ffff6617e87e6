//! The lock as the kernel enforces it, with no guard before it: system calls that a mistake of the host could make.
//!
//! A lock can't be undone, but it is a thread's: each test locks a thread that ends with it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]
#![expect(clippy::disallowed_methods, reason = "the lock is tested by what the guard would not do")]

use hauski_egress::os_lock::{Enforced, Ports, restrict};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

/// Runs `work` in a thread that is held to these ports. Where the kernel can't hold it there is nothing to test, which is said
/// loudly.
fn locked(connect: &[u16], bind: &[u16], work: impl FnOnce(&Enforced) + Send) {
    let ports = Ports { connect: connect.iter().copied().collect(), bind: bind.iter().copied().collect() };
    thread::scope(|scope| {
        scope.spawn(|| {
            let enforced = restrict(ports).unwrap();
            if enforced.ports().is_none() {
                // Not by a macro: what those print is hidden where a test passes.
                let skipped = format!("SKIPPED, NOTHING OF THE LOCK WAS TESTED: {enforced}\n");
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
                return;
            }
            work(&enforced);
        });
    });
}

/// A listener on loopback, and its port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// How it went: `Ok` or the kind of error.
fn kind<T>(result: std::io::Result<T>) -> Result<(), ErrorKind> {
    result.map(|_| ()).map_err(|error| error.kind())
}

fn connect(address: impl Into<SocketAddr>) -> Result<(), ErrorKind> {
    kind(TcpStream::connect(address.into()))
}

const REFUSED: Result<(), ErrorKind> = Err(ErrorKind::PermissionDenied);

#[test]
fn only_granted_ports_are_connected_to() {
    let ((_granted, granted), (_other, other)) = (listener(), listener());
    let v6 = TcpListener::bind("[::1]:0").ok();
    locked(&[granted], &[], |_| {
        assert_eq!(connect((Ipv4Addr::LOCALHOST, granted)), Ok(()));
        assert_eq!(connect((Ipv4Addr::LOCALHOST, other)), REFUSED);
        assert_eq!(connect((Ipv4Addr::LOCALHOST, 53)), REFUSED, "DNS is a port like any other");
        // The addresses are the guard's part: here nobody listens, and the kernel went and looked.
        assert_eq!(connect((Ipv4Addr::new(127, 0, 0, 2), granted)), Err(ErrorKind::ConnectionRefused));
        if let Some(port) = v6.and_then(|v6| Some(v6.local_addr().ok()?.port())) {
            assert_eq!(connect((Ipv6Addr::LOCALHOST, port)), REFUSED);
        }
        // What it starts is held as well, and so is another runtime's way to connect.
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(connect((Ipv4Addr::LOCALHOST, granted)), Ok(()));
                assert_eq!(connect((Ipv4Addr::LOCALHOST, other)), REFUSED);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let connect = |port| runtime.block_on(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
                assert_eq!(kind(connect(granted)), Ok(()));
                assert_eq!(kind(connect(other)), REFUSED);
            });
        });
    });
}

#[test]
fn only_listed_ports_are_bound() {
    let (free, port) = listener();
    drop(free);
    let bind = |port| kind(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    locked(&[port], &[], |_| {
        assert_eq!((bind(port), bind(0)), (REFUSED, REFUSED), "leave to connect is none to bind");
    });
    locked(&[], &[port], |_| {
        assert_eq!((bind(port), bind(port ^ 1), bind(0)), (Ok(()), REFUSED, REFUSED));
        assert_eq!(connect((Ipv4Addr::LOCALHOST, port)), REFUSED, "nor the other way round");
    });
    locked(&[], &[0], |_| {
        assert_eq!((bind(0), bind(port)), (Ok(()), REFUSED), "0 is a free port, and no named one");
    });
}

#[test]
fn unix_sockets_and_signals_end_within() {
    let name = format!("hauski-test-{}", std::process::id());
    let name = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    let _outside = UnixListener::bind_addr(&name).unwrap();
    let mut process = Command::new("sleep").arg("60").spawn().unwrap();
    locked(&[], &[], |enforced| {
        let scoped = !enforced.gaps().iter().any(|gap| gap.starts_with("abstract"));
        let expected = if scoped { REFUSED } else { Ok(()) };
        assert_eq!(kind(UnixStream::connect_addr(&name)), expected);
        assert_eq!(kind(process.kill()), expected);
    });
    process.kill().unwrap();
    process.wait().unwrap();
}

/// What it says of its limits is so: who relies on it must not be told more.
#[test]
fn what_is_called_a_gap_is_one() {
    let (_other, other) = listener();
    let (go, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let before = scope.spawn(move || {
            wait.recv().unwrap();
            connect((Ipv4Addr::LOCALHOST, other))
        });
        locked(&[], &[], |enforced| {
            assert!(!enforced.holds(), "the test's other threads ran before");
            let gap = |text| assert!(enforced.to_string().contains(text), "{enforced}");
            gap("threads that ran before");
            go.send(()).unwrap();
            gap("UDP");
            let sent = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", ("127.0.0.1", other)));
            assert_eq!(kind(sent), Ok(()));
            gap("listening without a bind");
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            assert_eq!(kind(socket.listen(1)), Ok(()));
        });
        drop(go);
        assert_eq!(before.join().unwrap(), Ok(()));
    });
}
