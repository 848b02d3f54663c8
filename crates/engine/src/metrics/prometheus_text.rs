//! Converts OpenMetrics text to the older Prometheus text format, for readers such as `promtool check
//! metrics`.
//!
//! The samples are the same; only the metadata of a family differs.

/// Converts OpenMetrics text to the Prometheus text format.
pub(super) fn to_prometheus_text(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.lines() {
        if line.starts_with("# HELP ") {
            help = line;
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let Some(family) = line.strip_prefix("# TYPE ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let (name, kind) = family.split_once(' ').unwrap_or((family, "untyped"));
        let total = if kind == "counter" { "_total" } else { "" };
        let help_text = help.splitn(4, ' ').nth(3).unwrap_or_default();
        text.push_str(&format!("# HELP {name}{total} {help_text}\n# TYPE {name}{total} {kind}\n"));
    }
    text
}
