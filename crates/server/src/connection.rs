//! Serves one connection: its requests in order, with limits for slow and idle clients.
//!
//! hyper's time limit does not distinguish a slow request head from the pause between two requests, so this module
//! measures both. A slow head is answered with 408; an idle connection is closed without a response. Time in a handler
//! is not limited. A response may take any time as long as the client keeps reading.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::MatchedPath;
use axum::http::{Request, Response};
use axum::{BoxError, Router};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::connection_slots::ConnectionSlot;
use super::connection_timer::{ConnectionPhase, ConnectionTimer};
use super::request_guard::{RequestConnection, RequestGuard};
use super::request_id::REQUEST_ID;
use postrider_core::clock;
use postrider_engine::config::LimitsConfig;
use postrider_engine::stop::StopSignal;

/// Minimum buffer size of hyper, in bytes.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Maximum time before the connection is closed in which a client that is still sending can read the response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of bytes read from such a client before the connection is closed.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum time for the request of a probe, and between its response and the end of its connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The path whose responses do not carry their route, see [`super::routes`]. The log contains routes and not paths, because
/// paths contain phone numbers and user ids.
const UNLAYERED_PATH: &str = "/sms/send";

/// Response to a request head that takes too long.
const REQUEST_TIMEOUT_RESPONSE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Waits for the stop signal. Also returns when the stop sender was dropped.
pub(super) async fn wait_for_stop(stop: &mut StopSignal) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Router, checks and limits, shared by all connections.
pub(super) struct ConnectionContext {
    /// The routes.
    pub(super) router: Router,
    /// Checks of every request.
    pub(super) guard: RequestGuard,
    /// Limits for clients.
    pub(super) limits: LimitsConfig,
}

/// Serves a connection until the client closes it, a time limit passes, its place is needed for another connection, or
/// `stop` is set. Returns whether it was closed because its place was needed.
pub(super) async fn serve(
    context: Arc<ConnectionContext>,
    stream: TcpStream,
    slot: ConnectionSlot,
    request_connection: RequestConnection,
    mut stop: StopSignal,
) -> bool {
    let timer = &slot.timer;
    let limits = &slot_limits(&context.limits, request_connection);
    let timed_stream = TokioIo::new(TimedStream { stream, timer: Arc::clone(timer) });
    let service = service_fn(|request| respond(&context, request_connection, timer, request));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES_MIN))
        .serve_connection(timed_stream, service);
    let mut deadline = std::pin::pin!(clock::sleep(timer.time_left(limits).unwrap_or_default()));
    let mut stopping = false;
    let is_head_too_slow = loop {
        tokio::select! {
            biased;
            _ = &mut connection => break false,
            () = &mut deadline => match timer.time_left(limits) {
                Some(remaining) => deadline.set(clock::sleep(remaining)),
                None => break timer.is_reading_head(),
            },
            () = slot.close.notified() => return true,
            () = wait_for_stop(&mut stop), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner().stream;
    if is_head_too_slow {
        // The result is ignored: if the client does not read, it gets no response, and the connection ends in any case.
        let _ = stream.try_write(REQUEST_TIMEOUT_RESPONSE);
    }
    if request_connection.is_probe_only {
        // The place is released first, so that the next probe does not wait for this client.
        drop(slot);
    }
    if !stopping {
        linger(&mut stream).await;
    }
    false
}

/// Returns the limits of a connection. A probe must send its request at once, so that its place is soon free again.
fn slot_limits(limits: &LimitsConfig, connection: RequestConnection) -> LimitsConfig {
    let mut limits = limits.clone();
    if connection.is_probe_only {
        limits.header_timeout = limits.header_timeout.min(PROBE_TIMEOUT);
        limits.idle_timeout = limits.idle_timeout.min(PROBE_TIMEOUT);
    }
    limits
}

async fn respond(
    context: &ConnectionContext,
    connection: RequestConnection,
    timer: &Arc<ConnectionTimer>,
    request: Request<Incoming>,
) -> Result<Response<TimedBody>, Infallible> {
    timer.set_phase(ConnectionPhase::Handling);
    let logged_request = log::log_enabled!(log::Level::Debug)
        .then(|| (request.method().clone(), is_unlayered(request.uri().path()), Instant::now()));
    let response = context.guard.respond(context.router.clone(), connection, request.map(Body::new)).await;
    if let Some((method, is_unlayered, started_at)) = logged_request {
        let (status, millis) = (response.status().as_u16(), started_at.elapsed().as_millis());
        let pattern = response.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let route = pattern.unwrap_or(if is_unlayered { UNLAYERED_PATH } else { "unknown" });
        let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        log::debug!(
            "request: method={method} route={route} status={status} duration_ms={millis} request_id={}",
            id.unwrap_or_default()
        );
    }
    timer.set_phase(ConnectionPhase::Idle);
    Ok(response.map(|body| TimedBody { body, timer: Arc::clone(timer) }))
}

/// Returns whether a path is the one whose responses do not name their route.
fn is_unlayered(path: &str) -> bool {
    path == UNLAYERED_PATH
}

/// A response body that restarts the idle timer with every frame that the client has room for.
struct TimedBody {
    body: Body,
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
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads the bytes that the client is still sending after the response. Closing with unread bytes would reset the
/// connection, and the client could lose the response.
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let (mut unread_input, mut discarded) = (stream.take(LINGER_BYTES_MAX), tokio::io::sink());
    let discarding = tokio::io::copy(&mut unread_input, &mut discarded);
    let _ = tokio::time::timeout(LINGER_TIMEOUT, discarding).await;
}

/// A TCP stream that reports received bytes to the timer. It offers no vectored write. hyper then copies a response
/// into one buffer, which is faster than passing two buffers to the system.
struct TimedStream {
    stream: TcpStream,
    timer: Arc<ConnectionTimer>,
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        read_buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled_before = read_buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, read_buffer);
        if read_buffer.filled().len() > filled_before {
            self.timer.bytes_received();
        }
        polled.map_err(Into::into)
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
