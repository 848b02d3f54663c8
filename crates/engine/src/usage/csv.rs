//! Usage as CSV (RFC 4180, UTF-8) for spreadsheets.
//!
//! Spreadsheets evaluate a cell that begins with `=`, `+`, `-` or `@` as a formula, and an attacker can cause messages
//! that begin so. Such a cell gets a leading apostrophe, which marks text. A phone number (`+` and digits) is kept.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::{UsageDeliveryRow, UsageTotalRow};

/// Content type of the CSV.
pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// Writes the column names and delivery rows.
pub fn rows_to_csv(rows: &[UsageDeliveryRow]) -> String {
    write_csv(rows, 0)
}

/// Writes delivery rows without the column names, to continue a CSV.
pub fn rows_to_csv_without_header(rows: &[UsageDeliveryRow]) -> String {
    write_csv(rows, 1)
}

/// Writes the column names and the totals.
pub fn totals_to_csv(totals: &[UsageTotalRow]) -> String {
    write_csv(totals, 0)
}

/// Adds an apostrophe to a cell that a spreadsheet would evaluate. Full-width signs and white space before a sign are
/// recognised, because spreadsheets accept both.
fn escape_formula(cell: &str) -> String {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let digits = cell.strip_prefix('+').unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_formula = cell.trim_start().starts_with(signs) || cell.starts_with(['\t', '\r', '\n']);
    if is_formula && !is_number { format!("'{cell}") } else { cell.to_owned() }
}

/// Writes the column names and the rows, without the first `skipped_records`. Reading and writing in memory cannot fail,
/// so the errors of the library are dropped.
///
/// The library writes a row as a whole, so its records are read again to escape each cell.
fn write_csv<Row: Serialize + Default>(rows: &[Row], skipped_records: usize) -> String {
    let mut unescaped = csv::Writer::from_writer(Vec::new());
    // The library writes the column names together with the first row. A default row ensures that there is a first row.
    for row in rows.iter().chain([&Row::default()]) {
        let _ = unescaped.serialize(row);
    }
    let unescaped = unescaped.into_inner().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(unescaped.as_slice());
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for record in reader.records().flatten().take(1 + rows.len()).skip(skipped_records) {
        let _ = writer.write_record(record.iter().map(escape_formula));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
