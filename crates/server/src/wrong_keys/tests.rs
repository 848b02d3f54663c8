use super::*;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER_CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

#[test]
fn after_twenty_wrong_keys_an_address_waits_for_each_further_one() {
    let (wrong_keys, start) = (WrongKeys::new(60), Instant::now());
    for _ in 0..20 {
        assert_eq!(wrong_keys.wait(CLIENT, None, start), None);
        wrong_keys.record_wrong(CLIENT, start);
    }
    assert_eq!(wrong_keys.wait(CLIENT, None, start), Some(Duration::from_secs(1)));
    assert_eq!(wrong_keys.wait(OTHER_CLIENT, None, start), None);
    let second_later = start + Duration::from_secs(1);
    assert_eq!(wrong_keys.wait(CLIENT, None, second_later), None);
    wrong_keys.record_wrong(CLIENT, second_later);
    assert!(wrong_keys.wait(CLIENT, None, second_later).is_some());
}

#[test]
fn a_right_key_of_a_slowed_address_is_accepted() {
    let (wrong_keys, start) = (WrongKeys::new(60), Instant::now());
    wrong_keys.record_wrong(CLIENT, start);
    wrong_keys.record_right(CLIENT, [1; 32]);
    (0..50).for_each(|_| wrong_keys.record_wrong(CLIENT, start));
    assert_eq!(wrong_keys.wait(CLIENT, Some([1; 32]), start), None);
    assert!(wrong_keys.wait(CLIENT, Some([2; 32]), start).is_some());
}

#[test]
fn the_number_of_remembered_addresses_is_bounded() {
    let (wrong_keys, start) = (WrongKeys::new(60), Instant::now());
    for number in 0..25_000_u32 {
        wrong_keys.record_wrong(IpAddr::from(number.to_be_bytes()), start);
        assert!(wrong_keys.peers.lock().len() <= WRONG_KEY_PEERS_MAX);
    }
}

#[test]
fn a_limit_of_zero_is_no_limit() {
    let (wrong_keys, start) = (WrongKeys::new(0), Instant::now());
    (0..1_000).for_each(|_| wrong_keys.record_wrong(CLIENT, start));
    assert!(!wrong_keys.is_counting());
    assert_eq!(wrong_keys.wait(CLIENT, None, start), None);
}
