//! Usage for spreadsheets: RFC 4180, UTF-8, a line of names first.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and people can be made to send bodies
//! that begin so. Such a cell gets an apostrophe before it, which spreadsheets know as "this is text". A telephone
//! number is left as it is: a plus and digits compute nothing.

use std::borrow::Cow;

use super::{LineView, TotalView};

/// The type of the answer.
pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// The columns of lines.
pub const LINE_NAMES: [&str; 16] = [
    "created_at",
    "user_id",
    "message",
    "delivery",
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

/// The columns of totals.
pub const TOTAL_NAMES: [&str; 11] = [
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

/// The names, where they are wanted, and a row for each line.
pub fn of_lines(names: bool, lines: &[LineView]) -> String {
    let names = names.then_some(&LINE_NAMES);
    written(names, lines.iter().map(line))
}

/// The names and a row for each total.
pub fn of_totals(totals: &[TotalView]) -> String {
    written(Some(&TOTAL_NAMES), totals.iter().map(total))
}

fn line(line: &LineView) -> [Cow<'_, str>; LINE_NAMES.len()] {
    [
        text(&line.created_at),
        if_any(line.user_id.as_deref()),
        text(&line.message),
        line.delivery.to_string().into(),
        text(&line.channel),
        text(&line.recipient),
        if_any(line.provider.as_deref()),
        if_any(line.reference.as_deref()),
        text(line.state),
        if_any(line.failure),
        if_any(line.ended_at.as_deref()),
        if_any(line.opened_at.as_deref()),
        line.tries.to_string().into(),
        line.parts.to_string().into(),
        if_any(line.subject.as_deref()),
        text(&line.body),
    ]
}

fn total(total: &TotalView) -> [Cow<'_, str>; TOTAL_NAMES.len()] {
    [
        text(&total.day),
        if_any(total.user_id.as_deref()),
        text(&total.channel),
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

fn if_any(cell: Option<&str>) -> Cow<'_, str> {
    text(cell.unwrap_or_default())
}

/// A cell that no spreadsheet computes. The wide forms of the signs count as well, and so does what a spreadsheet skips
/// before them.
fn text(cell: &str) -> Cow<'_, str> {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let digits = cell.strip_prefix('+').unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first = cell.trim_start().starts_with(signs) || cell.starts_with(['\t', '\r', '\n']);
    if first && !is_number {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// Writing into memory cannot fail, so what the library says of it is dropped here.
fn written<'a, const N: usize>(
    names: Option<&[&str; N]>,
    rows: impl Iterator<Item = [Cow<'a, str>; N]>,
) -> String {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if let Some(names) = names {
        let _ = writer.write_record(names);
    }
    for row in rows {
        let _ = writer.write_record(row.iter().map(|cell| cell.as_bytes()));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sample(body: &str) -> LineView {
        LineView {
            created_at: "2026-11-21T08:00:00.000Z".to_owned(),
            user_id: None,
            message: "m".to_owned(),
            delivery: 64,
            channel: "sms".to_owned(),
            recipient: "+989122222222".to_owned(),
            provider: None,
            reference: None,
            state: "waiting",
            failure: None,
            ended_at: None,
            opened_at: None,
            tries: 0,
            parts: 1,
            subject: Some("a,\"b\"".to_owned()),
            body: body.to_owned(),
        }
    }

    #[test]
    fn the_columns_are_the_fields_of_the_json() {
        let names =
            |json: serde_json::Value| json.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let columns = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let line = serde_json::to_value(sample("")).unwrap();
        assert_eq!(names(line), columns(&LINE_NAMES));
        let total = TotalView {
            day: "2026-11-21".to_owned(),
            user_id: None,
            channel: "sms".to_owned(),
            deliveries: 1,
            waiting: 2,
            sent: 3,
            delivered: 4,
            failed: 5,
            opened: 6,
            parts: 7,
            tries: 8,
        };
        let json = serde_json::to_value(&total).unwrap();
        assert_eq!(names(json), columns(&TOTAL_NAMES));
        assert_eq!(
            of_totals(&[total]).lines().nth(1),
            Some("2026-11-21,,sms,1,2,3,4,5,6,7,8")
        );
    }

    #[test]
    fn what_separates_cells_is_quoted_and_a_number_stays_one() {
        assert_eq!(
            of_lines(false, &[sample("line\r\ntwo")]),
            "2026-11-21T08:00:00.000Z,,m,64,sms,+989122222222,,,waiting,,,,0,1,\"a,\"\"b\"\"\",\"line\r\ntwo\"\r\n"
        );
        assert!(of_lines(true, &[]).starts_with("created_at,user_id,"));
    }

    #[test]
    fn no_cell_is_a_formula() {
        for body in [
            "=1+1", "+1+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "+", "+1=2", "+98 912",
        ] {
            let cell = text(body);
            assert!(
                cell.starts_with('\'') && cell.ends_with(body),
                "{body:?}: {cell:?}"
            );
        }
        for body in ["", "hello", "1-1", "a=b", "+989122222222", "'=1", "\"=1"] {
            assert_eq!(text(body), body);
        }
    }
}
