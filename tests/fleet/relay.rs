//! A TCP relay that passes bytes on late, or holds them back, or leads elsewhere.
//!
//! Never loses or changes a byte: what a network loses TCP sends again, so that all a program sees of it is time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long the target may take to be connected to.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// A running relay; takes no more connections once dropped.
#[derive(Debug)]
pub struct Relay {
    pub at: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bearing: Mutex<Bearing>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct Bearing {
    target: SocketAddr,
    delay: Duration,
    stalled: bool,
    ended: bool,
}

impl Relay {
    /// A relay on a free port of that address.
    pub fn new(here: Ipv4Addr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((here, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let bearing = Bearing {
            target,
            delay: Duration::ZERO,
            stalled: false,
            ended: false,
        };
        let shared = Arc::new(Shared {
            bearing: Mutex::new(bearing),
            changed: Condvar::new(),
        });
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.now().ended {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || join(&shared, stream));
            }
        });
        Self { at, shared: kept }
    }

    /// From now on every byte arrives so much later.
    pub fn slow(&self, delay: Duration) {
        self.shared.change(|bearing| bearing.delay = delay);
    }

    /// Nothing passes, or everything again.
    pub fn stall(&self, stalled: bool) {
        self.shared.change(|bearing| bearing.stalled = stalled);
    }

    /// New connections go there.
    pub fn lead_to(&self, target: SocketAddr) {
        self.shared.change(|bearing| bearing.target = target);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.change(|bearing| bearing.ended = true);
        let _ = TcpStream::connect(self.at);
    }
}

impl Shared {
    fn now(&self) -> Bearing {
        *self.bearing.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Bearing)) {
        change(&mut self.bearing.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until what was read at that moment may arrive.
    fn wait_for(&self, read: Instant) {
        let mut bearing = self.bearing.lock().unwrap();
        loop {
            let left = bearing.delay.saturating_sub(read.elapsed());
            if bearing.ended || !bearing.stalled && left.is_zero() {
                return;
            }
            let wait = if bearing.stalled {
                Duration::from_secs(60)
            } else {
                left
            };
            bearing = self.changed.wait_timeout(bearing, wait).unwrap().0;
        }
    }
}

fn join(shared: &Arc<Shared>, near: TcpStream) {
    shared.wait_for(Instant::now());
    let Ok(far) = TcpStream::connect_timeout(&shared.now().target, CONNECT_LIMIT) else {
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else {
        return;
    };
    carry(shared, near, far);
    carry(shared, far_again, near_again);
}

/// Passes on what comes from one side, in time, until that side ends.
fn carry(shared: &Arc<Shared>, from: TcpStream, to: TcpStream) {
    let (pieces, waiting) = channel();
    std::thread::spawn(move || take(from, &pieces));
    let shared = Arc::clone(shared);
    std::thread::spawn(move || give(&shared, to, &waiting));
}

fn take(mut from: TcpStream, pieces: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || pieces.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn give(shared: &Shared, mut to: TcpStream, waiting: &Receiver<(Instant, Vec<u8>)>) {
    for (read, piece) in waiting {
        shared.wait_for(read);
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    shared.wait_for(Instant::now());
    let _ = to.shutdown(Shutdown::Both);
}
