//! A TCP relay that passes bytes on late, or holds them back, or leads elsewhere.
//!
//! Never loses or changes a byte: what a network loses TCP sends again, so that all a program sees of it is time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long the target may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A running relay; takes no more connections once dropped.
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
    /// A relay on a free port of that address.
    pub fn new(here: Ipv4Addr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((here, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let bearing = RelayControl {
            target,
            delay: Duration::ZERO,
            is_stalled: false,
            is_stopped: false,
        };
        let shared = Arc::new(RelayState {
            control: Mutex::new(bearing),
            changed: Condvar::new(),
        });
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.current().is_stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || connect_pair(&shared, stream));
            }
        });
        Self {
            address: at,
            shared: kept,
        }
    }

    /// From now on every byte arrives so much later.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.change(|bearing| bearing.delay = delay);
    }

    /// Nothing passes, or everything again.
    pub fn set_stalled(&self, stalled: bool) {
        self.shared.change(|bearing| bearing.is_stalled = stalled);
    }

    /// New connections go there.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.change(|bearing| bearing.target = target);
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.shared.change(|bearing| bearing.is_stopped = true);
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

    /// Waits until what was read at that moment may arrive.
    fn wait_for(&self, read: Instant) {
        let mut bearing = self.control.lock().unwrap();
        loop {
            let left = bearing.delay.saturating_sub(read.elapsed());
            if bearing.is_stopped || !bearing.is_stalled && left.is_zero() {
                return;
            }
            let wait = if bearing.is_stalled {
                Duration::from_secs(60)
            } else {
                left
            };
            bearing = self.changed.wait_timeout(bearing, wait).unwrap().0;
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
    let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else {
        return;
    };
    forward(shared, near, far);
    forward(shared, far_again, near_again);
}

/// Passes on what comes from one side, in time, until that side ends.
fn forward(shared: &Arc<RelayState>, from: TcpStream, to: TcpStream) {
    let (pieces, waiting) = channel();
    std::thread::spawn(move || read_chunks(from, &pieces));
    let shared = Arc::clone(shared);
    std::thread::spawn(move || write_chunks(&shared, to, &waiting));
}

fn read_chunks(mut from: TcpStream, pieces: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || pieces.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn write_chunks(shared: &RelayState, mut to: TcpStream, waiting: &Receiver<(Instant, Vec<u8>)>) {
    for (read, piece) in waiting {
        shared.wait_for(read);
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    shared.wait_for(Instant::now());
    let _ = to.shutdown(Shutdown::Both);
}
