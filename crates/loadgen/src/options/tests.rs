use super::*;

#[test]
fn a_number_without_a_unit_is_seconds_and_values_out_of_range_are_rejected() {
    for (text, millis) in [("0", 0), ("0.1", 100), ("100ms", 100), ("2s", 2_000), ("60", 60_000)] {
        assert_eq!(parse_mean_time(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["61", "2m", "-1", "NaN", "inf", "soon"] {
        assert!(parse_mean_time(text).is_err(), "{text}");
    }
    assert!(parse_mean_time("61").unwrap_err().contains("from 0s to 1m"));
}

#[test]
fn errors_of_shares_and_counts_name_the_range() {
    assert_eq!((parse_failure_rate("0"), parse_failure_rate("1")), (Ok(0.0), Ok(1.0)));
    for text in ["1.1", "-0.1", "NaN", "often"] {
        assert!(parse_failure_rate(text).unwrap_err().contains("from 0 to 1"), "{text}");
    }
    assert_eq!((parse_ratio("0"), parse_ratio("0.6")), (Ok(0.0), Ok(0.6)));
    for text in ["1.01", "-0.1", "NaN", "half"] {
        assert!(parse_ratio(text).unwrap_err().contains("from 0 to 1"), "{text}");
    }
    assert_eq!(parse_user_count("1000000"), Ok(1_000_000));
    assert!(parse_user_count("1000001").unwrap_err().contains("from 0 to 1000000"));
    assert!(parse_broadcast_count("1001").unwrap_err().contains("from 0 to 1000"));
    assert_eq!(parse_message_count("1_000"), Ok(1_000));
    for text in ["-1", "1.5", "100000001"] {
        assert!(parse_message_count(text).unwrap_err().contains("from 0 to 100000000"), "{text}");
    }
}

#[test]
fn a_sender_may_differ_from_the_default_in_some_values() {
    let default = MockSender { mean_time: Duration::from_millis(100), failure_rate: 0.2 };
    let slow = MockSender { mean_time: Duration::from_secs(2), ..default };
    assert_eq!(parse_sender("mean=2s", default), Ok(slow));
    let slow_and_reliable = MockSender { failure_rate: 0.1, ..slow };
    assert_eq!(parse_sender("mean=2s, failure=0.1", default), Ok(slow_and_reliable));
    for text in ["", "mean", "speed=3", "failure=2", "mean=2h"] {
        assert!(parse_sender(text, default).is_err(), "{text}");
    }
}

#[test]
fn an_invalid_variable_is_named_in_the_error() {
    let environment = Environment::from([("SENDER_FAILURE_RATE", "1.5"), ("SENDER_MEAN_TIME", "0.25")]);
    let error = failure_rate_from_environment(&environment).unwrap_err().to_string();
    assert!(error.contains("SENDER_FAILURE_RATE") && error.contains("from 0 to 1"), "{error}");
    let mean_time = mean_time_from_environment(&environment).unwrap();
    assert_eq!(mean_time, Some(Duration::from_millis(250)));
    assert_eq!(message_count_from_environment(&environment).unwrap(), None);
}
