//! Usage as CSV (RFC 4180, UTF-8) for spreadsheets.
//!
//! Spreadsheets evaluate a cell that begins with `=`, `+`, `-` or `@` as a formula, and an attacker can cause messages
//! that begin so. Such a cell gets a leading apostrophe, which marks text. A phone number (`+` and digits) is kept.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{UsageDeliveryRow, UsageTotalRow};

/// Content type of the CSV.
pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// Columns of the delivery rows.
pub const ROW_COLUMNS: [&str; 16] = [
    "created_at",
    "user_id",
    "message_id",
    "delivery_id",
    "channel",
    "recipient",
    "provider",
    "reference",
    "state",
    "failure",
    "ended_at",
    "opened_at",
    "tries",
    "parts",
    "subject",
    "body",
];

/// Columns of the totals.
pub const TOTAL_COLUMNS: [&str; 11] = [
    "day",
    "user_id",
    "channel",
    "deliveries",
    "waiting",
    "sent",
    "delivered",
    "failed",
    "opened",
    "parts",
    "tries",
];

/// Writes delivery rows, preceded by the column names if `with_header`.
pub fn rows_to_csv(with_header: bool, rows: &[UsageDeliveryRow]) -> String {
    let header = with_header.then_some(&ROW_COLUMNS);
    write_csv(header, rows.iter().map(row_cells))
}

/// Writes the column names and the totals.
pub fn totals_to_csv(totals: &[UsageTotalRow]) -> String {
    write_csv(Some(&TOTAL_COLUMNS), totals.iter().map(total_cells))
}

fn row_cells(row: &UsageDeliveryRow) -> [Cow<'_, str>; ROW_COLUMNS.len()] {
    [
        escape_formula(&row.created_at),
        optional_cell(row.user_id.as_deref()),
        escape_formula(&row.message_id),
        row.delivery_id.to_string().into(),
        escape_formula(&row.channel),
        escape_formula(&row.recipient),
        optional_cell(row.provider.as_deref()),
        optional_cell(row.reference.as_deref()),
        escape_formula(row.state),
        optional_cell(row.failure),
        optional_cell(row.ended_at.as_deref()),
        optional_cell(row.opened_at.as_deref()),
        row.tries.to_string().into(),
        row.parts.to_string().into(),
        optional_cell(row.subject.as_deref()),
        escape_formula(&row.body),
    ]
}

fn total_cells(total: &UsageTotalRow) -> [Cow<'_, str>; TOTAL_COLUMNS.len()] {
    [
        escape_formula(&total.day),
        optional_cell(total.user_id.as_deref()),
        escape_formula(&total.channel),
        total.deliveries.to_string().into(),
        total.waiting.to_string().into(),
        total.sent.to_string().into(),
        total.delivered.to_string().into(),
        total.failed.to_string().into(),
        total.opened.to_string().into(),
        total.parts.to_string().into(),
        total.tries.to_string().into(),
    ]
}

fn optional_cell(cell: Option<&str>) -> Cow<'_, str> {
    escape_formula(cell.unwrap_or_default())
}

/// Adds an apostrophe to a cell that a spreadsheet would evaluate. Full-width signs count too, and so does white space
/// before a sign, which spreadsheets skip.
fn escape_formula(cell: &str) -> Cow<'_, str> {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let digits = cell.strip_prefix('+').unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_formula = cell.trim_start().starts_with(signs) || cell.starts_with(['\t', '\r', '\n']);
    if is_formula && !is_number { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// Writes the records. Writing into memory cannot fail, so the results of the library are dropped.
fn write_csv<'a, const N: usize>(
    header: Option<&[&str; N]>,
    rows: impl Iterator<Item = [Cow<'a, str>; N]>,
) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if let Some(header) = header {
        let _ = writer.write_record(header);
    }
    for row in rows {
        let _ = writer.write_record(row.iter().map(|cell| cell.as_bytes()));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
