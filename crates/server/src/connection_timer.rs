//! The phase of a connection and the time limits that follow from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postrider_engine::config::LimitsConfig;

/// The phase of a connection and its start time, in one atomic number.
pub(super) struct ConnectionTimer {
    connected_at: Instant,
    /// Milliseconds from `connected_at` to the start of the phase, times four, plus the [`ConnectionPhase`].
    phase: AtomicU64,
}

/// The phase of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Between two requests or two frames of a response.
    Idle = 0,
    /// Receiving a request head.
    ReadingHead = 1,
    /// In a handler.
    Handling = 2,
}

impl ConnectionTimer {
    /// Starts in the phase `Idle`.
    pub(super) fn new() -> Self {
        Self { connected_at: Instant::now(), phase: AtomicU64::new(ConnectionPhase::Idle as u64) }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.connected_at.elapsed().as_millis()).unwrap_or(u64::MAX / 8)
    }

    /// Starts a phase now.
    pub(super) fn set_phase(&self, phase: ConnectionPhase) {
        self.phase.store(self.elapsed_ms() * 4 + phase as u64, Ordering::Relaxed);
    }

    /// Returns whether a request head is being received.
    pub(super) fn is_reading_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::ReadingHead as u64
    }

    /// Records received bytes: the first bytes on an idle connection begin a request head.
    pub(super) fn bytes_received(&self) {
        if self.phase.load(Ordering::Relaxed) % 4 == ConnectionPhase::Idle as u64 {
            self.set_phase(ConnectionPhase::ReadingHead);
        }
    }

    /// Returns the order in which connections are closed to make room: the longest idle first, then the longest incomplete
    /// request heads; `None` for a connection in a handler.
    pub(super) fn eviction_order(&self) -> Option<(u64, Instant)> {
        let phase = self.phase.load(Ordering::Relaxed);
        let started_at = self.connected_at + Duration::from_millis(phase / 4);
        (phase % 4 != ConnectionPhase::Handling as u64).then_some((phase % 4, started_at))
    }

    /// Returns the time until the next check of the limits; `None` when the time limit of the phase has passed.
    pub(super) fn time_left(&self, limits: &LimitsConfig) -> Option<Duration> {
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
