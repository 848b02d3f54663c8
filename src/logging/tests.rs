use clap::Parser;

use super::*;

fn filter(line: &str, variables: &[(&str, &str)], configured: Option<&str>) -> String {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let cli = Cli::parse_from(line.split(' '));
    let config = LogConfig { filter: configured.unwrap_or_default().to_owned(), ..LogConfig::default() };
    log_filter(&cli, &variables.collect(), &config).to_owned()
}

#[test]
fn options_override_the_environment_and_that_overrides_the_configuration() {
    let postrider_log = ("POSTRIDER_LOG", "trace");
    let rust_log = ("RUST_LOG", "info");
    assert_eq!(filter("console status", &[], None), "warn");
    assert_eq!(filter("console serve", &[], None), "warn,postrider=info");
    assert_eq!(filter("console serve", &[], Some("debug")), "debug");
    assert_eq!(filter("console serve", &[rust_log], Some("debug")), "info");
    assert_eq!(filter("console serve", &[rust_log, postrider_log], None), "trace");
    assert_eq!(filter("console -q status", &[postrider_log], None), "error");
    assert_eq!(filter("console -v status", &[postrider_log], Some("error")), "info,postrider=debug");
}
