//! A client's request body, read within its limits: of its own size and time, and of the memory that all bodies share.
//!
//! In goes a request; out come its body's bytes and their place in that memory. A body takes place as its bytes come, so that one that
//! stalls holds what it has sent and no more. Nobody waits for place, neither with some already nor without: who finds none is told
//! to come back, and what he held is there for the others.

use crate::app::Gateway;
use crate::capacity::Capacity;
use crate::error::ApiError;
use axum::body::Body;
use axum::extract::Request;
use hauski_policy::ServerLimits;
use http_body::Body as _;
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// What memory is counted in: a body takes whole pages of it.
const PAGE: usize = 4 << 10;
/// What a body has place for at first, unless it says that it is smaller.
const STEP: usize = 16 << 10;
/// Up to here a body is small, and may have of the place that larger ones leave free.
const SMALL: usize = 64 << 10;

/// The memory for the bodies of all clients.
pub(crate) struct Room {
    pages: Capacity,
    /// How many pages bodies that are not small leave to those that are.
    spare: AtomicUsize,
}

/// A body's place in that memory; given back on drop.
pub(crate) type Buffered = OwnedSemaphorePermit;

impl Room {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let (pages, spare) = Self::sizes(limits);
        Self { pages: Capacity::new(pages), spare: AtomicUsize::new(spare) }
    }

    /// Changes its size. Bodies keep the place that they hold.
    pub(crate) fn resize(&self, limits: &ServerLimits) {
        let (pages, spare) = Self::sizes(limits);
        self.pages.resize(pages);
        self.spare.store(spare, Ordering::Relaxed);
    }

    /// Returns how many pages there are, and how many of them are for small bodies only.
    fn sizes(limits: &ServerLimits) -> (usize, usize) {
        let pages = limits.buffered_bytes / PAGE;
        // The largest body fits even if it is alone.
        let spare = (pages / 16).min(pages.saturating_sub(limits.request_bytes.div_ceil(PAGE)));
        (pages, spare)
    }

    /// Whether a body that has `held` could grow to `bytes` now.
    fn has(&self, bytes: usize, held: usize) -> bool {
        let spare = if bytes <= SMALL { 0 } else { self.spare.load(Ordering::Relaxed) };
        bytes.div_ceil(PAGE).saturating_sub(held) + spare <= self.pages.available()
    }

    /// Has `place` be one for `bytes`, if that is possible at once.
    fn grow(&self, place: &mut Buffered, bytes: usize) -> Option<()> {
        let held = place.num_permits();
        let more = u32::try_from(bytes.div_ceil(PAGE).saturating_sub(held)).ok()?;
        let more = self.has(bytes, held).then(|| self.pages.try_acquire(more))??;
        place.merge(more);
        Some(())
    }
}

/// Reads the whole body. One that says beforehand that it is too large, or larger than there is place, is refused before any of it is
/// read.
pub(crate) async fn read(request: Request, gateway: &Gateway) -> Result<(Vec<u8>, Buffered), ApiError> {
    let limits = gateway.limits().server;
    let whole = timeout_at(Instant::now() + limits.request_time, whole(request.into_body(), &limits, &gateway.room));
    whole.await.unwrap_or_else(|_| {
        let seconds = limits.request_time.as_secs();
        let message = format!("the body took longer than {seconds} s (limit `server.request_seconds`)");
        Err(ApiError::too_slow(message))
    })
}

async fn whole(mut body: Body, limits: &ServerLimits, room: &Room) -> Result<(Vec<u8>, Buffered), ApiError> {
    let size = body.size_hint();
    let declared = usize::try_from(size.lower()).unwrap_or(usize::MAX);
    if declared > limits.request_bytes {
        return Err(too_large(limits));
    }
    if !room.has(declared, 0) {
        return Err(ApiError::no_room());
    }
    let most = if size.exact().is_some() { declared } else { limits.request_bytes };
    let none = room.pages.try_acquire(0);
    let (mut bytes, mut place) = (Vec::new(), none.ok_or_else(ApiError::no_room)?);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| ApiError::invalid("incomplete_body", None, "the body broke off before its end"))?;
        let Some(piece) = frame.data_ref() else { continue };
        let length = bytes.len() + piece.len();
        if length > limits.request_bytes {
            return Err(too_large(limits));
        }
        if length > bytes.capacity() {
            let next = (2 * bytes.capacity()).max(STEP).min(if length <= SMALL { SMALL } else { most });
            let next = next.min(most).max(length);
            room.grow(&mut place, next).ok_or_else(ApiError::no_room)?;
            bytes.reserve_exact(next - bytes.len());
        }
        bytes.extend_from_slice(piece);
    }
    // What was taken in advance is given back.
    bytes.shrink_to_fit();
    let unused = place.num_permits().saturating_sub(bytes.len().div_ceil(PAGE));
    drop(place.split(unused));
    Ok((bytes, place))
}

fn too_large(limits: &ServerLimits) -> ApiError {
    let message = format!("the body is larger than {} MiB (limit `server.request_mib`)", limits.request_bytes >> 20);
    ApiError::too_large(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use std::time::Duration;

    const MIB: usize = 1 << 20;

    fn limits(request_bytes: usize, buffered_bytes: usize) -> ServerLimits {
        let (request_time, shutdown) = (Duration::from_secs(1), Duration::from_secs(1));
        ServerLimits { request_bytes, buffered_bytes, request_time, connections: 1, shutdown }
    }

    /// A body of undeclared length in such pieces.
    fn pieces(lengths: &[usize]) -> Body {
        let frames: Vec<_> = lengths.iter().map(|length| Frame::data(Bytes::from(vec![b'x'; *length]))).collect();
        Body::new(StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, Infallible>))))
    }

    #[tokio::test]
    async fn a_body_holds_the_pages_that_it_fills() {
        let limits = limits(MIB, 2 * MIB);
        let room = Room::new(&limits);
        for (lengths, pages) in [
            (&[][..], 0),
            (&[0], 0),
            (&[1], 1),
            (&[PAGE], 1),
            (&[PAGE, 1], 2),
            (&[1; 20_000], 5),
            (&[MIB], 256),
            (&[MIB - 1, 1], 256),
        ] {
            let free = room.pages.available();
            let (bytes, place) = whole(pieces(lengths), &limits, &room).await.unwrap();
            assert_eq!((bytes.len(), place.num_permits()), (lengths.iter().sum(), pages));
            assert_eq!(room.pages.available(), free - pages);
        }
        for (lengths, code) in [(&[MIB + 1][..], "request_too_large"), (&[MIB, 1], "request_too_large")] {
            assert_eq!(whole(pieces(lengths), &limits, &room).await.unwrap_err().code, code);
        }
        assert_eq!(room.pages.available(), 512, "all is given back");
    }

    #[tokio::test]
    async fn body_memory_follows_the_limits_and_bodies_keep_what_they_hold() {
        let room = Room::new(&limits(MIB, 2 * MIB));
        let (bytes, place) = whole(pieces(&[MIB]), &limits(MIB, 2 * MIB), &room).await.unwrap();
        room.resize(&limits(MIB / 4, MIB / 2));
        assert_eq!((bytes.len(), place.num_permits(), room.pages.available()), (MIB, 256, 0));
        let refused = whole(pieces(&[1]), &limits(MIB / 4, MIB / 2), &room).await;
        assert_eq!(refused.unwrap_err().code, "no_room");
        drop(place);
        assert_eq!(room.pages.available(), 128);
        room.resize(&limits(MIB, 8 * MIB));
        assert_eq!(room.pages.available(), 2_048);
        assert!(whole(pieces(&[MIB]), &limits(MIB, 8 * MIB), &room).await.is_ok());
    }

    #[tokio::test]
    async fn large_bodies_leave_place_for_small_ones() {
        let limits = limits(MIB, 2 * MIB);
        let room = Room::new(&limits);
        let one = whole(pieces(&[MIB]), &limits, &room).await.unwrap();
        for (length, there_is) in
            [(MIB, false), (MIB - 124 * 1_024, false), (MIB - 128 * 1_024, true), (SMALL, true), (0, true)]
        {
            let other = whole(Body::from(vec![b'x'; length]), &limits, &room).await;
            assert_eq!(other.map_err(|error| error.code).err(), (!there_is).then_some("no_room"), "{length}");
        }
        let two = whole(pieces(&[MIB - 128 * 1_024]), &limits, &room).await.unwrap();
        assert_eq!(whole(pieces(&[SMALL + 1]), &limits, &room).await.unwrap_err().code, "no_room");
        // However it comes.
        drop(whole(pieces(&[20 << 10, 40 << 10]), &limits, &room).await.unwrap());
        let small = whole(pieces(&[SMALL]), &limits, &room).await.unwrap();
        drop((one, two, small));
        let alone = Room::new(&self::limits(MIB, MIB));
        assert!(whole(pieces(&[MIB]), &limits, &alone).await.is_ok(), "the largest fits where there is no more");
    }
}
