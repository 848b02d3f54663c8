//! Tests of channels that come from the notification service's variables.

use super::super::*;
use super::{TWO_PROVIDERS, load, load_with};
use postrider_core::{channel::Addressing, name::ConfigName, routing::RoutingStrategy};

/// Default configuration of the notification service.
const LEGACY_VARIABLES: [(&str, &str); 6] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService, BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    ("CHANNEL_MIX", "PushyService,AmazonSimpleEmailService,TwilioSmsService"),
    ("CHANNEL_FAIL", "AlwaysFailService"),
    ("USED_CHANNELS", " CHANNEL_SMS , CHANNEL_EMAIL,CHANNEL_FAIL"),
];

#[test]
fn the_variables_of_the_notification_service_create_channels() {
    let (config, warnings) = Config::load(None, &Environment::from(LEGACY_VARIABLES), &[]).unwrap();
    let used = config.used_channels.iter().map(ConfigName::as_str);
    assert_eq!(used.collect::<Vec<_>>(), ["sms", "email", "fail"]);
    let channel = |name: &str| {
        let mut channels = config.channels.iter();
        channels.find(|channel| channel.name.as_str() == name).unwrap()
    };
    assert_eq!(channel("sms").providers.len(), 2);
    assert_eq!(channel("sms").strategy, RoutingStrategy::Failover);
    let address =
        |index: usize| config.providers[index].settings.get("address").and_then(toml::Value::as_str);
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
fn a_provider_of_the_file_precedes_an_alias() {
    let file = "[providers.red]\nkind = \"mock\"\n[providers.TwilioSmsService]\nkind = \"mock\"\nrate = 3.0\n\
                [channels.sms]\nproviders = [\"red\"]\nunknown = \"hold\"\n";
    let variables = [("CHANNEL_SMS", "TwilioSmsService, red"), ("USED_CHANNELS", "CHANNEL_SMS")];
    let (config, warnings) = load_with(file, &Environment::from(variables)).unwrap();
    let names = config.channels[0].providers.iter().map(ConfigName::as_str);
    assert_eq!(names.collect::<Vec<_>>(), ["TwilioSmsService", "red"]);
    assert_eq!(config.channels[0].unknown_retries, 0);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_channel_variable_may_mix_address_kinds() {
    let mut variables = LEGACY_VARIABLES;
    variables[5].1 = "CHANNEL_MIX";
    let (config, _) = Config::load(None, &Environment::from(variables), &[]).unwrap();
    assert_eq!(config.channels[0].providers.len(), 3);
    assert!(matches!(config.channels[0].addressing, Addressing::ByProviders(_)));
    let file = "[providers.PushyService]\nkind = \"http\"\nurl = \"https://push.example\"\n";
    let (config, _) = load_with(file, &Environment::from(variables)).unwrap();
    let pushy = config.providers.iter().find(|provider| provider.kind == "http").unwrap();
    assert_eq!(pushy.settings.get("address"), Some(&toml::Value::from("push")));
}

#[test]
fn used_channels_defaults_to_all_channels() {
    let two_channels = format!(
        "{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\n[channels.email]\nproviders = [\"blue\"]\n"
    );
    assert_eq!(load(&two_channels).unwrap().used_channels.len(), 2);
    let only_sms = load(&format!("used_channels = [\"sms\"]\n{two_channels}")).unwrap();
    assert_eq!(only_sms.used_channels, ["sms".parse().unwrap()]);
    assert!(only_sms.has_used_channels && !load(&two_channels).unwrap().has_used_channels);
}

#[test]
fn a_variable_with_an_unknown_name_prevents_the_start() {
    for (variables, expected) in [
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMZ", "PushyService")],
            "USED_CHANNELS: used_channels lists CHANNEL_SMS, but no such environment variable is set: set it to its \
             providers, or correct the name (did you mean CHANNEL_SMZ?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", "TwilioService")],
            "CHANNEL_SMS: unknown provider TwilioService: add [providers.TwilioService], or use one of \
             TwilioSmsService, BackupSmsService, AmazonSimpleEmailService, BackupEmailService, PushyService, \
             AlwaysFailService (did you mean TwilioSmsService?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", " , ")],
            "CHANNEL_SMS: channels.sms.providers has no enabled provider; list at least one, such as \
             providers = [\"red\"]",
        ),
        (
            [("USED_CHANNELS", "sms,fax"), ("CHANNEL_FAX", "x")],
            "USED_CHANNELS: used_channels lists unknown channel fax: add [channels.fax] or correct the name",
        ),
    ] {
        let error = Config::load(None, &Environment::from(variables), &[]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// Returns the default variables with `more` added.
fn with_variables(more: &[(&str, &str)]) -> Environment {
    let all = LEGACY_VARIABLES.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn find_provider(config: &Config, name: &str) -> ProviderConfig {
    let mut providers = config.providers.iter();
    providers.find(|provider| provider.name.as_str() == name).unwrap().clone()
}

#[test]
fn credentials_in_the_environment_turn_an_alias_into_a_real_provider() {
    let environment = with_variables(&[
        ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_PUSH"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "hunter2"),
        ("TWILIO_FROM", "+15005550006"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hunter3"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("SES_FROM", "shop@example.org"),
        ("SES_TOPICS", "arn:aws:sns:eu-central-1:1:a, arn:aws:sns:eu-central-1:1:b"),
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
        let provider = find_provider(&config, name);
        assert_eq!((provider.kind.as_str(), provider.settings), (kind, settings.parse().unwrap()), "{name}");
    }
    assert_eq!(find_provider(&config, "BackupSmsService").kind, "mock");
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("BackupSmsService") && warning.contains("VONAGE_API_SECRET"), "{warning}");
    assert!(!format!("{config:?}").contains("hunter"), "secrets are not printed");
    assert_eq!(find_provider(&config, "TwilioSmsService").secret_values(), ["hunter2"]);
}

#[test]
fn an_incomplete_account_prevents_the_start_and_general_variables_create_none() {
    let error = Config::load(None, &with_variables(&[("SES_FROM", "shop@example.org")]), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SES_FROM is set but AWS_ACCESS_KEY_ID is not: set AWS_ACCESS_KEY_ID to use AmazonSimpleEmailService, or unset \
         SES_FROM"
    );
    let environment = with_variables(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_REGION", "eu-central-1")]);
    let (config, _) = Config::load(None, &environment, &[]).unwrap();
    assert_eq!(find_provider(&config, "AmazonSimpleEmailService").kind, "mock");
}

#[test]
fn a_table_named_after_a_class_needs_no_kind() {
    let file = "[providers.TwilioSmsService]\naccount_sid = \"AC1\"\nauth_token = \"x\"\nfrom = \"+1\"\n";
    let (config, warnings) = load_with(file, &Environment::from(LEGACY_VARIABLES)).unwrap();
    assert_eq!(find_provider(&config, "TwilioSmsService").kind, "twilio");
    assert!(warnings.iter().all(|warning| !warning.contains("TwilioSmsService")), "{warnings:?}");
}
