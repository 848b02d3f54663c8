//! Compares the code table of an adapter with the table in its test.
//!
//! The test repeats every line of the table, so that no code, outcome or description changes without its test failing.

use crate::outcome_code::OutcomeCode;
use crate::outcome_kind::OutcomeKind;

/// Checks that a code table has exactly the expected lines.
#[track_caller]
pub fn expect_code_table(table: &[OutcomeCode], expected_lines: &[(&str, OutcomeKind, &str)]) {
    for (line, expected_line) in table.iter().zip(expected_lines) {
        assert_eq!((line.code, line.outcome, line.description), *expected_line);
    }
    assert_eq!(table.len(), expected_lines.len(), "the test has a line for each code");
}
