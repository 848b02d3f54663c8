use super::*;

fn parse(query: &str) -> Result<UsageParams, Vec<String>> {
    let limits = postrider_engine::config::Config::test_mode().limits;
    let fields =
        |violations: Vec<Violation>| violations.into_iter().map(|violation| violation.field).collect();
    UsageParams::parse(&limits, query).map_err(fields)
}

#[test]
fn all_parameters_are_parsed() {
    let params = parse("user_id=a%40b&since=2026-11-01&until=2026-11-30&limit=7&format=csv&cursor=").unwrap();
    let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    assert_eq!(
        params.query,
        UsageQuery {
            user: Some("a@b".to_owned()),
            owner: None,
            since: time("2026-11-01T00:00:00Z"),
            until: time("2026-12-01T00:00:00Z"),
            before: None,
            limit: 7,
            day_offset_ms: 0,
        }
    );
    assert_eq!(params.format, UsageFormat::Csv);
    let since = parse("since=2026-11-01T02:00:00%2B02:00").unwrap().query.since;
    assert_eq!(since, time("2026-11-01T00:00:00Z"));
}

#[test]
fn a_day_begins_and_ends_in_the_time_zone_of_the_query() {
    for offset in ["%2B03:30", "+03:30", "+0330"] {
        let params = parse(&format!("since=2026-11-30&until=2026-11-30&tz={offset}")).unwrap();
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(params.query.since, time("2026-11-29T20:30:00Z"), "{offset}");
        assert_eq!(params.query.until, time("2026-11-30T20:30:00Z"), "{offset}");
        assert_eq!(params.query.day_offset_ms, 12_600_000, "{offset}");
    }
    assert_eq!(parse("tz=-08:00").unwrap().query.day_offset_ms, -28_800_000);
    assert_eq!(parse("tz=Z").unwrap().query.day_offset_ms, 0);
    assert_eq!(parse("tz=Tehran").unwrap_err(), ["tz"]);
}

#[test]
fn a_time_range_that_ends_before_it_begins_is_an_error() {
    assert_eq!(parse("since=2026-12-02&until=2026-12-01").unwrap_err(), ["until"]);
    assert!(parse("since=2026-12-01&until=2026-12-01").is_ok(), "one day");
}

#[test]
fn all_invalid_parameters_are_reported() {
    let fields = parse("user=a&since=soon&until=2026-13-01&limit=0&format=xml&cursor=x").unwrap_err();
    assert_eq!(fields, ["user", "since", "until", "limit", "format", "cursor"]);
    assert_eq!(parse(&format!("user_id={}", "a".repeat(256))).unwrap_err(), ["user_id"]);
    assert_eq!(parse("user_id=%FF").unwrap_err(), ["query"]);
}
