//! A TCP relay that can delay or stall bytes, or connect to another target.
//!
//! It never loses or changes a byte: TCP sends lost packets again, so a program observes only a delay.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Timeout for a connection to the target.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A running relay; accepts no more connections once dropped.
#[derive(Debug)]
pub struct TcpRelay {
    pub address: SocketAddr,
    shared: Arc<RelayState>,
}

#[derive(Debug)]
struct RelayState {
    control: Mutex<RelayControl>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct RelayControl {
    target: SocketAddr,
    delay: Duration,
    is_stalled: bool,
    is_stopped: bool,
}

impl TcpRelay {
    /// Starts a relay on a free port of this address.
    pub fn new(local_address: Ipv4Addr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((local_address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let control = RelayControl { target, delay: Duration::ZERO, is_stalled: false, is_stopped: false };
        let shared = Arc::new(RelayState { control: Mutex::new(control), changed: Condvar::new() });
        let relay_state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.current().is_stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || connect_pair(&shared, stream));
            }
        });
        Self { address, shared: relay_state }
    }

    /// Sets the delay of every byte.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.change(|control| control.delay = delay);
    }

    /// Stops or resumes the transfer of bytes.
    pub fn set_stalled(&self, stalled: bool) {
        self.shared.change(|control| control.is_stalled = stalled);
    }

    /// Sets the target of new connections.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.change(|control| control.target = target);
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.shared.change(|control| control.is_stopped = true);
        let _ = TcpStream::connect(self.address);
    }
}

impl RelayState {
    fn current(&self) -> RelayControl {
        *self.control.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut RelayControl)) {
        change(&mut self.control.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until bytes that were read at this time may be written.
    fn wait_for(&self, read_at: Instant) {
        let mut control = self.control.lock().unwrap();
        loop {
            let left = control.delay.saturating_sub(read_at.elapsed());
            if control.is_stopped || !control.is_stalled && left.is_zero() {
                return;
            }
            let wait = if control.is_stalled { Duration::from_secs(60) } else { left };
            control = self.changed.wait_timeout(control, wait).unwrap().0;
        }
    }
}

fn connect_pair(shared: &Arc<RelayState>, near: TcpStream) {
    shared.wait_for(Instant::now());
    let Ok(far) = TcpStream::connect_timeout(&shared.current().target, CONNECT_TIMEOUT) else {
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let (Ok(near_copy), Ok(far_copy)) = (near.try_clone(), far.try_clone()) else {
        return;
    };
    forward(shared, near, far);
    forward(shared, far_copy, near_copy);
}

/// Forwards the bytes of one direction until its end.
fn forward(shared: &Arc<RelayState>, from: TcpStream, to: TcpStream) {
    let (chunks, received) = channel();
    std::thread::spawn(move || read_chunks(from, &chunks));
    let shared = Arc::clone(shared);
    std::thread::spawn(move || write_chunks(&shared, to, &received));
}

fn read_chunks(mut from: TcpStream, chunks: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || chunks.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn write_chunks(shared: &RelayState, mut to: TcpStream, received: &Receiver<(Instant, Vec<u8>)>) {
    for (read_at, chunk) in received {
        shared.wait_for(read_at);
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
    shared.wait_for(Instant::now());
    let _ = to.shutdown(Shutdown::Both);
}
