//! Tests of both text formats.

use super::*;

#[test]
fn the_older_text_format_names_counter_families_like_their_samples() {
    let metrics = Metrics::default();
    metrics.accepted.inc();
    metrics.set_provider_available("blue", true, 3);
    let prometheus_text = metrics.prometheus_text();
    let accepted = "# HELP postrider_accepted_total Messages stored.\n# TYPE postrider_accepted_total counter\n\
                    postrider_accepted_total 1\n";
    assert!(prometheus_text.contains(accepted), "{prometheus_text}");
    assert!(
        prometheus_text.contains("postrider_calls_in_flight{provider=\"blue\"} 3\n"),
        "{prometheus_text}"
    );
    assert!(!prometheus_text.contains("# UNIT") && !prometheus_text.contains("# EOF"), "{prometheus_text}");
}

#[test]
fn the_build_is_a_gauge_with_the_value_1() {
    let metrics = Metrics::default();
    metrics.register_build_info("1.2.3", "0123456789", "2026-05-01");
    let sample =
        "postrider_build_info{version=\"1.2.3\",commit=\"0123456789\",commit_date=\"2026-05-01\"} 1\n";
    for text in [metrics.openmetrics_text(), metrics.prometheus_text()] {
        assert!(text.contains(sample), "{text}");
    }
}

#[test]
fn a_channel_that_is_not_configured_any_more_is_removed() {
    let metrics = Metrics::default();
    let backlog = |channel: &str| ChannelBacklog {
        channel: channel.to_owned(),
        waiting: 2,
        due: 1,
        oldest_due_seconds: 7,
    };
    metrics.set_channel_backlogs(&[backlog("sms"), backlog("email")]);
    metrics.set_channel_backlogs(&[backlog("sms")]);
    let text = metrics.openmetrics_text();
    assert!(text.contains("postrider_waiting{channel=\"sms\"} 2"), "{text}");
    assert!(text.contains("postrider_oldest_waiting_seconds{channel=\"sms\"} 7"), "{text}");
    assert!(text.contains("postrider_due{channel=\"sms\"} 1"), "{text}");
    assert!(!text.contains("email"), "{text}");
}
