//! The progress line of a long command, drawn on stderr when it is a terminal.
//!
//! Own code instead of indicatif: one line that is overwritten needs no library with four crates.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Minimum time between two drawings: ten a second look continuous and cost nothing.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Clears the current line of a terminal and moves to its beginning.
const CLEAR_LINE: &str = "\r\x1b[K";

/// A counter with a label. Clones show the same line.
#[derive(Clone)]
pub struct ProgressLine(Arc<Mutex<ProgressState>>);

struct ProgressState {
    label: String,
    position: u64,
    /// The position at the end; `None` if it is not known.
    length: Option<u64>,
    is_terminal: bool,
    drawn_at: Option<Instant>,
}

impl ProgressLine {
    /// Starts a line. Nothing is drawn before the first change.
    pub fn new(length: Option<u64>, label: &str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let state =
            ProgressState { label: label.to_owned(), position: 0, length, is_terminal, drawn_at: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds to the position.
    pub fn add(&self, steps: u64) {
        self.change(|state| state.position += steps);
    }

    /// Sets the position. A length below it grows to it, because work may be added while the command runs.
    pub fn set_position(&self, position: u64) {
        self.change(|state| {
            state.position = position;
            state.length = state.length.map(|length| length.max(position));
        });
    }

    /// Sets the position and the position at the end.
    pub fn set_position_of(&self, position: u64, length: u64) {
        self.change(|state| {
            state.position = position;
            state.length = Some(length);
        });
    }

    /// Sets the label and the position.
    pub fn set_label(&self, label: &str, position: u64) {
        self.change(|state| {
            label.clone_into(&mut state.label);
            state.position = position;
        });
    }

    /// Removes the line, so that the result of the command takes its place.
    pub fn clear(&self) {
        if self.0.lock().drawn_at.is_some() {
            write_stderr(CLEAR_LINE);
        }
    }

    fn change(&self, apply: impl FnOnce(&mut ProgressState)) {
        let mut state = self.0.lock();
        apply(&mut state);
        let is_due = state.drawn_at.is_none_or(|drawn_at| drawn_at.elapsed() >= DRAW_INTERVAL);
        if state.is_terminal && is_due {
            state.drawn_at = Some(Instant::now());
            write_stderr(&format!("{CLEAR_LINE}{}", state.text()));
        }
    }
}

impl ProgressState {
    /// Returns the text of the line: `label position`, or `label position/length (percent)`.
    fn text(&self) -> String {
        let Self { label, position, length, .. } = self;
        match length {
            None => format!("{label} {position}"),
            Some(length) => {
                let percent = position.saturating_mul(100).checked_div(*length).unwrap_or(0);
                format!("{label} {position}/{length} ({percent} %)")
            }
        }
    }
}

/// Writes to stderr. A closed stderr must not end the command.
fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests;
