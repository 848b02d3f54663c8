//! One connection: its requests one after the other, and a watch over how long it takes its time.
//!
//! hyper's own time limit does not tell a slow head from a rest between two requests, so the watch stands here:
//! a slow head is answered 408, a rest ends without a word. Requests in the faces' hands are not watched. An answer that
//! goes on for long may do so while the client takes what there is.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

use super::REQUEST_ID;
use super::listen::{PanicCatchingRouter, ResponseBody, wait_for_stop};
use postrider_core::clock;
use postrider_engine::config::LimitsConfig;
use postrider_engine::stop::StopSignal;

/// The smallest buffer hyper works with, in bytes.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// How long a client that is still sending may take to notice our answer and our end of the connection.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of that is read at once.
const LINGER_READ_BYTES: usize = 16 * 1024;

/// How much of it is read altogether; who sends more is cut off.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// What a client hears whose head takes too long.
const REQUEST_TIMEOUT_RESPONSE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What every connection needs.
pub(super) struct ConnectionContext {
    /// The faces.
    pub(super) router: PanicCatchingRouter,
    /// What a client may ask of us.
    pub(super) limits: LimitsConfig,
}

/// Serves a connection until it ends, grows too slow, or is told to stop.
pub(super) async fn serve(door: Arc<ConnectionContext>, stream: TcpStream, mut stop: StopSignal) {
    let pace = Arc::new(ConnectionTimer::new());
    let watched = TokioIo::new(TimedStream {
        stream,
        timer: Arc::clone(&pace),
    });
    let service = service_fn(|request| handle_request(door.router.clone(), &pace, request));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(door.limits.header_bytes_max)
        .max_buf_size(door.limits.header_bytes_max.max(BUFFER_BYTES_MIN))
        .serve_connection(watched, service);
    let mut watch = std::pin::pin!(clock::sleep(pace.time_left(&door.limits).unwrap_or_default()));
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break ConnectionEnd::Closed(ended.is_ok()),
            () = &mut watch => match pace.time_left(&door.limits) {
                Some(left) => watch.set(clock::sleep(left)),
                None => break ConnectionEnd::TimedOut(pace.is_reading_head()),
            },
            () = wait_for_stop(&mut stop), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner().stream;
    if ended == ConnectionEnd::TimedOut(true) {
        // A client that does not read either gets nothing; what matters is that the connection ends.
        let _ = stream.try_write(REQUEST_TIMEOUT_RESPONSE);
    }
    if !stopping {
        linger(&mut stream).await;
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    /// By either side, well or with an error.
    Closed(bool),
    /// By the watch, in the middle of a head or not.
    TimedOut(bool),
}

async fn handle_request(
    mut router: PanicCatchingRouter,
    pace: &Arc<ConnectionTimer>,
    request: Request<Incoming>,
) -> Result<Response<TimedBody>, Infallible> {
    pace.set_phase(ConnectionPhase::Handling);
    let asked = log::log_enabled!(log::Level::Debug).then(|| {
        (
            request.method().clone(),
            request.uri().path().to_owned(),
            Instant::now(),
        )
    });
    let answer = router.call(request.map(Body::new)).await;
    if let (Some((method, path, began)), Ok(response)) = (asked, &answer) {
        let (status, millis) = (response.status().as_u16(), began.elapsed().as_millis());
        let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        log::debug!("{method} {path} {status} {millis} ms {}", id.unwrap_or_default());
    }
    pace.set_phase(ConnectionPhase::Idle);
    let paced = |body| TimedBody {
        body,
        timer: Arc::clone(pace),
    };
    answer.map(|answer| answer.map(paced))
}

/// An answer of which each piece that the client has room for is a sign of life.
struct TimedBody {
    body: ResponseBody,
    timer: Arc<ConnectionTimer>,
}

impl hyper::body::Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.timer.set_phase(ConnectionPhase::Idle);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads what the client still sends after our last word, so that the answer is not lost in a reset.
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = vec![0; LINGER_READ_BYTES];
    let drained = async {
        let mut left = LINGER_BYTES_MAX;
        while let Ok(count @ 1..) = stream.read(&mut rest).await
            && left > 0
        {
            left = left.saturating_sub(count);
        }
    };
    let _ = tokio::time::timeout(LINGER_TIMEOUT, drained).await;
}

/// What a connection is doing, and since when.
struct ConnectionTimer {
    began: Instant,
    /// Milliseconds since `began`, times four, plus what it is doing.
    phase: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
    /// Nothing, between two requests or two pieces of an answer.
    Idle = 0,
    /// A request's head comes in.
    ReadingHead = 1,
    /// A face has the request.
    Handling = 2,
}

impl ConnectionTimer {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            phase: AtomicU64::new(ConnectionPhase::Idle as u64),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX / 8)
    }

    fn set_phase(&self, doing: ConnectionPhase) {
        self.phase
            .store(self.elapsed_ms() * 4 + doing as u64, Ordering::Relaxed);
    }

    fn is_reading_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::ReadingHead as u64
    }

    /// The first bytes after a rest begin a head.
    fn bytes_received(&self) {
        if self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::Idle as u64 {
            self.set_phase(ConnectionPhase::ReadingHead);
        }
    }

    /// When to look again, at the latest; none when the time for what it is doing is used up.
    fn time_left(&self, limits: &LimitsConfig) -> Option<Duration> {
        let doing = self.phase.load(Ordering::Relaxed);
        let spent = Duration::from_millis(self.elapsed_ms().saturating_sub(doing / 4));
        let allowed = match doing % 4 {
            0 => limits.idle_timeout,
            1 => limits.header_timeout,
            _ => return Some(limits.idle_timeout.min(limits.header_timeout)),
        };
        let left = allowed.checked_sub(spent).filter(|left| !left.is_zero())?;
        Some(left.min(limits.header_timeout))
    }
}

/// A stream that tells the pace when something was heard. It has no vectored write: hyper then copies an answer into
/// one piece, which costs less than handing the system two.
struct TimedStream {
    stream: TcpStream,
    timer: Arc<ConnectionTimer>,
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > filled {
            self.timer.bytes_received();
        }
        polled
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
