//! Serves one connection: its requests in order, with limits for slow and idle clients.
//!
//! hyper's time limit does not distinguish a slow request head from the pause between two requests, so this module
//! measures both: a slow head is answered 408, an idle connection is closed without a response. Time in a handler is not
//! limited; a long response may take any time as long as the client reads.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use axum::{BoxError, Router};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::CatchPanic;

use super::problem;
use super::request_id::REQUEST_ID;
use postrider_core::clock;
use postrider_engine::config::LimitsConfig;
use postrider_engine::stop::StopSignal;

/// Minimum buffer size of hyper, in bytes.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Maximum time in which a client that is still sending can read the response before the connection is closed.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of bytes read from such a client before the connection is closed.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// Response to a request head that takes too long.
const REQUEST_TIMEOUT_RESPONSE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A router in which a panic ends only its own request.
pub(super) type PanicCatchingRouter = CatchPanic<Router, fn(Box<dyn std::any::Any + Send>) -> Response<Body>>;

/// Response body of a [`PanicCatchingRouter`].
type ResponseBody = UnsyncBoxBody<Bytes, tower_http::BoxError>;

/// Wraps a router so that a panic ends only its own request.
pub(super) fn catch_panics(router: Router) -> PanicCatchingRouter {
    CatchPanic::custom(router, problem::panic_response)
}

/// Waits for the stop signal. Also returns when the stop sender was dropped.
pub(super) async fn wait_for_stop(stop: &mut StopSignal) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Router and limits, shared by all connections.
pub(super) struct ConnectionContext {
    /// The routes.
    pub(super) router: PanicCatchingRouter,
    /// Limits for clients.
    pub(super) limits: LimitsConfig,
}

/// Serves a connection until the client closes it, a time limit passes, or `stop` is set.
pub(super) async fn serve(context: Arc<ConnectionContext>, stream: TcpStream, mut stop: StopSignal) {
    let timer = Arc::new(ConnectionTimer::new());
    let timed_stream = TokioIo::new(TimedStream { stream, timer: Arc::clone(&timer) });
    let service = service_fn(|request| respond(context.router.clone(), &timer, request));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(context.limits.header_bytes_max)
        .max_buf_size(context.limits.header_bytes_max.max(BUFFER_BYTES_MIN))
        .serve_connection(timed_stream, service);
    let mut deadline = std::pin::pin!(clock::sleep(timer.time_left(&context.limits).unwrap_or_default()));
    let mut stopping = false;
    let is_head_too_slow = loop {
        tokio::select! {
            biased;
            _ = &mut connection => break false,
            () = &mut deadline => match timer.time_left(&context.limits) {
                Some(remaining) => deadline.set(clock::sleep(remaining)),
                None => break timer.is_reading_head(),
            },
            () = wait_for_stop(&mut stop), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner().stream;
    if is_head_too_slow {
        // A client that does not read gets no response; the connection ends in any case.
        let _ = stream.try_write(REQUEST_TIMEOUT_RESPONSE);
    }
    if !stopping {
        linger(&mut stream).await;
    }
}

async fn respond(
    mut router: PanicCatchingRouter,
    timer: &Arc<ConnectionTimer>,
    request: Request<Incoming>,
) -> Result<Response<TimedBody>, Infallible> {
    timer.set_phase(ConnectionPhase::Handling);
    let logged_request = log::log_enabled!(log::Level::Debug)
        .then(|| (request.method().clone(), request.uri().path().to_owned(), Instant::now()));
    let result = router.call(request.map(Body::new)).await;
    if let (Some((method, path, started_at)), Ok(response)) = (logged_request, &result) {
        let (status, millis) = (response.status().as_u16(), started_at.elapsed().as_millis());
        let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        log::debug!(
            "request: method={method} path={path} status={status} duration_ms={millis} request_id={}",
            id.unwrap_or_default()
        );
    }
    timer.set_phase(ConnectionPhase::Idle);
    result.map(|response| response.map(|body| TimedBody { body, timer: Arc::clone(timer) }))
}

/// A response body that restarts the idle timer with every frame that the client has room for.
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

/// Reads what the client still sends after the response, because closing with unread input would reset the connection
/// and could lose the response.
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let (mut unread_input, mut discarded) = (stream.take(LINGER_BYTES_MAX), tokio::io::sink());
    let discarding = tokio::io::copy(&mut unread_input, &mut discarded);
    let _ = tokio::time::timeout(LINGER_TIMEOUT, discarding).await;
}

/// The phase of a connection and its start time, in one atomic number.
struct ConnectionTimer {
    connected_at: Instant,
    /// Milliseconds from `connected_at` to the start of the phase, times four, plus the [`ConnectionPhase`].
    phase: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
    /// Between two requests or two frames of a response.
    Idle = 0,
    /// Receiving a request head.
    ReadingHead = 1,
    /// In a handler.
    Handling = 2,
}

impl ConnectionTimer {
    fn new() -> Self {
        Self { connected_at: Instant::now(), phase: AtomicU64::new(ConnectionPhase::Idle as u64) }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.connected_at.elapsed().as_millis()).unwrap_or(u64::MAX / 8)
    }

    fn set_phase(&self, phase: ConnectionPhase) {
        self.phase.store(self.elapsed_ms() * 4 + phase as u64, Ordering::Relaxed);
    }

    fn is_reading_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::ReadingHead as u64
    }

    /// Records received bytes: the first bytes on an idle connection begin a request head.
    fn bytes_received(&self) {
        if self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::Idle as u64 {
            self.set_phase(ConnectionPhase::ReadingHead);
        }
    }

    /// Returns the time until the next check of the limits; `None` when the time limit of the phase has passed.
    fn time_left(&self, limits: &LimitsConfig) -> Option<Duration> {
        let phase = self.phase.load(Ordering::Relaxed);
        let time_in_phase = Duration::from_millis(self.elapsed_ms().saturating_sub(phase / 4));
        let phase_timeout = match phase % 4 {
            0 => limits.idle_timeout,
            1 => limits.header_timeout,
            _ => return Some(limits.idle_timeout.min(limits.header_timeout)),
        };
        let remaining = phase_timeout.checked_sub(time_in_phase).filter(|remaining| !remaining.is_zero())?;
        Some(remaining.min(limits.header_timeout))
    }
}

/// A TCP stream that reports received bytes to the timer. Without a vectored write hyper copies a response into one
/// buffer, which costs less than handing two buffers to the system.
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
        let filled_before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > filled_before {
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
