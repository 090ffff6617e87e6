//! Opens outbound connections: the one file in the host that does.
//!
//! In go addresses from a permit, out comes a TCP connection to one of them.

use crate::EgressError;
use std::io;
use std::net::{IpAddr, SocketAddr};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        assert!(is_of_this_machine("127.0.0.1".parse().unwrap()));
        assert!(!is_of_this_machine("192.0.2.1".parse().unwrap()));
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
