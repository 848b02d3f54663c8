//! Pages rendered from sample data, without a store: full, empty, overdue and hostile reports.
//!
//! Serving, caching and searching is tested in `serving`.

mod fake_store;
mod serving;

use std::time::Duration;

use axum::body::Bytes;
use chrono::{TimeDelta, TimeZone, Utc};

use super::layout::{self, PageLayout};
use super::message::MessagePage;
use super::message_row::MessageRow;
use super::report::{self, PageSettings, ReportPage};
use super::search::{NumberSearchPage, NumberSearchResults};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_core::report::{DeliveryTotals, HourReportRow, ProviderReportRow, Report, TopRecipientRow};

const HOSTILE_TEXT: &str = r#"<script>alert("a & b")</script>'"#;

fn at(hour: u32, minute: u32) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 21, hour, minute, 0).unwrap()
}

pub(super) fn page_settings() -> PageSettings {
    PageSettings {
        mask_numbers: true,
        test_mode: true,
        needs_key: false,
        interval: Some(Duration::from_secs(1_200)),
        public_url: "http://127.0.0.1:8080".to_owned(),
        problems: Vec::new(),
    }
}

fn provider(name: &str, outcomes: [u64; 8], delivered: u64) -> ProviderReportRow {
    let mut durations = [0; 20];
    durations[7] = outcomes[0];
    durations[11] = outcomes[2];
    ProviderReportRow {
        name: name.to_owned(),
        outcomes,
        durations,
        sent: 40,
        delivered,
        bounced: 12,
        ..ProviderReportRow::default()
    }
}

pub(super) fn full_report() -> Report {
    let hour = |index: i64| {
        let wave = u64::try_from((index * 7 + index * index) % 23).unwrap();
        HourReportRow {
            hour: at(9, 0) - TimeDelta::hours(47 - index),
            accepted: 900 + 60 * wave,
            sent: 850 + 55 * wave,
            failed: 20 + wave,
        }
    };
    Report {
        as_of: at(9, 20),
        messages: 84_213,
        totals: DeliveryTotals {
            waiting: 1_204,
            sent: 3_310,
            delivered: 78_702,
            failed: vec![("invalid_recipient".to_owned(), 640), ("exhausted".to_owned(), 357)],
            unknown: 3,
            opened: 12_040,
        },
        providers: vec![
            provider("mock-blue", [41_000, 12, 4_300, 9, 20, 300, 0, 2], 39_200),
            provider("mock-red", [40_100, 8, 9, 0, 14, 340, 0, 1], 39_502),
            ProviderReportRow { name: "idle".to_owned(), ..ProviderReportRow::default() },
        ],
        hours: (0..48).map(hour).collect(),
        top_recipients: (0..10)
            .map(|index| TopRecipientRow { address: format!("+98912222{index:04}"), count: 500 - 31 * index })
            .collect(),
    }
}

pub(super) fn hostile_message() -> Message {
    let attempt = |round, provider: Option<&str>, outcome: &str, reason: Option<&str>| RecordedAttempt {
        reference: None,
        round,
        provider: provider.map(|name| name.parse().unwrap()),
        outcome: outcome.to_owned(),
        code: reason.map(|_| "HTTP 503".to_owned()),
        reason: reason.map(str::to_owned),
        at: at(9, round),
        duration_ms: 37,
        address: (round == 1).then(|| HOSTILE_TEXT.to_owned()),
    };
    Message {
        id: MessageId::from_bytes([7; 16]),
        number: 1,
        subject: Some(HOSTILE_TEXT.to_owned()),
        sender: None,
        body: format!("{HOSTILE_TEXT}\nsecond line"),
        owner: String::new(),
        user: Some(HOSTILE_TEXT.to_owned()),
        created_at: at(9, 0),
        deliveries: vec![Delivery {
            id: DeliveryId::from_position(1, 0),
            channel: "sms".parse().unwrap(),
            address: "+989122222222".to_owned(),
            spelling: "09122222222".to_owned(),
            parts: 2,
            state: DeliveryState::failed(Failure::Exhausted, HOSTILE_TEXT, at(9, 5)),
            round: 2,
            tries: 2,
            provider: Some("mock-red".parse().unwrap()),
            reference: Some(HOSTILE_TEXT.to_owned()),
            expires_at: at(23, 0),
            opened_at: None,
            attempts: vec![
                attempt(1, Some("mock-blue"), "unavailable", Some(HOSTILE_TEXT)),
                attempt(1, Some("mock-red"), "deferred", Some("handset off")),
                attempt(2, None, "unknown", Some("a worker died while sending")),
            ],
        }],
    }
}

fn message_row() -> MessageRow {
    MessageRow {
        id: MessageId::from_bytes([7; 16]).to_string(),
        created: "2026-11-21 09:00:00".to_owned(),
        state: "delivered",
        user: "–".to_owned(),
        channel: "sms".to_owned(),
        to: "+98912***2222".to_owned(),
        provider: "mock-blue".to_owned(),
        tries: 1,
        body: HOSTILE_TEXT.to_owned(),
    }
}

pub(super) fn results_page(report: &Report) -> ReportPage {
    let results = NumberSearchPage {
        address: "+98912***2222".to_owned(),
        typed: HOSTILE_TEXT.to_owned(),
        rows: vec![message_row(), MessageRow { state: "waiting", body: "سلام".to_owned(), ..message_row() }],
        has_newer: true,
        next: Some(41),
    };
    ReportPage::new(
        Some((report, false)),
        Some((HOSTILE_TEXT.to_owned(), NumberSearchResults::Found(results))),
        &page_settings(),
    )
}

fn page_text(page: &Bytes) -> String {
    String::from_utf8(page.to_vec()).unwrap()
}

fn assert_contains(page: &str, expected_texts: &[&str]) {
    for expected in expected_texts {
        assert!(page.contains(expected), "«{expected}» is not in {page}");
    }
}

#[test]
fn a_full_report_shows_every_number_with_its_name() {
    let page = page_text(&report::render(&full_report(), false, &page_settings()).unwrap());
    assert_contains(
        &page,
        &[
            "2026-11-21 09:20:00",
            "2026-11-21 09:40:00",
            "every 20 min",
            "Test mode: no message leaves this machine",
            "84,213",
            "1,204",
            "invalid recipient",
            "mock-blue",
            "9.4 %",
            "≤ 30 ms",
            "+98912***0003",
            "class=\"plot wide\"",
        ],
    );
    assert!(!page.contains("+989122220003"), "{page}");
}

#[test]
fn an_empty_report_does_not_divide_by_zero() {
    let page = page_text(&report::render(&Report::default(), false, &page_settings()).unwrap());
    assert_contains(&page, &["No provider has been called yet", "Getting started", "–"]);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn a_provider_without_calls_has_dashes() {
    let report = Report {
        providers: vec![ProviderReportRow { name: "idle".to_owned(), ..ProviderReportRow::default() }],
        ..Report::default()
    };
    let page = page_text(&report::render(&report, false, &page_settings()).unwrap());
    assert_contains(&page, &["data-label=\"Fault % ¹\" class=\"number\">–<"]);
    assert!(!page.contains("NaN"), "{page}");
}

#[test]
fn without_a_report_the_page_says_how_to_make_one() {
    let page = page_text(&layout::render_html(&ReportPage::new(None, None, &page_settings())).unwrap());
    assert_contains(
        &page,
        &[
            "No report yet",
            "console sync:report",
            "curl 'http://127.0.0.1:8080/sms/send?number=09122222222&amp;body=hello'",
            "href=\"/sms/send?number=09122222222&amp;body=hello\"",
        ],
    );
}

#[test]
fn outside_test_mode_no_link_sends_anything() {
    let settings = PageSettings { test_mode: false, ..page_settings() };
    let page = page_text(&layout::render_html(&ReportPage::new(None, None, &settings)).unwrap());
    assert!(!page.contains("href=\"/sms/send"), "{page}");
    assert!(!page.contains("Test mode"), "{page}");
}

#[test]
fn a_report_that_is_overdue_or_made_by_cron_is_marked() {
    let overdue = page_text(&report::render(&full_report(), true, &page_settings()).unwrap());
    assert_contains(&overdue, &["has not happened"]);
    let cron = PageSettings { interval: None, ..page_settings() };
    let page = page_text(&report::render(&full_report(), false, &cron).unwrap());
    assert_contains(&page, &["Rebuilt by cron"]);
}

#[test]
fn unmasked_numbers_are_shown_only_if_configured() {
    let unmasked = PageSettings { mask_numbers: false, ..page_settings() };
    let page = page_text(&report::render(&full_report(), false, &unmasked).unwrap());
    assert_contains(&page, &["+989122220003"]);
}

#[test]
fn no_text_of_a_client_becomes_markup() {
    let mut report = full_report();
    report.top_recipients[0].address = HOSTILE_TEXT.to_owned();
    report.providers[0].name = HOSTILE_TEXT.to_owned();
    let message = hostile_message();
    let pages = [
        page_text(&layout::render_html(&results_page(&report)).unwrap()),
        page_text(
            &layout::render_html(&MessagePage::new(
                PageLayout::new("Message", true, Some(&report)),
                &message,
                false,
                at(9, 30),
            ))
            .unwrap(),
        ),
    ];
    for page in pages {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("alert(\""), "{page}");
        assert!(!page.contains(" style="), "{page}");
        assert_contains(&page, &["&#60;script&#62;"]);
    }
}

#[test]
fn a_timeline_has_every_attempt_in_order() {
    let page = page_text(
        &layout::render_html(&MessagePage::new(PageLayout::default(), &hostile_message(), true, at(9, 30)))
            .unwrap(),
    );
    let positions: Vec<_> = [
        "accepted and stored",
        "round 1: unavailable",
        "round 1: deferred",
        "round 2: unknown",
        "failed: exhausted</span></td>",
    ]
    .iter()
    .map(|event| page.find(event).unwrap_or_else(|| panic!("«{event}» is not in {page}")))
    .collect();
    assert!(positions.is_sorted(), "{positions:?}");
    assert_contains(
        &page,
        &["<td data-label=\"Provider\">unknown</td>", "+98912***2222", "37 ms", "no tries left"],
    );
}

#[test]
fn a_page_may_load_only_its_stylesheet() {
    let page = layout::html_page(axum::http::StatusCode::OK, Bytes::new());
    let header = |name: &str| page.headers().get(name).unwrap().to_str().unwrap();
    assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
}

#[test]
fn only_free_text_breaks_inside_words() {
    let style = include_str!("../../../../templates/style.css");
    let rule = |selector: &str| style.lines().find(|line| line.starts_with(selector)).unwrap();
    assert!(rule("th, td {").contains("overflow-wrap: break-word"));
    assert!(rule(".free-text {").contains("overflow-wrap: anywhere"));
    for selector in [".number {", ".state {"] {
        assert!(rule(selector).contains("white-space: nowrap"), "{selector}");
    }
}
