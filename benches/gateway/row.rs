//! A row of the table.

/// A row of the table.
pub struct BenchRow {
    /// The measured quantity.
    pub name: String,
    /// The measured value with its unit.
    pub measured: String,
    /// The ratio to the bare server or another reference; `–` without one.
    pub ratio: String,
    /// The limit that must be reached; `–` without one.
    pub floor: String,
    /// True if the limit was reached.
    pub is_met: bool,
}

impl BenchRow {
    /// Creates a row without a ratio.
    pub fn new(name: &str, measured: String, floor: &str, is_met: bool) -> Self {
        Self { name: name.to_owned(), measured, ratio: "–".to_owned(), floor: floor.to_owned(), is_met }
    }

    /// Adds a ratio.
    pub fn with_ratio(self, ratio: String) -> Self {
        Self { ratio, ..self }
    }

    /// Returns the last column: `ok`, or `BELOW` if a floor is missed.
    pub fn result_word(&self) -> &'static str {
        if self.is_met { "ok" } else { "BELOW" }
    }
}
