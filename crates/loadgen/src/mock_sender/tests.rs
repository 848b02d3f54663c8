use super::*;

#[test]
fn the_lease_is_longer_than_the_slowest_call_of_a_sender() {
    let sender = MockSender { mean_time: Duration::from_secs(60), failure_rate: 1.0 };
    let options = MockSenderOptions {
        failure_policy: FailurePolicy::Final,
        concurrency: 1,
        seed: Some(7),
        receipt_ratios: None,
    };
    let config = with_mock_sender(Config::test_mode(), &"sender".parse().unwrap(), sender, options);
    assert_eq!(config.providers.len(), 1);
    assert!(config.work.lease > config.providers[0].timeout);
    assert!(
        has_only_mock_providers(&config)
            && config.channels.iter().all(|channel| channel.providers.len() == 1)
    );
}
