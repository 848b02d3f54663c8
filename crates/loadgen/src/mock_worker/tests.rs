use super::*;

#[test]
fn options_take_precedence_over_variables() {
    let variables = Environment::from([("SENDER_MEAN_TIME", "0.5"), ("SENDER_FAILURE_RATE", "0.25")]);
    assert_eq!(mock_sender(None, None, &Environment::default()).unwrap(), None);
    let mean_time = Duration::from_secs(2);
    let expected = MockSender { mean_time, failure_rate: 0.25 };
    assert_eq!(mock_sender(Some(mean_time), None, &variables).unwrap(), Some(expected));
}

#[test]
fn a_configuration_with_a_real_provider_is_rejected() {
    let mut config = Config::test_mode();
    let sender = MockSender { mean_time: Duration::ZERO, failure_rate: 0.0 };
    assert!(with_mock_sender_only(config.clone(), sender, 1).is_ok());
    config.providers[0].kind = "http".to_owned();
    assert!(with_mock_sender_only(config, sender, 1).unwrap_err().to_string().contains("real providers"));
}
