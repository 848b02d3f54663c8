//! Takes connections in, a bounded number at once, and can do to them what no well-behaved server does: reset one.
//!
//! When told to stop it lets answers that are nearly done go out, and cuts off whoever hangs.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use postrider_core::clock;

/// The most connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;

/// How long a client may take for a request's head, and leave a connection idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long answers may take to end after the word to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How long accepting rests after a failure.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// In an answer's extensions: it is not to be sent, and its connection is to be reset.
#[derive(Clone, Copy)]
pub(super) struct ResetConnection;

/// Answers until told to stop.
pub(super) async fn accept_connections(
    router: Router,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let told = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = wait_for_stop(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(router.clone(), stream, told.clone()));
                }
                Err(trouble) => {
                    log::warn!("a connection could not be accepted: {trouble}");
                    clock::sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        log::info!("{} connections were cut off", connections.len());
    }
    connections.shutdown().await;
}

/// Waits until it is time to stop, which it also is when nobody is left to say so.
async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve_connection(router: Router, stream: TcpStream, mut stop: watch::Receiver<bool>) {
    // What is sent byte by byte is to leave byte by byte.
    if let Err(trouble) = stream.set_nodelay(true) {
        log::debug!("a connection cannot be made prompt: {trouble}");
    }
    let cut = AtomicBool::new(false);
    let service = service_fn(|request| respond(router.clone(), request, &cut));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(fault) = ended {
                    log::debug!("a connection ended early: {fault}");
                }
                break;
            }
            () = wait_for_stop(&mut stop), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    let stream = connection.into_parts().io.into_inner();
    if cut.load(Ordering::Relaxed)
        && let Err(trouble) = stream.set_zero_linger()
    {
        log::debug!("a connection is closed, not reset: {trouble}");
    }
}

/// The answer, or an error that ends the connection without one.
async fn respond(
    router: Router,
    request: Request<Incoming>,
    cut: &AtomicBool,
) -> Result<Response<Body>, &'static str> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, read_whole_request(request)).await;
    let request = match whole.map_err(|_| "its body did not arrive in time")? {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal),
    };
    let answer: Result<_, Infallible> = router.oneshot(request).await;
    match answer {
        Ok(response) if response.extensions().get::<ResetConnection>().is_some() => {
            cut.store(true, Ordering::Relaxed);
            Err("it was to be reset")
        }
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// The request with all of its body. Wires are played only then, so that their answers may take any time.
async fn read_whole_request(request: Request<Incoming>) -> Result<Request<Body>, Response<Body>> {
    let (head, body) = request.into_parts();
    match axum::body::to_bytes(Body::new(body), BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(Request::from_parts(head, Body::from(bytes))),
        Err(_) => {
            let mut refusal = Response::new(Body::empty());
            *refusal.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            Err(refusal)
        }
    }
}
