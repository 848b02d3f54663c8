//! Converts OpenMetrics text to the older Prometheus text format, for readers such as `promtool check
//! metrics`.
//!
//! The samples are the same; only the metadata of a family differs. The crate `prometheus-client` writes only OpenMetrics.

/// Converts OpenMetrics text to the Prometheus text format.
pub(super) fn to_prometheus_text(openmetrics: &str) -> String {
    let mut prometheus = String::with_capacity(openmetrics.len());
    let mut help_line = "";
    for metrics_line in openmetrics.lines() {
        if metrics_line.starts_with("# HELP ") {
            help_line = metrics_line;
            continue;
        }
        if metrics_line.starts_with("# UNIT ") || metrics_line == "# EOF" {
            continue;
        }
        let Some(family) = metrics_line.strip_prefix("# TYPE ") else {
            prometheus.push_str(metrics_line);
            prometheus.push('\n');
            continue;
        };
        let (family_name, metric_type) = family.split_once(' ').unwrap_or((family, "untyped"));
        let suffix = if metric_type == "counter" { "_total" } else { "" };
        let help = help_line.splitn(4, ' ').nth(3).unwrap_or_default();
        prometheus.push_str(&format!(
            "# HELP {family_name}{suffix} {help}\n# TYPE {family_name}{suffix} {metric_type}\n"
        ));
    }
    prometheus
}
