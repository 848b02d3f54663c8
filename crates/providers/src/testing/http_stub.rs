//! A scriptable HTTP server: it responds, hangs or closes the connection as the test scripts it.
//!
//! It writes raw bytes to a socket, because many tests need responses that no HTTP server sends, and connections that
//! break in the middle. tiny_http was considered: it cannot close a connection without a response, and it leaves
//! connections unanswered that open in a burst (docs/src/decisions/0012-libraries-kept-out.md).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The runtime of the stubs in tests that have none.
static BACKGROUND_RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The stub's reaction to a request.
#[derive(Clone, Debug)]
pub enum StubAction {
    /// Writes these bytes and waits for the next request.
    Respond(Vec<u8>),
    /// Writes these bytes after a delay, and waits for the next request.
    RespondAfter(Duration, Vec<u8>),
    /// Writes these bytes and closes the connection.
    RespondAndClose(Vec<u8>),
    /// Writes these bytes and then nothing more.
    RespondAndStall(Vec<u8>),
}

/// Returns the action for the number of a request (from 1) and its text.
type StubScript = dyn Fn(usize, &str) -> StubAction + Send + Sync;

/// A listening server. Stops when it is dropped.
pub struct HttpStub {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accept_task: JoinHandle<()>,
}

impl HttpStub {
    /// Starts a stub that takes one action after the other and repeats the last one.
    pub async fn start(actions: Vec<StubAction>) -> Self {
        Self::scripted(move |number, _| actions.get(number - 1).or(actions.last()).unwrap().clone()).await
    }

    /// Starts a stub whose action depends on the number of the request (from 1) and its text.
    pub async fn scripted(script: impl Fn(usize, &str) -> StubAction + Send + Sync + 'static) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST.into(), Arc::new(script)).await
    }

    /// Starts a scripted stub on a free port of `address`, for tests without a runtime.
    pub fn in_background(
        address: IpAddr,
        script: impl Fn(usize, &str) -> StubAction + Send + Sync + 'static,
    ) -> Self {
        BACKGROUND_RUNTIME.block_on(Self::listen(address, Arc::new(script)))
    }

    async fn listen(address: IpAddr, script: Arc<StubScript>) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = requests.clone();
        let accept_task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(stream, script.clone(), recorded.clone()));
            }
        });
        Self { address, requests, accept_task }
    }

    /// Returns the text of all requests so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

async fn serve_connection(mut stream: TcpStream, script: Arc<StubScript>, requests: Arc<Mutex<Vec<String>>>) {
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await {
        let request_number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request.clone());
            requests.len()
        };
        let (response, keeps_open) = match script(request_number, &request) {
            StubAction::Respond(response) => (response, true),
            StubAction::RespondAfter(delay, response) => {
                postrider_core::clock::sleep(delay).await;
                (response, true)
            }
            StubAction::RespondAndClose(response) => (response, false),
            StubAction::RespondAndStall(response) => {
                let _ = stream.write_all(&response).await;
                return std::future::pending().await;
            }
        };
        // The client may have closed the connection already.
        if stream.write_all(&response).await.is_err() || !keeps_open {
            return;
        }
    }
}

/// Reads one request with its body. Returns None at the end of the connection.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        let received = String::from_utf8_lossy(unread).into_owned();
        if let Some((head, body)) = received.split_once("\r\n\r\n") {
            let body_bytes = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= body_bytes.unwrap_or(0) {
                unread.clear();
                return Some(received);
            }
        }
        let mut buffer = vec![0; 16 * 1024];
        let read_bytes = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        unread.extend_from_slice(&buffer[..read_bytes]);
    }
}

/// Responds with a status, further header lines (each with its line end) and a body.
pub fn response(status: u16, headers: &str, body: &str) -> StubAction {
    StubAction::Respond(response_bytes(status, headers, body))
}

/// Returns the bytes of such a response.
pub fn response_bytes(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Stub\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
