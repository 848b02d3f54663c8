use super::*;

fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

#[test]
fn a_channel_has_its_own_limit_within_the_total() {
    let capacity = Capacity::total(5).with_channel(name("sms"), 0).with_channel(name("email"), 9);
    assert_eq!(
        (capacity.for_channel("sms"), capacity.for_channel("email"), capacity.for_channel("fax")),
        (0, 5, 5)
    );
    let increased = capacity.increased_by(100);
    assert_eq!(
        (increased.for_channel("sms"), increased.for_channel("email"), increased.for_channel("fax")),
        (0, 105, 105)
    );
}

#[test]
fn deliveries_are_split_by_the_limits() {
    let channels = || ["sms", "fax", "sms", "fax", "email"].map(name).to_vec();
    let split = |capacity: Capacity| {
        let (taken, rest) = capacity.split(channels(), |channel| channel);
        (taken.len(), rest.len())
    };
    assert_eq!(split(Capacity::total(9).with_channel(name("sms"), 1)), (4, 1));
    assert_eq!(split(Capacity::total(2).with_channel(name("sms"), 0)), (2, 3));
    assert_eq!(split(Capacity::total(0)), (0, 5));
}

#[test]
fn lists_are_merged_in_turn_up_to_the_limit() {
    let lists = || vec![vec![1, 2, 3, 4], vec![], vec![11], vec![21, 22]];
    assert_eq!(round_robin(lists(), 99), [1, 11, 21, 2, 22, 3, 4]);
    assert_eq!(round_robin(lists(), 4), [1, 11, 21, 2]);
    assert_eq!(round_robin(lists(), 0), [0; 0]);
}
