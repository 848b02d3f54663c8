//! Accepts and serves HTTP connections, a limited number at a time, and can reset a connection instead of responding.
//!
//! After the stop signal, responses in progress may end within [`STOP_GRACE`]; then every connection is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{convert::Infallible, time::Duration};

use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::{sync::watch, task::JoinSet};
use tower::ServiceExt as _;

use postrider_core::clock;

/// Maximum number of open connections; more wait in the kernel's backlog.
const SANDBOX_CONNECTIONS_MAX: usize = 1_024;

/// Maximum time for the header of a request, and maximum idle time of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum length of a request body, in bytes.
const SANDBOX_BODY_BYTES_MAX: usize = 64 * 1024;

/// Maximum time for responses in progress after the stop signal.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Response extension: the connection is reset instead of sending the response.
#[derive(Clone, Copy)]
pub(super) struct ResetConnection;

/// Serves connections until `stop` is true.
pub(super) async fn accept_connections(
    router: Router,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = wait_for_stop(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < SANDBOX_CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(router.clone(), stream, stop.clone()));
                }
                Err(cause) => {
                    log::warn!("accept failed: error={cause}");
                    clock::sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, all_ended).await.is_err() {
        log::info!("closing open connections count={}", connections.len());
    }
    connections.shutdown().await;
}

/// Waits until `stop` is true; also returns when the sender was dropped.
async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve_connection(router: Router, stream: TcpStream, mut stop: watch::Receiver<bool>) {
    // Without this option, the bytes of a slow response would be sent together.
    if let Err(cause) = stream.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: error={cause}");
    }
    let must_reset = AtomicBool::new(false);
    let service = service_fn(|request| respond(router.clone(), request, &must_reset));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(cause) = ended {
                    log::debug!("connection error: error={cause}");
                }
                break;
            }
            () = wait_for_stop(&mut stop), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    let stream = connection.into_parts().io.into_inner();
    if must_reset.load(Ordering::Relaxed)
        && let Err(cause) = stream.set_zero_linger()
    {
        log::debug!("cannot reset connection: error={cause}");
    }
}

/// Returns the response, or an error that ends the connection without a response.
async fn respond(
    router: Router,
    request: Request<Incoming>,
    must_reset: &AtomicBool,
) -> Result<Response, &'static str> {
    let whole_request = tokio::time::timeout(BODY_TIMEOUT, read_whole_request(request)).await;
    let request = match whole_request.map_err(|_| "request body timeout")? {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal),
    };
    let response: Result<_, Infallible> = router.oneshot(request).await;
    match response {
        Ok(response) if response.extensions().get::<ResetConnection>().is_some() => {
            must_reset.store(true, Ordering::Relaxed);
            Err("injected reset")
        }
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// Returns the request with its whole body, or an error response. The time limit covers the body only; the response may
/// take any time.
async fn read_whole_request(request: Request<Incoming>) -> Result<Request<Body>, Response> {
    let (head, body) = request.into_parts();
    match axum::body::to_bytes(Body::new(body), SANDBOX_BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(Request::from_parts(head, Body::from(bytes))),
        Err(_) => Err(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
    }
}
