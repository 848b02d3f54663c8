use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store};
use postrider_core::attempt::Outcome;

#[tokio::test]
async fn a_delivery_that_avoids_the_only_available_provider_waits_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = GatewayBuilder::new(Config::test_mode()).wire(&open_store(folder.path())).await;
    let now = gateway.clock.now();
    let [avoided, other] = gateway.providers() else {
        panic!("test mode has two providers");
    };
    for _ in 0..2 {
        let reason = "no account".to_owned();
        other.complete(&Outcome::Misconfigured { reason }.into(), None, now);
    }
    let route = gateway.route("sms").unwrap();
    assert!(route.order(Some(&avoided.name), now).is_empty());
    let busy = route.soonest_available(Some(&avoided.name), now, |_| true);
    assert!(busy.reason.contains(other.name.as_str()), "{busy:?}");
    assert!(busy.retry_after.as_secs() >= 1, "{busy:?}");
}
