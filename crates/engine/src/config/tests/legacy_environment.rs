//! Tests of channels that come from the notification service's variables.

use super::super::*;
use super::{TWO_PROVIDERS, load, load_with};
use postrider_core::channel::{Addressing, UnknownPolicy};
use postrider_core::routing::RoutingStrategy;

/// Default configuration of the notification service.
const LEGACY_VARIABLES: [(&str, &str); 6] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService, BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    (
        "CHANNEL_MIX",
        "PushyService,AmazonSimpleEmailService,TwilioSmsService",
    ),
    ("CHANNEL_FAIL", "AlwaysFailService"),
    ("USED_CHANNELS", " CHANNEL_SMS , CHANNEL_EMAIL,CHANNEL_FAIL"),
];

#[test]
fn the_services_own_variables_make_channels() {
    let (config, warnings) = Config::load(None, &Environment::from(LEGACY_VARIABLES), &[]).unwrap();
    let used = config.used_channels.iter().map(ConfigName::as_str);
    assert_eq!(used.collect::<Vec<_>>(), ["sms", "email", "fail"]);
    let channel = |name: &str| {
        let mut channels = config.channels.iter();
        channels.find(|channel| channel.name.as_str() == name).unwrap()
    };
    assert_eq!(channel("sms").providers.len(), 2);
    assert_eq!(channel("sms").strategy, RoutingStrategy::Failover);
    let address = |index: usize| {
        config.providers[index]
            .settings
            .get("address")
            .and_then(toml::Value::as_str)
    };
    let names = config.providers.iter().map(|provider| provider.name.as_str());
    assert_eq!(names.clone().next(), Some("AlwaysFailService"));
    let addresses = (0..names.count()).map(address).collect::<Vec<_>>();
    let [phone, email] = [Some("phone"), Some("email")];
    assert_eq!(addresses, [None, email, email, phone, phone]);
    assert!(config.has_used_channels);
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings[0].contains("TwilioSmsService has no [providers.TwilioSmsService]"));
}

#[test]
fn a_name_of_the_file_goes_before_an_alias() {
    let file = "[providers.red]\nkind = \"mock\"\n[providers.TwilioSmsService]\nkind = \"mock\"\nrate = 3.0\n\
                [channels.sms]\nproviders = [\"red\"]\nunknown = \"hold\"\n";
    let variables = [
        ("CHANNEL_SMS", "TwilioSmsService, red"),
        ("USED_CHANNELS", "CHANNEL_SMS"),
    ];
    let (config, warnings) = load_with(file, &Environment::from(variables)).unwrap();
    let names = config.channels[0].providers.iter().map(ConfigName::as_str);
    assert_eq!(names.collect::<Vec<_>>(), ["TwilioSmsService", "red"]);
    assert_eq!(config.channels[0].unknown_policy, UnknownPolicy::Hold);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_channel_of_the_service_may_mix_kinds() {
    let mut variables = LEGACY_VARIABLES;
    variables[5].1 = "CHANNEL_MIX";
    let (config, _) = Config::load(None, &Environment::from(variables), &[]).unwrap();
    assert_eq!(config.channels[0].providers.len(), 3);
    assert!(matches!(
        config.channels[0].addressing,
        Addressing::ByProviders(_)
    ));
    let file = "[providers.PushyService]\nkind = \"http\"\nurl = \"https://push.example\"\n";
    let (config, _) = load_with(file, &Environment::from(variables)).unwrap();
    let pushy = config
        .providers
        .iter()
        .find(|provider| provider.kind == "http")
        .unwrap();
    assert_eq!(pushy.settings.get("address"), Some(&toml::Value::from("push")));
}

#[test]
fn the_used_channels_are_all_unless_they_are_named() {
    let two = format!(
        "{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\n[channels.email]\nproviders = [\"blue\"]\n"
    );
    assert_eq!(load(&two).unwrap().used_channels.len(), 2);
    let one = load(&format!("used_channels = [\"sms\"]\n{two}")).unwrap();
    assert_eq!(one.used_channels, ["sms".parse().unwrap()]);
    assert!(one.has_used_channels && !load(&two).unwrap().has_used_channels);
}

#[test]
fn a_variable_that_names_nothing_stops_the_start() {
    for (variables, words) in [
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMZ", "PushyService")],
            "USED_CHANNELS: used_channels names CHANNEL_SMS, but there is no such variable: set it to its \
             providers, or correct the name (did you mean CHANNEL_SMZ?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", "TwilioService")],
            "CHANNEL_SMS: names TwilioService, but there is no [providers.TwilioService], nor is it one of \
             TwilioSmsService, BackupSmsService, AmazonSimpleEmailService, BackupEmailService, PushyService, \
             AlwaysFailService; add it or correct the name (did you mean TwilioSmsService?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", " , ")],
            "CHANNEL_SMS: channels.sms.providers has no provider that is enabled; list at least one, such as \
             providers = [\"red\"]",
        ),
        (
            [("USED_CHANNELS", "sms,fax"), ("CHANNEL_FAX", "x")],
            "USED_CHANNELS: used_channels names fax, but there is no [channels.fax]; add it or correct the name",
        ),
    ] {
        let refused = Config::load(None, &Environment::from(variables), &[]).unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
}

/// Returns the default variables with `more` added.
fn with_variables(more: &[(&str, &str)]) -> Environment {
    let all = LEGACY_VARIABLES.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn find_provider(config: &Config, name: &str) -> ProviderConfig {
    let mut providers = config.providers.iter();
    providers
        .find(|provider| provider.name.as_str() == name)
        .unwrap()
        .clone()
}

#[test]
fn credentials_in_the_environment_turn_an_alias_into_the_real_provider() {
    let environment = with_variables(&[
        ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_PUSH"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "hunter2"),
        ("TWILIO_FROM", "+15005550006"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hunter3"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("SES_FROM", "shop@example.org"),
        (
            "SES_TOPICS",
            "arn:aws:sns:eu-central-1:1:a, arn:aws:sns:eu-central-1:1:b",
        ),
        ("SMTP_HOST", "mail.example.org"),
        ("SMTP_FROM", "shop@example.org"),
        ("SMTP_PORT", "2525"),
        ("PUSHY_API_KEY", "hunter4"),
    ]);
    let (config, warnings) = Config::load(None, &environment, &[]).unwrap();
    for (name, kind, settings) in [
        (
            "TwilioSmsService",
            "twilio",
            "account_sid = \"AC1\"\nauth_token = \"hunter2\"\nfrom = \"+15005550006\"",
        ),
        (
            "AmazonSimpleEmailService",
            "ses",
            "access_key_id = \"AKID\"\nsecret_access_key = \"hunter3\"\nregion = \"eu-central-1\"\n\
             from = \"shop@example.org\"\ntopics = [\"arn:aws:sns:eu-central-1:1:a\", \"arn:aws:sns:eu-central-1:1:b\"]",
        ),
        (
            "BackupEmailService",
            "smtp",
            "host = \"mail.example.org\"\nfrom = \"shop@example.org\"\nport = 2525",
        ),
        ("PushyService", "pushy", "api_key = \"hunter4\""),
    ] {
        let made = find_provider(&config, name);
        assert_eq!(
            (made.kind.as_str(), made.settings),
            (kind, settings.parse().unwrap()),
            "{name}"
        );
    }
    assert_eq!(find_provider(&config, "BackupSmsService").kind, "mock");
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    assert!(
        warning.contains("BackupSmsService") && warning.contains("VONAGE_API_SECRET"),
        "{warning}"
    );
    assert!(
        !format!("{config:?}").contains("hunter"),
        "secrets are not printed"
    );
    assert_eq!(
        find_provider(&config, "TwilioSmsService").secret_values(),
        ["hunter2"]
    );
}

#[test]
fn half_an_account_stops_the_start_and_variables_of_other_tools_make_none() {
    let refused = Config::load(None, &with_variables(&[("SES_FROM", "shop@example.org")]), &[]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "SES_FROM: is set, so that AmazonSimpleEmailService is a real account, but AWS_ACCESS_KEY_ID is not: set it, or \
         unset SES_FROM"
    );
    let common = with_variables(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_REGION", "eu-central-1")]);
    let (config, _) = Config::load(None, &common, &[]).unwrap();
    assert_eq!(find_provider(&config, "AmazonSimpleEmailService").kind, "mock");
}

#[test]
fn a_table_under_a_class_name_needs_no_kind() {
    let file = "[providers.TwilioSmsService]\naccount_sid = \"AC1\"\nauth_token = \"x\"\nfrom = \"+1\"\n";
    let (config, warnings) = load_with(file, &Environment::from(LEGACY_VARIABLES)).unwrap();
    assert_eq!(find_provider(&config, "TwilioSmsService").kind, "twilio");
    assert!(
        warnings.iter().all(|line| !line.contains("TwilioSmsService")),
        "{warnings:?}"
    );
}
