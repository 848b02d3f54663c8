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
        }
    );
    assert_eq!(params.format, UsageFormat::Csv);
    let since = parse("since=2026-11-01T02:00:00%2B02:00").unwrap().query.since;
    assert_eq!(since, time("2026-11-01T00:00:00Z"));
}

#[test]
fn all_invalid_parameters_are_reported() {
    let fields = parse("user=a&since=soon&until=2026-13-01&limit=0&format=xml&cursor=x").unwrap_err();
    assert_eq!(fields, ["user", "since", "until", "limit", "format", "cursor"]);
    assert_eq!(parse(&format!("user_id={}", "a".repeat(256))).unwrap_err(), ["user_id"]);
    assert_eq!(parse("user_id=%FF").unwrap_err(), ["query"]);
}
