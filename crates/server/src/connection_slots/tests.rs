use super::*;
use crate::connection_timer::ConnectionPhase;

const PEER: &str = "192.0.2.1";

fn slots(connections_max: usize, per_peer_max: usize) -> Arc<ConnectionSlots> {
    Arc::new(ConnectionSlots::new(connections_max, per_peer_max))
}

#[track_caller]
fn admit(slots: &Arc<ConnectionSlots>, peer: &str) -> ConnectionSlot {
    match slots.admit(peer.parse().unwrap(), false) {
        Admission::Full(slot) => slot,
        Admission::ProbeOnly(_) => panic!("only probes"),
        Admission::Refused => panic!("refused"),
    }
}

/// Returns whether the connection was told to close.
async fn is_closed(slot: &ConnectionSlot) -> bool {
    tokio::time::timeout(std::time::Duration::from_millis(1), slot.close.notified()).await.is_ok()
}

fn wait_a_moment() {
    postrider_core::clock::sleep_thread(std::time::Duration::from_millis(3));
}

#[tokio::test]
async fn when_all_places_are_taken_the_longest_idle_connection_is_closed() {
    let slots = slots(3, 100);
    let first = admit(&slots, PEER);
    wait_a_moment();
    let [second, third] = [admit(&slots, PEER), admit(&slots, PEER)];
    first.timer.set_phase(ConnectionPhase::Handling);
    wait_a_moment();
    third.timer.set_phase(ConnectionPhase::Idle);
    let _fourth = admit(&slots, "198.51.100.1");
    assert!(is_closed(&second).await);
    assert!(!is_closed(&first).await && !is_closed(&third).await);
}

#[tokio::test]
async fn an_incomplete_request_head_makes_room_after_the_idle_ones() {
    let slots = slots(2, 100);
    let head = admit(&slots, PEER);
    head.timer.bytes_received();
    wait_a_moment();
    let idle = admit(&slots, PEER);
    let _next = admit(&slots, PEER);
    assert!(is_closed(&idle).await && !is_closed(&head).await);
}

#[test]
fn when_no_connection_is_idle_a_few_places_are_left_for_probes() {
    let slots = slots(1, 100);
    let busy = admit(&slots, PEER);
    busy.timer.set_phase(ConnectionPhase::Handling);
    let admit = || slots.admit(PEER.parse().unwrap(), false);
    let probes: Vec<_> = (0..PROBE_CONNECTIONS_MAX).map(|_| admit()).collect();
    assert!(probes.iter().all(|probe| matches!(probe, Admission::ProbeOnly(_))));
    assert!(matches!(admit(), Admission::Refused));
    drop(probes);
    assert!(matches!(admit(), Admission::ProbeOnly(_)));
    drop(busy);
    assert!(matches!(admit(), Admission::Full(_)));
}

#[test]
fn one_address_has_a_limited_number_of_connections_and_a_proxy_has_not() {
    let slots = slots(100, 2);
    let busy = [admit(&slots, "2001:db8::1"), admit(&slots, "2001:db8::2")];
    for slot in &busy {
        slot.timer.set_phase(ConnectionPhase::Handling);
    }
    let same_network = "2001:db8::3".parse().unwrap();
    assert!(matches!(slots.admit(same_network, false), Admission::Refused));
    assert!(matches!(slots.admit(same_network, true), Admission::Full(_)));
    let _other = admit(&slots, "2001:db8:0:1::1");
    busy[0].timer.set_phase(ConnectionPhase::Idle);
    let _next = admit(&slots, "2001:db8::3");
    drop(busy);
    assert_eq!(slots.table.lock().by_peer.len(), 2);
}
