use super::*;

fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

#[test]
fn a_channel_gets_its_own_number_and_never_more_than_all() {
    let wish = Capacity::total(5)
        .with_channel(name("sms"), 0)
        .with_channel(name("email"), 9);
    assert_eq!(
        (
            wish.for_channel("sms"),
            wish.for_channel("email"),
            wish.for_channel("fax")
        ),
        (0, 5, 5)
    );
    let wide = wish.increased_by(100);
    assert_eq!(
        (
            wide.for_channel("sms"),
            wide.for_channel("email"),
            wide.for_channel("fax")
        ),
        (0, 105, 105)
    );
}

#[test]
fn what_is_wished_for_is_told_from_the_rest() {
    let all = || ["sms", "fax", "sms", "fax", "email"].map(name).to_vec();
    let split = |wish: Capacity| {
        let (wanted, rest) = wish.split(all(), |name| name);
        (wanted.len(), rest.len())
    };
    assert_eq!(split(Capacity::total(9).with_channel(name("sms"), 1)), (4, 1));
    assert_eq!(split(Capacity::total(2).with_channel(name("sms"), 0)), (2, 3));
    assert_eq!(split(Capacity::total(0)), (0, 5));
}

#[test]
fn lists_take_turns_until_the_limit() {
    let lists = || vec![vec![1, 2, 3, 4], vec![], vec![11], vec![21, 22]];
    assert_eq!(round_robin(lists(), 99), [1, 11, 21, 2, 22, 3, 4]);
    assert_eq!(round_robin(lists(), 4), [1, 11, 21, 2]);
    assert_eq!(round_robin(lists(), 0), [0; 0]);
}
