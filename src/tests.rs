use super::*;

#[test]
fn options_take_precedence_over_the_environment_and_that_over_the_default() {
    let filter = |line: &str, variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let cli = Cli::parse_from(line.split(' '));
        log_filter(&cli, &variables.collect()).to_owned()
    };
    let postrider_log = ("POSTRIDER_LOG", "trace");
    let rust_log = ("RUST_LOG", "info");
    assert_eq!(filter("console status", &[]), "warn");
    assert_eq!(filter("console serve", &[]), "warn,postrider=info");
    assert_eq!(filter("console serve", &[rust_log]), "info");
    assert_eq!(filter("console serve", &[rust_log, postrider_log]), "trace");
    assert_eq!(filter("console -q status", &[postrider_log]), "error");
    assert_eq!(filter("console -v status", &[postrider_log]), "info,postrider=debug");
}
