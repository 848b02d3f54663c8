//! Loads and configurations that several rows use, and the comparison with the bare server.

use std::time::Duration;

use crate::http_load::{self, HttpLoad, LoadResult};
use crate::processes::{self, BenchProcess};
use crate::row::BenchRow;

/// Configuration with one provider that accepts every message at once.
pub const MOCK_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\nconcurrency = 1024\n\
                    [channels.sms]\nproviders = [\"mock\"]\nstrategy = \"failover\"\n";

/// Series that counts sent messages.
pub const SENT_METRIC: &str = "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}";

/// Number of times that bare server and product are measured in turn.
const REPETITIONS: usize = 3;

/// Returns the request that sends the message with number `n`.
pub fn send_request(n: u64) -> String {
    let number = 9_120_000_000 + n % 10_000_000;
    format!("GET /sms/send?number=0{number}&body=hello+{n} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Country code with the first digit of its mobile numbers, and the number of digits that follow, for 44 countries.
const MOBILE_RANGES: [(&str, u32); 44] = [
    ("989", 9),
    ("491", 9),
    ("447", 9),
    ("336", 8),
    ("346", 8),
    ("393", 9),
    ("316", 8),
    ("324", 8),
    ("417", 8),
    ("436", 9),
    ("467", 8),
    ("474", 7),
    ("452", 7),
    ("358", 9),
    ("487", 8),
    ("420", 9),
    ("407", 8),
    ("306", 9),
    ("905", 9),
    ("380", 9),
    ("799", 8),
    ("770", 8),
    ("919", 9),
    ("923", 9),
    ("880", 10),
    ("947", 8),
    ("861", 10),
    ("819", 9),
    ("821", 9),
    ("849", 8),
    ("668", 8),
    ("601", 8),
    ("628", 9),
    ("639", 9),
    ("614", 8),
    ("642", 8),
    ("201", 9),
    ("234", 10),
    ("254", 9),
    ("278", 8),
    ("525", 9),
    ("571", 9),
    ("541", 9),
    ("569", 8),
];

/// Returns the request that sends the message with number `n`, each to another country than the one before.
pub fn mixed_countries_request(n: u64) -> String {
    let (prefix, digits) = MOBILE_RANGES[usize::try_from(n % 44).unwrap_or(0)];
    let subscriber = 10_u64.pow(digits - 1) * 5 + n % 10_000_000;
    format!("GET /sms/send?number=%2B{prefix}{subscriber}&body=hello+{n} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Returns the request for the report page, and for the bare server.
pub fn report_request(_: u64) -> String {
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()
}

/// Returns a load of `seconds` on a process.
pub fn http_load(
    target: &BenchProcess,
    connections: usize,
    seconds: u64,
    request: fn(u64) -> String,
) -> HttpLoad {
    HttpLoad {
        target: target.address,
        connections,
        duration: Duration::from_secs(seconds),
        requests_max: u64::MAX,
        request,
    }
}

/// Measures the rate at which messages reach a state in 20 s under load; also returns how many have not reached it.
///
/// `metrics` are the series that count the state, `deliveries` the number of deliveries of a message.
pub async fn measure_state_changes(
    gateway: &BenchProcess,
    metrics: &[&str],
    deliveries: u64,
    request: fn(u64) -> String,
) -> (LoadResult, i64) {
    http_load::run(http_load(gateway, 64, 2, request)).await;
    let count = || metrics.iter().map(|metric| gateway.metric_sum(metric)).sum::<u64>() / deliveries;
    let before = count();
    let mut result = http_load::run(http_load(gateway, 64, 20, request)).await;
    let reached = count() - before;
    let backlog = i64::try_from(result.ok_count).unwrap_or(i64::MAX) - i64::try_from(reached).unwrap_or(0);
    result.ok_count = reached;
    (result, backlog)
}

/// A product measurement and a remark for the name of its row.
pub struct Measurement {
    /// Rate, latency and errors.
    pub load: LoadResult,
    /// Added to the name of the row.
    pub remark: String,
}

impl Measurement {
    /// Creates a measurement without a remark.
    pub fn new(load: LoadResult) -> Self {
        Self { load, remark: String::new() }
    }

    /// Creates a measurement with the number of messages left waiting.
    pub fn with_backlog((load, backlog): (LoadResult, i64)) -> Self {
        Self { load, remark: format!(", 20 s, {backlog} left waiting") }
    }
}

/// Measures the bare server and the product in turn, three times, and returns a row with the median of the ratios.
///
/// Both share the conditions of the machine, which change from minute to minute. `measure` starts a new product each time.
pub async fn compare_with_bare_server(
    name: &str,
    connections: usize,
    floor: f64,
    mut measure: impl AsyncFnMut() -> Measurement,
) -> BenchRow {
    let mut pairs = Vec::new();
    let mut error_count = 0;
    for _ in 0..REPETITIONS {
        let bare = measure_bare_server(connections).await;
        let product = measure().await;
        error_count += product.load.error_count;
        pairs.push((product.load.rate() / bare.rate(), bare, product));
    }
    pairs.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let (lowest, highest) = (pairs[0].0, pairs[REPETITIONS - 1].0);
    let (ratio, bare, Measurement { load, remark }) = pairs.swap_remove(REPETITIONS / 2);
    BenchRow::new(
        &format!("{name}{remark} (bare {:.0}/s)", bare.rate()),
        format!("{:.0}/s, p99 {:.1} ms, {error_count} errors", load.rate(), load.p99_ms),
        &format!("{floor:.2}"),
        ratio >= floor && error_count == 0,
    )
    .with_ratio(format!("{ratio:.3} ({lowest:.3} to {highest:.3})"))
}

async fn measure_bare_server(connections: usize) -> LoadResult {
    let server = processes::spawn_self_as("bare");
    http_load::run(http_load(&server, connections, 1, report_request)).await;
    http_load::run(http_load(&server, connections, 5, report_request)).await
}
