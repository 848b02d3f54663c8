use super::*;

fn new_injector() -> FaultInjector {
    FaultInjector::new(Clock::manual(postrider_core::clock::from_millis(0)))
}

fn next_kind(faults: &FaultInjector, api: SandboxApi) -> Option<FaultKind> {
    faults.apply_next(api).map(|fault| fault.kind)
}

#[test]
fn a_fault_ends_after_its_calls_to_its_api() {
    let faults = new_injector();
    faults.set(br#"{"fault":"hang","calls":2,"api":"twilio"}"#).unwrap();
    assert_eq!(next_kind(&faults, SandboxApi::Simple), None);
    assert_eq!(next_kind(&faults, SandboxApi::Twilio), Some(FaultKind::Hang));
    assert_eq!(faults.to_json()["calls_left"], 1);
    assert_eq!(next_kind(&faults, SandboxApi::Twilio), Some(FaultKind::Hang));
    assert_eq!(next_kind(&faults, SandboxApi::Twilio), None);
    assert_eq!(faults.to_json(), json!({"fault": null}));
}

#[test]
fn a_fault_ends_after_its_seconds_or_when_it_is_cleared() {
    let faults = new_injector();
    faults.set(br#"{"fault":"throttle","seconds":30,"retry_after":7}"#).unwrap();
    let fault = faults.apply_next(SandboxApi::Texting).unwrap();
    assert_eq!((fault.kind, fault.retry_after_seconds), (FaultKind::Throttle, 7));
    faults.clock.advance(Duration::from_secs(29));
    assert_eq!(faults.to_json()["seconds_left"], 1);
    faults.clock.advance(Duration::from_secs(1));
    assert_eq!(next_kind(&faults, SandboxApi::Texting), None);
    faults.set(br#"{"fault":"slow"}"#).unwrap();
    assert_eq!(next_kind(&faults, SandboxApi::Texting), Some(FaultKind::Slow));
    faults.clear();
    assert_eq!(next_kind(&faults, SandboxApi::Texting), None);
}

#[test]
fn an_invalid_fault_is_rejected_and_the_active_one_stays() {
    let faults = new_injector();
    faults.set(br#"{"fault":"garbage"}"#).unwrap();
    for (body, expected) in [
        ("", "\"fault\":\"hang\""),
        (r#"{"fault":"explode"}"#, "unknown variant `explode`"),
        (r#"{"fault":"hang","until":"noon"}"#, "unknown field `until`"),
        (r#"{"fault":"hang","api":"smpp"}"#, "unknown variant `smpp`"),
        (r#"{"fault":"hang","calls":0}"#, "from 1 to 1000000"),
        (r#"{"fault":"hang","calls":-1}"#, "from 1 to 1000000"),
        (r#"{"fault":"hang","calls":1e30}"#, "from 1 to 1000000"),
        (r#"{"fault":"hang","seconds":0.5}"#, "from 1 to 86400"),
        (r#"{"fault":"hang","seconds":"5"}"#, "from 1 to 86400"),
        (r#"{"fault":"hang","seconds":90000}"#, "from 1 to 86400"),
        (r#"{"fault":"throttle","retry_after":9999}"#, "from 0 to 3600"),
    ] {
        let error = faults.set(body.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{body}: {error}");
    }
    assert_eq!(next_kind(&faults, SandboxApi::Simple), Some(FaultKind::Garbage));
}
