//! Opens outbound connections: the one file in the host that does.
//!
//! In go addresses from a permit, out comes a TCP connection to one of them.

use crate::EgressError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A connection to the first of `addresses` that takes one before `until`, and which one that is.
///
/// Each address gets an equal share of the time that is left, so that one which swallows packets does not use it up.
pub(crate) async fn connect(addresses: &[SocketAddr], until: Instant) -> Result<(TcpStream, SocketAddr), EgressError> {
    let mut last = EgressError::ConnectTimeout;
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(now) / left;
        match timeout_at(now + share, open(*address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = EgressError::connect(error),
            Err(_elapsed) => last = EgressError::ConnectTimeout,
        }
    }
    Err(last)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that opens outbound sockets")]
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Small writes are the rule here: without it a stream of chunks waits for acknowledgements.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether `address` is one of this machine's: whether a socket can be bound to it. In doubt it is.
pub(crate) fn is_of_this_machine(address: IpAddr) -> bool {
    let candidate = SocketAddr::new(address, 0);
    // A datagram's socket: binding a stream's may be locked (`os_lock`), which says nothing of the address.
    let bound = socket2::Socket::new(socket2::Domain::for_address(candidate), socket2::Type::DGRAM, None)
        .and_then(|socket| socket.bind(&candidate.into()));
    !matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// Returns whether `address` is known to be one of this machine's own. A system that lets sockets be bound to any address
/// (`ip_nonlocal_bind`) doesn't tell: there none is.
pub(crate) fn is_own_interface(address: IpAddr) -> bool {
    // Addresses for documentation, which no machine has (RFC 5737; RFC 3849).
    let of_nobody = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    is_of_this_machine(address) && !is_of_this_machine(of_nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        assert!(is_of_this_machine("127.0.0.1".parse().unwrap()));
        assert!(!is_of_this_machine("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn own_interfaces_are_those_of_this_machine() {
        assert!(is_own_interface("127.0.0.1".parse().unwrap()));
        for other in ["198.51.100.7", "2001:db8::7"] {
            assert!(!is_own_interface(other.parse().unwrap()), "{other}");
        }
    }

    /// The lock is a thread's, so it ends with this one.
    #[test]
    fn a_lock_does_not_make_it_all_this_machine() {
        let of_this_machine = std::thread::spawn(|| {
            crate::os_lock::restrict(crate::os_lock::Ports::default()).unwrap();
            ["127.0.0.1", "192.0.2.1"].map(|address| is_of_this_machine(address.parse().unwrap()))
        });
        assert_eq!(of_this_machine.join().unwrap(), [true, false]);
    }
}
